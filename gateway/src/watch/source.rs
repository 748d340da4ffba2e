//! Whether the rings that a subscription fills are complete: one flag for all of them, however many there are.
//!
//! Invariant: a feed that waited for its source to be live is told once it is.

use std::collections::BTreeSet;

use internal_proto::FeedId;
use parking_lot::Mutex;

/// The state of a subscription, as the rings that it fills see it.
#[derive(Debug, Default)]
pub(super) struct Source {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The node has sent everything up to `through`; until then watches are not synced.
    live: bool,
    /// Feeds with watches that are synced as soon as the source is live.
    awaited_by: BTreeSet<FeedId>,
}

impl Source {
    pub(super) fn is_live(&self) -> bool {
        self.state.lock().live
    }

    /// Whether it is live; if not, the feed hears of it.
    pub(super) fn is_live_for(&self, feed: FeedId) -> bool {
        let mut state = self.state.lock();
        if !state.live {
            state.awaited_by.insert(feed);
        }
        state.live
    }

    /// The source is complete, which these feeds waited for.
    pub(super) fn set_live(&self) -> BTreeSet<FeedId> {
        let mut state = self.state.lock();
        state.live = true;
        std::mem::take(&mut state.awaited_by)
    }

    pub(super) fn set_lagging(&self) {
        self.state.lock().live = false;
    }
}
