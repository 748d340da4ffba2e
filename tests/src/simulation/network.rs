//! A network that delays, loses, repeats and reorders messages, and can be cut in one direction or both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use internal_proto::MemberId;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use storenode::{PeerMessage, Transport};

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// The probability that a message is lost.
    pub lost: f64,
    /// The probability that it arrives twice.
    pub repeated: f64,
    /// The longest way; messages overtake each other within it.
    pub max_delay: Duration,
}

impl Quality {
    /// Nothing goes wrong.
    pub const GOOD: Self = Self { lost: 0.0, repeated: 0.0, max_delay: Duration::from_millis(2) };
}

/// All messages under way.
pub struct Network {
    /// How it treats messages sent from now on.
    pub quality: Quality,
    now: Duration,
    under_way: BTreeMap<(Duration, u64), PeerMessage>,
    sent: u64,
    /// From whom to whom nothing gets through.
    cut: BTreeSet<(MemberId, MemberId)>,
    random: SmallRng,
}

/// A member's way into the network. Clones are the same way.
#[derive(Clone)]
pub struct Way(pub Arc<Mutex<Network>>);

impl Transport for Way {
    fn send(&self, messages: Vec<PeerMessage>) {
        let mut network = self.0.lock();
        messages.into_iter().for_each(|message| network.send(message));
    }
}

impl Network {
    /// A network without messages.
    #[must_use]
    pub fn new(seed: u64, quality: Quality) -> Self {
        Self {
            quality,
            now: Duration::ZERO,
            under_way: BTreeMap::new(),
            sent: 0,
            cut: BTreeSet::new(),
            random: SmallRng::seed_from_u64(seed),
        }
    }

    /// Cuts the way from one member to another.
    pub fn cut(&mut self, from: MemberId, to: MemberId) {
        self.cut.insert((from, to));
    }

    /// Every way is open again.
    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// Lets time pass; what arrives meanwhile.
    pub fn advance(&mut self, by: Duration) -> Vec<PeerMessage> {
        self.now += by;
        let later = self.under_way.split_off(&(self.now, 0));
        let arrived = std::mem::replace(&mut self.under_way, later);
        arrived.into_values().filter(|message| !self.cut.contains(&(message.from(), message.to()))).collect()
    }

    fn send(&mut self, message: PeerMessage) {
        if self.random.random_bool(self.quality.lost) {
            return;
        }
        if self.random.random_bool(self.quality.repeated) {
            self.put_under_way(message.clone());
        }
        self.put_under_way(message);
    }

    fn put_under_way(&mut self, message: PeerMessage) {
        self.sent += 1;
        let delay = self.quality.max_delay.mul_f64(self.random.random());
        self.under_way.insert((self.now + delay, self.sent), message);
    }
}
