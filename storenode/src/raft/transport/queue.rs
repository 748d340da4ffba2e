//! What waits for one connection: bounded in number and bytes, and never a reason to wait.

use std::collections::VecDeque;

use internal_proto::peer::Message;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Messages that may wait, whatever their size: more than raft has in flight to one peer.
const MAX_MESSAGES: usize = 4_096;
/// Bytes of entries that may wait: about a second of a fast network.
const MAX_BYTES: usize = 64 << 20;
/// What leaves together at most, unless one message alone is larger.
const MAX_PARCEL_BYTES: usize = 1 << 20;
/// What a message takes besides its entries' data.
const MESSAGE_OVERHEAD: usize = 64;

/// Messages towards one peer on one lane.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Something was dropped since the last look.
    dropped: bool,
}

/// What leaves next.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Taken {
    /// In the order of their arrival.
    pub(super) messages: Vec<Message>,
    /// Whether messages before or among these were dropped.
    pub(super) dropped: bool,
}

impl Queue {
    /// Adds a message, or drops it when the queue is full.
    pub(super) fn push(&self, message: Message) {
        let mut waiting = self.waiting.lock();
        let weight = weight(&message);
        let full = waiting.messages.len() >= MAX_MESSAGES || waiting.bytes + weight > MAX_BYTES;
        if full && !waiting.messages.is_empty() {
            waiting.dropped = true;
            return;
        }
        waiting.bytes += weight;
        waiting.messages.push_back(message);
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Forgets what waits: the connection it waited for will not come.
    pub(super) fn clear(&self) {
        *self.waiting.lock() = Waiting::default();
    }

    /// Waits for messages and takes as many as leave together.
    pub(super) async fn take(&self) -> Taken {
        loop {
            let taken = self.waiting.lock().take();
            if !taken.messages.is_empty() {
                return taken;
            }
            self.arrived.notified().await;
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Taken {
        let mut taken = Taken { messages: Vec::new(), dropped: std::mem::take(&mut self.dropped) };
        let mut bytes = 0;
        while let Some(message) = self.messages.front() {
            let weight = weight(message);
            if bytes > 0 && bytes + weight > MAX_PARCEL_BYTES {
                break;
            }
            bytes += weight;
            taken.messages.extend(self.messages.pop_front());
        }
        self.bytes -= bytes;
        taken
    }
}

fn weight(message: &Message) -> usize {
    let entries = message.entries.iter().map(|entry| entry.data.len() + MESSAGE_OVERHEAD);
    let piece = message.piece.as_ref().map_or(0, |piece| piece.data.len());
    MESSAGE_OVERHEAD + piece + entries.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use internal_proto::peer::Entry;

    use super::*;

    fn message(index: u64, bytes: usize) -> Message {
        let entry = Entry { data: vec![0; bytes].into(), ..Entry::default() };
        Message { index, entries: vec![entry], ..Message::default() }
    }

    fn indexes(taken: &Taken) -> Vec<u64> {
        taken.messages.iter().map(|message| message.index).collect()
    }

    #[tokio::test]
    async fn what_came_together_leaves_together_within_a_bound() {
        let queue = Queue::default();
        for index in 0..3 {
            queue.push(message(index, MAX_PARCEL_BYTES / 3));
        }
        queue.push(message(3, 2 * MAX_PARCEL_BYTES));
        assert_eq!(indexes(&queue.take().await), [0, 1]);
        assert_eq!(indexes(&queue.take().await), [2]);
        assert_eq!(indexes(&queue.take().await), [3]);
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_says_so_once() {
        let queue = Queue::default();
        queue.push(message(0, MAX_BYTES));
        queue.push(message(1, 1));
        let taken = queue.take().await;
        assert_eq!((indexes(&taken), taken.dropped), (vec![0], true));
        queue.push(message(2, 1));
        let taken = queue.take().await;
        assert_eq!((indexes(&taken), taken.dropped), (vec![2], false));
    }

    #[tokio::test]
    async fn messages_are_counted_too() {
        let queue = Queue::default();
        for index in 0..=MAX_MESSAGES as u64 {
            queue.push(message(index, 0));
        }
        let taken = queue.take().await;
        assert_eq!((taken.messages.len(), taken.dropped), (MAX_MESSAGES, true));
    }

    #[tokio::test]
    async fn a_cleared_queue_is_empty() {
        let queue = Queue::default();
        queue.push(message(0, MAX_BYTES));
        queue.clear();
        queue.push(message(1, 1));
        assert_eq!(indexes(&queue.take().await), [1]);
    }
}
