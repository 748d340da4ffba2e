//! The part of a comparison that concerns watches.
//!
//! Invariant: a watch that has nothing to catch up with gets one response per revision, under that revision; of one
//! that starts in the past only the events are compared, because etcd's timing decides how they are grouped.

use std::collections::VecDeque;
use std::time::Instant;

use internal_proto::Event;
use proto::etcdserverpb::{PutRequest, WatchCreateRequest, WatchResponse};

use super::super::answer::{Revisions, normalised};
use super::super::operation::{Operation, Stream};
use super::super::symbol::Chosen;
use super::super::system::System;
use super::super::watching::{Content, Item, Log, SENTINEL_KEY, WatchStream};
use super::{Difference, Pair};

/// A progress request may be dropped while a watch catches up, so it is sent again.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_millis(20);

impl Pair {
    /// Creates a watch. The request holds nothing that only one system knows.
    pub(super) async fn watch(&mut self, stream: Stream, operation: &Operation) -> Result<(), Difference> {
        self.open(stream).await?;
        let Operation::Watch(_, resolved) = self.left.resolve(operation, self.position) else { return Ok(()) };
        let behind = resolved.start_revision > 0 && !stream.looks_ahead();
        self.catching_up |= behind;
        tokio::join!(
            stream_of(&self.left, stream).create(resolved.clone()),
            stream_of(&self.right, stream).create(resolved)
        );
        self.created(stream, !behind).await
    }

    async fn open(&mut self, stream: Stream) -> Result<(), Difference> {
        if self.left.streams.contains_key(&stream) {
            return Ok(());
        }
        let (left, right) = tokio::join!(self.left.open(stream, &self.changed), self.right.open(stream, &self.changed));
        if left.is_err() || right.is_err() {
            return Err(Difference::new(left, right));
        }
        self.created(stream, true).await
    }

    /// Waits for the next answer to a creation, and compares.
    async fn created(&mut self, stream: Stream, current: bool) -> Result<(), Difference> {
        let ready = || {
            log(&self.left, stream, |log| !log.created.is_empty())
                && log(&self.right, stream, |log| !log.created.is_empty())
        };
        self.wait(ready).await;
        let [left, right] = [&self.left, &self.right].map(|system| log(system, stream, |log| log.created.pop_front()));
        let [left, right] = [left, right].map(|response| response.map(comparable));
        self.unbroken()?;
        match &left {
            Some(answer) if left == right => {
                if !answer.canceled {
                    self.current_from_birth.entry(stream).or_default().push(current);
                }
                Ok(())
            }
            _ => Err(Difference::new(left, right)),
        }
    }

    /// A creation that is always refused comes back in order after the cancellation, so nothing has to be waited for
    /// when etcd ignores the request.
    pub(super) async fn cancel_watch(&mut self, stream: Stream, id: i64) -> Result<(), Difference> {
        self.open(stream).await?;
        self.settle().await?;
        tokio::join!(stream_of(&self.left, stream).cancel(id), stream_of(&self.right, stream).cancel(id));
        self.fence(stream).await?;
        self.settle().await
    }

    /// Both systems have read all requests of the stream so far.
    async fn fence(&mut self, stream: Stream) -> Result<(), Difference> {
        let refused =
            || WatchCreateRequest { key: b"a".as_slice().into(), start_revision: -1, ..WatchCreateRequest::default() };
        tokio::join!(stream_of(&self.left, stream).create(refused()), stream_of(&self.right, stream).create(refused()));
        self.created(stream, true).await
    }

    pub(super) async fn progress(&mut self, stream: Stream) -> Result<(), Difference> {
        self.open(stream).await?;
        self.settle().await?;
        if stream.looks_ahead() {
            // Not answered while a watch waits for its first revision; the next settling compares the answers.
            tokio::join!(stream_of(&self.left, stream).progress(), stream_of(&self.right, stream).progress());
            self.fence(stream).await?;
            return self.settle().await;
        }
        self.answered_progress(stream).await
    }

    /// Both systems say that every watch of the stream has caught up with the current revision.
    async fn answered_progress(&self, stream: Stream) -> Result<(), Difference> {
        let current = self.position.current;
        for system in [&self.left, &self.right] {
            let deadline = Instant::now() + self.patience;
            while !log(system, stream, |log| log.progress.contains(&current)) {
                self.unbroken()?;
                if Instant::now() > deadline {
                    return Err(Difference::new(
                        format!("progress at {current}"),
                        log(system, stream, |log| log.progress.clone()),
                    ));
                }
                for id in log(system, stream, |log| std::mem::take(&mut log.compacted)) {
                    stream_of(system, stream).cancel(id).await;
                }
                stream_of(system, stream).progress().await;
                // Woken by any response; the pause only bounds how often a dropped request is repeated.
                let _ = tokio::time::timeout(ASK_AGAIN, self.changed.notified()).await;
            }
        }
        Ok(())
    }

    /// Waits until every stream has said all there is, compares, and forgets what was equal.
    pub(super) async fn settle(&mut self) -> Result<(), Difference> {
        let streams: Vec<Stream> = self.left.streams.keys().copied().collect();
        if streams.is_empty() {
            return Ok(());
        }
        let put = Operation::Put(PutRequest { key: SENTINEL_KEY.into(), ..PutRequest::default() });
        self.compare(&put).await?;
        let current = self.position.current;
        for &stream in &streams {
            let arrived = |system| log(system, stream, |log| log.sentinel >= current || log.broken.is_some());
            self.wait(|| arrived(&self.left) && arrived(&self.right)).await;
            if self.catching_up && !stream.looks_ahead() {
                self.answered_progress(stream).await?;
            }
        }
        self.catching_up = false;
        for stream in streams {
            self.wait(|| !self.pending(stream)).await;
            self.unbroken()?;
            self.compare_logs(stream)?;
        }
        Ok(())
    }

    /// Whether one system has said more than the other.
    fn pending(&self, stream: Stream) -> bool {
        let lengths = |system| {
            log(system, stream, |log| {
                let watches: Vec<usize> = log.watches.iter().map(VecDeque::len).collect();
                (watches, log.sentinel, if stream.looks_ahead() { log.progress.len() } else { 0 })
            })
        };
        lengths(&self.left) != lengths(&self.right)
    }

    fn compare_logs(&self, stream: Stream) -> Result<(), Difference> {
        let mut left = stream_of(&self.left, stream).log().lock();
        let mut right = stream_of(&self.right, stream).log().lock();
        let progress = [&mut left, &mut right].map(|log| std::mem::take(&mut log.progress));
        if stream.looks_ahead() && progress[0] != progress[1] {
            return Err(Difference::new(&progress[0], &progress[1]));
        }
        if left.sentinel != right.sentinel || left.watches.len() != right.watches.len() {
            return Err(Difference::new(&*left, &*right));
        }
        for (number, (left, right)) in left.watches.iter_mut().zip(&mut right.watches).enumerate() {
            let left = shared(std::mem::take(left), &self.left.chosen);
            let right = shared(std::mem::take(right), &self.right.chosen);
            let current = self.current_from_birth.get(&stream).is_some_and(|known| known[number]);
            // etcd lets a watch fall behind whose client does not read for a moment.
            let exact = current && left.iter().all(synced);
            let equal = if exact { left == right } else { say_the_same(&left, &right) };
            if !equal {
                let of = format!("{stream:?}, creation {number}");
                return Err(Difference::new((&of, around(&left, &right)), (&of, around(&right, &left))));
            }
        }
        Ok(())
    }

    fn unbroken(&self) -> Result<(), Difference> {
        for stream in self.left.streams.keys() {
            let [left, right] = [&self.left, &self.right].map(|system| log(system, *stream, |log| log.broken.clone()));
            if left.is_some() || right.is_some() {
                return Err(Difference::new(left, right));
            }
        }
        Ok(())
    }

    /// Waits for a condition that responses change; who needs it to hold looks again.
    async fn wait(&self, condition: impl Fn() -> bool) {
        let deadline = tokio::time::Instant::now() + self.patience;
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if condition() || tokio::time::timeout_at(deadline, notified).await.is_err() {
                return;
            }
        }
    }
}

fn stream_of(system: &System, stream: Stream) -> &WatchStream {
    system.streams.get(&stream).expect("both systems opened the stream before it is used")
}

fn log<T>(system: &System, stream: Stream, look: impl FnOnce(&mut Log) -> T) -> T {
    look(&mut stream_of(system, stream).log().lock())
}

/// The answer to a creation without what may differ.
fn comparable(mut response: WatchResponse) -> WatchResponse {
    if let Some(header) = &mut response.header {
        header.cluster_id = u64::from(header.cluster_id != 0);
        header.member_id = u64::from(header.member_id != 0);
        header.raft_term = u64::from(header.raft_term != 0);
    }
    response
}

fn shared(items: VecDeque<Item>, chosen: &Chosen) -> Vec<Item> {
    let mut items = Vec::from(items);
    for Item { content, .. } in &mut items {
        if let Content::Event(event) = content {
            event.kv = normalised(&event.kv, chosen, Revisions::Equal);
            event.prev_kv = event.prev_kv.take().map(|kv| normalised(&kv, chosen, Revisions::Equal));
        }
    }
    items
}

/// Whether the item was sent as a watch that has caught up sends it.
fn synced(item: &Item) -> bool {
    match &item.content {
        Content::Event(event) => event.kv.mod_revision().0 == item.revision,
        Content::Canceled { .. } => true,
    }
}

/// Whether watches that caught up with the past have told the same. etcd begins to send before it notes that previous
/// values are wanted, so its first events may come without them.
fn say_the_same(left: &[Item], right: &[Item]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| match (&left.content, &right.content) {
            (Content::Event(left), Content::Event(right)) if left.prev_kv.is_none() => {
                *left == Event { prev_kv: None, ..right.clone() }
            }
            (left, right) => left == right,
        })
}

/// The first items of `items` that `others` does not have in the same place.
fn around<'a>(items: &'a [Item], others: &[Item]) -> (usize, &'a [Item]) {
    const SHOWN: usize = 3;
    let same = items.iter().zip(others).take_while(|(item, other)| item == other).count();
    (same, &items[same..items.len().min(same + SHOWN)])
}
