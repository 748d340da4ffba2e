//! A network between the processes of a cluster that can be cut, one direction of one pair at a time.
//!
//! ```text
//!  m0 ──► door of m1 (its advertised address) ══ path 0 → 1 ══► m1, who listens behind it
//!     ◄──                                     ══ path 1 → 0 ══
//! ```
//!
//! Members have a place and a door each; behind them in the order come the places of those who only call: gateways.
//!
//! A path that is cut holds back what is on it, and lets it go when it is healed, as TCP does after losses: nobody is
//! told that the other cannot be reached.
//!
//! Invariant: what one process sends to another passes the path between the two, whichever of them has connected.

mod caller;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::ports::free_port;
use crate::process::Server;

/// The variable that tells a process its place; whoever has none is not connected.
pub(crate) const PLACE: &str = "NETWORK_PLACE";

/// What one read takes from a connection.
const PIECE: usize = 64 << 10;

/// Where one member is reached.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// The address that the others know.
    pub advertised: SocketAddr,
    /// The address that the member listens at.
    pub behind: SocketAddr,
}

/// The paths between some processes, and the tasks that carry what is sent on them.
pub struct Network {
    doors: Vec<Door>,
    paths: Arc<Paths>,
    _tasks: JoinSet<()>,
}

/// Whether the path from one place to another is cut.
struct Paths(Vec<Vec<watch::Sender<bool>>>);

impl Paths {
    fn cut(&self, from: usize, to: usize) -> watch::Receiver<bool> {
        self.0[from][to].subscribe()
    }
}

impl Network {
    /// A network of so many members and gateways in which nothing is cut. Needs a runtime.
    ///
    /// # Errors
    /// When there are no ports for it.
    pub async fn new(members: usize, gateways: usize) -> io::Result<Self> {
        let places = members + gateways;
        let row = || (0..places).map(|_| watch::Sender::new(false)).collect();
        let paths = Arc::new(Paths((0..places).map(|_| row()).collect()));
        let (mut doors, mut tasks) = (Vec::new(), JoinSet::new());
        for to in 0..members {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let door = Door { advertised: listener.local_addr()?, behind: free_port()? };
            tasks.spawn(serve(listener, door, to, Arc::clone(&paths)));
            doors.push(door);
        }
        Ok(Self { doors, paths, _tasks: tasks })
    }

    /// Of all members in their order.
    #[must_use]
    pub fn doors(&self) -> &[Door] {
        &self.doors
    }

    /// The place of a gateway.
    #[must_use]
    pub fn gateway(&self, index: usize) -> usize {
        self.doors.len() + index
    }

    /// Holds back what one process sends to another.
    pub fn cut(&self, from: usize, to: usize) {
        self.paths.0[from][to].send_replace(true);
    }

    /// Holds back what two processes send to each other.
    pub fn part(&self, one: usize, other: usize) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Cuts a member off from all other members.
    pub fn isolate(&self, member: usize) {
        (0..self.doors.len()).filter(|other| *other != member).for_each(|other| self.part(member, other));
    }

    /// Lets everything pass again.
    pub fn heal(&self) {
        for path in self.paths.0.iter().flatten() {
            path.send_replace(false);
        }
    }
}

/// Puts members that were never started behind their doors.
pub(crate) fn place(members: &mut [Server], network: &Network) {
    for (place, (member, door)) in members.iter_mut().zip(&network.doors).enumerate() {
        // Of a flag that is given twice, the last counts.
        member.add_flags(&[format!("--listen-peer-urls=http://{}", door.behind).as_str()]);
        member.set_variable(PLACE, place.to_string());
    }
}

async fn serve(listener: TcpListener, door: Door, to: usize, paths: Arc<Paths>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(carry(stream, door, to, Arc::clone(&paths)));
        while connections.try_join_next().is_some() {}
    }
}

/// One connection, until a side ends it.
async fn carry(caller: TcpStream, door: Door, to: usize, paths: Arc<Paths>) {
    // Somebody who has ended is not connected either.
    let Some(from) = caller::place(&caller).filter(|from| *from < paths.0.len()) else { return };
    let Ok(member) = TcpStream::connect(door.behind).await else { return };
    if caller.set_nodelay(true).is_err() || member.set_nodelay(true).is_err() {
        return;
    }
    let ((from_caller, to_caller), (from_member, to_member)) = (caller.into_split(), member.into_split());
    tokio::select! {
        () = pump(from_caller, to_member, paths.cut(from, to)) => {}
        () = pump(from_member, to_caller, paths.cut(to, from)) => {}
    }
}

/// Also the end of a connection waits for the path.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut cut: watch::Receiver<bool>) {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await.unwrap_or(0);
        if cut.wait_for(|cut| !cut).await.is_err() || read == 0 || to.write_all(&piece[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_cut_path_holds_back_and_a_healed_one_lets_go() {
        let cut = watch::Sender::new(true);
        let ((mut caller, door), (behind, mut member)) = (tokio::io::duplex(PIECE), tokio::io::duplex(PIECE));
        let pumping = tokio::spawn(pump(door, behind, cut.subscribe()));
        caller.write_all(b"held").await.unwrap();
        let mut received = [0; 4];
        let early = tokio::time::timeout(Duration::from_millis(50), member.read_exact(&mut received)).await;
        assert!(early.is_err(), "it has passed a cut path");
        cut.send_replace(false);
        member.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"held");
        drop(caller);
        pumping.await.unwrap();
    }
}
