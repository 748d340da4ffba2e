//! Pages of history: asked for by watches that no ring can serve, read once for all that want nearly the same.
//!
//! ```text
//!  stream ──ask──► queued ──Read(p)──► under way ──page p──► every stream that waits for it
//!                     └── the same range from a little later on ──▲
//! ```
//!
//! After a client or a gateway was away, thousands of watches of one range come back at once, each from where it was:
//! they share pages. A page that ends before a watch's start gives it nothing, and the watch asks again.
//!
//! Bounded: a stream asks for one page at a time, and only while its client takes what it is sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use internal_proto::{Event, PageContent, PageId, Revision, WatchCommand, WatchPage};

use super::feeds::FeedKey;
use super::stream::Stream;

/// Pages of history asked for at a time: enough to keep a node's reading thread busy, at half a megabyte each.
const MAX_READING: usize = 64;
/// How much later than a page's start a watch may begin that shares it: a page holds about so many revisions.
const MAX_AHEAD: i64 = 500;

/// A page that a stream needs.
#[derive(Clone, Debug)]
pub(super) struct ReadRequest {
    pub(super) serial: u64,
    pub(super) key: FeedKey,
    pub(super) next: Revision,
}

/// A page of history on its way to watches.
#[derive(Debug)]
pub(super) struct Page {
    revisions: Vec<(Revision, Vec<Event>)>,
    pub(super) through: Revision,
    /// The store's revision when the page was read.
    pub(super) current: Revision,
}

impl Page {
    /// The page from a revision on.
    pub(super) fn since(&self, next: Revision) -> &[(Revision, Vec<Event>)] {
        &self.revisions[self.revisions.partition_point(|(revision, _)| *revision < next)..]
    }
}

/// A page under way.
struct Reading {
    key: FeedKey,
    next: Revision,
    streams: Vec<(Arc<Stream>, ReadRequest)>,
}

/// All pages that streams wait for.
#[derive(Default)]
pub(super) struct Reads {
    reading: BTreeMap<PageId, Reading>,
    /// Those that wait for room.
    queued: VecDeque<(Arc<Stream>, ReadRequest)>,
    next_page: u64,
}

impl Reads {
    pub(super) fn ask(&mut self, stream: &Arc<Stream>, request: ReadRequest, outbox: &mut VecDeque<WatchCommand>) {
        if let Some(reading) = self.shareable(&request) {
            reading.streams.push((Arc::clone(stream), request));
            return;
        }
        self.queued.push_back((Arc::clone(stream), request));
        self.send(outbox);
    }

    fn shareable(&mut self, request: &ReadRequest) -> Option<&mut Reading> {
        let ahead = |reading: &Reading| request.next.0 - reading.next.0;
        self.reading
            .values_mut()
            .find(|reading| (0..=MAX_AHEAD).contains(&ahead(reading)) && reading.key == request.key)
    }

    fn send(&mut self, outbox: &mut VecDeque<WatchCommand>) {
        while let Some((stream, request)) = self.queued.pop_front() {
            if let Some(reading) = self.shareable(&request) {
                reading.streams.push((stream, request));
                continue;
            }
            if self.reading.len() >= MAX_READING {
                return self.queued.push_front((stream, request));
            }
            let page = PageId(self.next_page);
            self.next_page += 1;
            let reading = Reading { key: request.key.clone(), next: request.next, streams: vec![(stream, request)] };
            outbox.push_back(reading.command(page));
            self.reading.insert(page, reading);
        }
    }

    /// A new link: everything under way is asked for again.
    pub(super) fn resume(&self, outbox: &mut VecDeque<WatchCommand>) {
        outbox.extend(self.reading.iter().map(|(page, reading)| reading.command(*page)));
    }

    /// Takes in a page, read when the store was at revision `current`.
    pub(super) fn receive(&mut self, page: WatchPage, current: Revision, outbox: &mut VecDeque<WatchCommand>) {
        let Some(reading) = self.reading.remove(&page.page) else { return };
        match page.content {
            PageContent::Events { revisions, through } => {
                let page = Arc::new(Page { revisions, through, current });
                for (stream, request) in reading.streams {
                    stream.receive_page(request.serial, Ok(Arc::clone(&page)));
                }
            }
            PageContent::Compacted(compacted) => {
                for (stream, request) in reading.streams {
                    if request.next < compacted {
                        stream.receive_page(request.serial, Err(compacted));
                    } else {
                        // It begins later than the page, and lost nothing.
                        self.queued.push_back((stream, request));
                    }
                }
            }
        }
        self.send(outbox);
    }

    /// A stream needs no page any more.
    pub(super) fn forget(&mut self, stream: &Arc<Stream>) {
        self.queued.retain(|(other, _)| !Arc::ptr_eq(other, stream));
    }
}

impl Reading {
    fn command(&self, page: PageId) -> WatchCommand {
        let FeedKey { range, prev_kv } = self.key.clone();
        WatchCommand::Read { page, range, prev_kv, next: self.next }
    }
}
