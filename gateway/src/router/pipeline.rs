//! Writes on their way to one node, batched without a timer.
//!
//! ```text
//!  callers ─► queue ─► frame ─► node      what queues while a frame is handed over forms the next frame;
//!                                         who finds nobody handing over does it
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use internal_proto::{Answer, Command, Error, Responder, Store, Write};
use parking_lot::Mutex;

/// A frame holds at most so many bytes, or one call: what a node takes without delaying others.
const MAX_FRAME_BYTES: usize = 1 << 20;
/// Calls that may wait to be handed over; the node bounds what it holds itself.
const MAX_QUEUED: usize = 100_000;

/// The writes of this gateway to one node.
pub(super) struct Pipeline {
    store: Arc<dyn Store>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    writes: VecDeque<Write>,
    /// Whether a caller is handing frames over; it takes along what the others queue.
    sending: bool,
}

impl Pipeline {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, queue: Mutex::default() }
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn send(&self, command: Command) -> Result<Answer, Error> {
        let (respond, answer) = Responder::new();
        self.enqueue(Write { command, respond })?;
        answer.await
    }

    fn enqueue(&self, write: Write) -> Result<(), Error> {
        let mut queue = self.queue.lock();
        if queue.writes.len() >= MAX_QUEUED {
            return Err(Error::TooManyRequests);
        }
        queue.writes.push_back(write);
        if queue.sending {
            return Ok(());
        }
        queue.sending = true;
        while let Some(frame) = next_frame(&mut queue.writes) {
            drop(queue);
            self.store.submit(frame);
            queue = self.queue.lock();
        }
        queue.sending = false;
        Ok(())
    }
}

fn next_frame(writes: &mut VecDeque<Write>) -> Option<Vec<Write>> {
    let mut frame = vec![writes.pop_front()?];
    let mut bytes = frame[0].command.weight();
    while let Some(write) = writes.front()
        && bytes + write.command.weight() <= MAX_FRAME_BYTES
    {
        bytes += write.command.weight();
        frame.extend(writes.pop_front());
    }
    Some(frame)
}
