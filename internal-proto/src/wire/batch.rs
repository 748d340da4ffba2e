//! The watch link in wire form.

use bytes::Bytes;

use super::answer::{kv, kv_bytes};
use super::{Malformed, required};
use crate::convert::key_range;
use crate::generated::metastore::store::{
    self as wire, watch_command::Command as WireCommand, watch_page::Content as WireContent,
};
use crate::{
    Event, EventKind, FeedEvents, FeedId, KeyRange, NowId, PageContent, PageId, RangeEnd, Revision, WatchBatch,
    WatchCommand, WatchPage,
};

impl From<&WatchCommand> for wire::WatchCommand {
    fn from(command: &WatchCommand) -> Self {
        let command = match command {
            WatchCommand::Subscribe { feed, range, prev_kv, next } => WireCommand::Subscribe(wire::Subscribe {
                feed: feed.0,
                range: Some(range.into()),
                prev_kv: *prev_kv,
                next: next.map(|next| next.0),
            }),
            WatchCommand::Unsubscribe(feed) => WireCommand::Unsubscribe(feed.0),
            WatchCommand::Read { page, range, prev_kv, next } => WireCommand::Read(wire::Read {
                page: page.0,
                range: Some(range.into()),
                prev_kv: *prev_kv,
                next: next.0,
            }),
            WatchCommand::Now(now) => WireCommand::Now(now.0),
        };
        Self { command: Some(command) }
    }
}

impl TryFrom<wire::WatchCommand> for WatchCommand {
    type Error = Malformed;

    fn try_from(command: wire::WatchCommand) -> Result<Self, Malformed> {
        Ok(match required(command.command, "a watch command")? {
            WireCommand::Subscribe(subscribe) => Self::Subscribe {
                feed: FeedId(subscribe.feed),
                range: kept(&key_range(subscribe.range)?),
                prev_kv: subscribe.prev_kv,
                next: subscribe.next.map(Revision),
            },
            WireCommand::Unsubscribe(feed) => Self::Unsubscribe(FeedId(feed)),
            WireCommand::Read(read) => Self::Read {
                page: PageId(read.page),
                range: kept(&key_range(read.range)?),
                prev_kv: read.prev_kv,
                next: Revision(read.next),
            },
            WireCommand::Now(now) => Self::Now(NowId(now)),
        })
    }
}

/// A feed outlives its command: a slice of the received message would keep all of it.
fn kept(range: &KeyRange) -> KeyRange {
    let end = match &range.end {
        RangeEnd::Before(end) => RangeEnd::Before(Bytes::copy_from_slice(end)),
        end => end.clone(),
    };
    KeyRange { start: Bytes::copy_from_slice(&range.start), end }
}

impl From<&WatchBatch> for wire::WatchBatch {
    fn from(batch: &WatchBatch) -> Self {
        Self {
            stamp: Some(batch.stamp.into()),
            compacted_to: batch.compacted_to.0,
            now: batch.now.map(|now| now.0),
            started: feed_revisions(&batch.started),
            events: batch.events.iter().map(Into::into).collect(),
            compacted: feed_revisions(&batch.compacted),
            through: batch.through.0,
            behind: feed_revisions(&batch.behind),
            pages: batch.pages.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::WatchBatch> for WatchBatch {
    type Error = Malformed;

    fn try_from(batch: wire::WatchBatch) -> Result<Self, Malformed> {
        Ok(Self {
            stamp: required(batch.stamp, "a batch's stamp")?.into(),
            compacted_to: Revision(batch.compacted_to),
            now: batch.now.map(NowId),
            started: batch.started.iter().map(feed_revision).collect(),
            events: batch.events.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            compacted: batch.compacted.iter().map(feed_revision).collect(),
            through: Revision(batch.through),
            behind: batch.behind.iter().map(feed_revision).collect(),
            pages: batch.pages.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

fn feed_revisions(list: &[(FeedId, Revision)]) -> Vec<wire::FeedRevision> {
    list.iter().map(|(feed, revision)| wire::FeedRevision { feed: feed.0, revision: revision.0 }).collect()
}

const fn feed_revision(pair: &wire::FeedRevision) -> (FeedId, Revision) {
    (FeedId(pair.feed), Revision(pair.revision))
}

impl From<&Event> for wire::Event {
    fn from(event: &Event) -> Self {
        Self {
            delete: event.kind == EventKind::Delete,
            kv: kv_bytes(&event.kv),
            prev_kv: event.prev_kv.as_ref().map(kv_bytes),
        }
    }
}

impl TryFrom<wire::Event> for Event {
    type Error = Malformed;

    fn try_from(event: wire::Event) -> Result<Self, Malformed> {
        let kind = if event.delete { EventKind::Delete } else { EventKind::Put };
        Ok(Self { kind, kv: kv(event.kv)?, prev_kv: event.prev_kv.map(kv).transpose()? })
    }
}

impl From<&FeedEvents> for wire::FeedEvents {
    fn from(part: &FeedEvents) -> Self {
        let events = part.events.iter().map(Into::into).collect();
        Self { feed: part.feed.0, revision: part.revision.0, events, last: part.last }
    }
}

impl TryFrom<wire::FeedEvents> for FeedEvents {
    type Error = Malformed;

    fn try_from(part: wire::FeedEvents) -> Result<Self, Malformed> {
        let events = part.events.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok(Self { feed: FeedId(part.feed), revision: Revision(part.revision), events, last: part.last })
    }
}

impl From<&WatchPage> for wire::WatchPage {
    fn from(page: &WatchPage) -> Self {
        let content = match &page.content {
            PageContent::Events { revisions, through } => {
                let revision = |(revision, events): &(Revision, Vec<Event>)| wire::PageRevision {
                    revision: revision.0,
                    events: events.iter().map(Into::into).collect(),
                };
                let revisions = revisions.iter().map(revision).collect();
                WireContent::Events(wire::PageEvents { revisions, through: through.0 })
            }
            PageContent::Compacted(revision) => WireContent::Compacted(revision.0),
        };
        Self { page: page.page.0, content: Some(content) }
    }
}

impl TryFrom<wire::WatchPage> for WatchPage {
    type Error = Malformed;

    fn try_from(page: wire::WatchPage) -> Result<Self, Malformed> {
        let content = match required(page.content, "a page's content")? {
            WireContent::Events(events) => {
                let revision = |page: wire::PageRevision| {
                    let events = page.events.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
                    Ok::<_, Malformed>((Revision(page.revision), events))
                };
                let revisions = events.revisions.into_iter().map(revision).collect::<Result<_, _>>()?;
                PageContent::Events { revisions, through: Revision(events.through) }
            }
            WireContent::Compacted(revision) => PageContent::Compacted(Revision(revision)),
        };
        Ok(Self { page: PageId(page.page), content })
    }
}
