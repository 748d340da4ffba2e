//! Runs the scripts in `testscripts/watch`: the hub and its streams over a small node, one step at a time.
//!
//! ```text
//!  own-feeds N        so many ranges have a feed of their own (first of all, if at all)
//!  stream NAME, close NAME
//!  create NAME RANGE [id=N start=N prev_kv=true notify=true filter=noput|nodelete]
//!  refuse NAME, cancel NAME ID, progress NAME, tick NAME
//!  put KEY VALUE [size=N], delete KEY, txn KEY=VALUE ..., compact N
//!  serve [floor=N]    the node takes all commands and sends a batch, until there are no more commands
//!  lag FEED, catch-up FEED     the node stops, starts sending a feed's events
//!  drop               the link drops; what was not served is lost with it
//!  poll NAME [count]  what the stream sends
//! ```
//! RANGE is `a` (one key), `a..c` or `a..` (to the end). A page of the node has two revisions at most.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use bytes::Bytes;
use goldenscript::{Command, Context, Runner};
use internal_proto::{
    Event, EventKind, FeedEvents, FeedId, KeyRange, KeyValue, KeyValueFields, PageContent, RangeEnd, Revision, Stamp,
    WatchBatch, WatchCommand, WatchPage,
};
use prost::Message;

use super::hub::Shared;
use super::{Create, Filter, Output, Refusal, Requests, StreamRequest, WatchStream};

test_each_file::test_each_path! { in "gateway/testscripts/watch" as scripts => run }

fn run(path: &Path) {
    let shared = Arc::new(Shared::new(Arc::default(), super::feeds::MAX_OWN));
    goldenscript::run(&mut Script { shared, node: Node::default(), streams: HashMap::new() }, path).unwrap();
}

const PAGE_REVISIONS: usize = 2;

struct Script {
    shared: Arc<Shared>,
    node: Node,
    streams: HashMap<String, (WatchStream, Requests)>,
}

/// What a storage node does, as far as the hub can tell.
#[derive(Default)]
struct Node {
    history: Vec<Vec<Event>>,
    compacted: Option<Revision>,
    feeds: BTreeMap<FeedId, (KeyRange, bool, Revision)>,
    lagging: BTreeSet<FeedId>,
}

type Text = Result<String, Box<dyn Error>>;

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Text {
        let mut args = command.consume_args();
        let mut output = String::new();
        let name = command.name.as_str();
        match name {
            "own-feeds" => {
                let count = args.next_pos().ok_or("count")?.parse()?;
                self.shared = Arc::new(Shared::new(Arc::default(), count));
            }
            "stream" => {
                let stream = Shared::open(&self.shared);
                self.streams.insert(args.next_pos().ok_or("name")?.to_owned(), stream);
            }
            "close" => drop(self.streams.remove(args.next_pos().ok_or("name")?)),
            "create" | "refuse" | "cancel" | "progress" | "tick" => {
                let stream = args.next_pos().ok_or("name")?;
                let request = match name {
                    "create" => StreamRequest::Create(create(&mut args)?),
                    "refuse" => StreamRequest::Refuse(Refusal::NegativeStart),
                    "cancel" => StreamRequest::Cancel(args.next_pos().ok_or("id")?.parse()?),
                    "progress" => StreamRequest::Progress,
                    _ => StreamRequest::Tick,
                };
                self.streams.get(stream).ok_or("no such stream")?.1.push(request);
            }
            "put" => {
                let (key, value) = (args.next_pos().ok_or("key")?, args.next_pos().unwrap_or_default());
                let size = args.take_key("size").map(str::parse).transpose()?.unwrap_or(value.len());
                let padded = format!("{value}{}", ".".repeat(size - value.len()));
                self.node.apply(&[(key, Some(&padded))]);
            }
            "delete" => self.node.apply(&[(args.next_pos().ok_or("key")?, None)]),
            "txn" => {
                let puts: Vec<_> =
                    std::iter::from_fn(|| args.next_key()).map(|(key, value)| (key, Some(value))).collect();
                self.node.apply(&puts);
            }
            "compact" => self.node.compacted = Some(Revision(args.next_pos().ok_or("revision")?.parse()?)),
            "serve" => {
                let floor = Revision(args.take_key("floor").map(str::parse).transpose()?.unwrap_or(0));
                output = self.serve(floor)?;
            }
            "lag" | "catch-up" => {
                let feed = FeedId(args.next_pos().ok_or("feed")?.parse()?);
                let _ = if name == "lag" { self.node.lagging.insert(feed) } else { self.node.lagging.remove(&feed) };
            }
            "drop" => {
                self.node.feeds.clear();
                self.shared.state.lock().resume();
            }
            "poll" => {
                let stream = &self.streams.get(args.next_pos().ok_or("name")?).ok_or("no such stream")?.0;
                let count = args.next_pos().map(str::parse).transpose()?.unwrap_or(usize::MAX);
                for _ in 0..count {
                    match stream.poll_next(&mut TaskContext::from_waker(Waker::noop())) {
                        Poll::Pending => break,
                        Poll::Ready(None) => writeln!(output, "ended")?,
                        Poll::Ready(Some(item)) => writeln!(output, "{}", show(&item)?)?,
                    }
                }
                if output.is_empty() {
                    writeln!(output, "nothing")?;
                }
            }
            _ => return Err(format!("unknown command {name}").into()),
        }
        args.reject_next()?;
        Ok(output)
    }
}

impl Script {
    /// The node takes all commands and sends a batch, until there are no more commands. Printed are the commands.
    fn serve(&mut self, floor: Revision) -> Text {
        let mut output = String::new();
        loop {
            let commands: Vec<_> = self.shared.state.lock().outbox().drain(..).collect();
            let mut batch = WatchBatch::default();
            for command in commands {
                writeln!(output, "{}", show_command(&command))?;
                self.node.command(command, &mut batch);
            }
            self.node.fill(&mut batch);
            let stamp = batch.stamp;
            let publish = |through| self.shared.publish_through(through, stamp);
            let mut state = self.shared.state.lock();
            if state.receive(batch, floor, publish) == super::state::Received::Stale {
                writeln!(output, "stale")?;
                state.repeat_now();
                return Ok(output);
            }
            if state.outbox().is_empty() {
                return Ok(output);
            }
        }
    }
}

impl Node {
    fn revision(&self) -> Revision {
        Revision(self.history.len() as i64 + 1)
    }

    fn apply(&mut self, writes: &[(&str, Option<&str>)]) {
        let mod_revision = self.revision().next();
        let event = |(key, value): &(&str, Option<&str>)| {
            let previous = self.history.iter().rev().flatten().find(|event| event.kv.key() == key.as_bytes());
            let fields = KeyValueFields { key: key.as_bytes(), mod_revision, ..KeyValueFields::default() };
            Event {
                kind: if value.is_some() { EventKind::Put } else { EventKind::Delete },
                kv: KeyValue::new(&KeyValueFields { value: value.unwrap_or_default().as_bytes(), ..fields }),
                prev_kv: previous.filter(|event| event.kind == EventKind::Put).map(|event| event.kv.clone()),
            }
        };
        let events = writes.iter().map(event).collect();
        self.history.push(events);
    }

    fn events(&self, range: &KeyRange, prev_kv: bool, next: Revision) -> Vec<(Revision, Vec<Event>)> {
        let mut found = Vec::new();
        for (revision, events) in (2..).map(Revision).zip(&self.history) {
            let wanted = events.iter().filter(|event| range.contains(event.kv.key())).cloned();
            let events: Vec<_> =
                wanted.map(|event| Event { prev_kv: event.prev_kv.filter(|_| prev_kv), ..event }).collect();
            if revision >= next && !events.is_empty() {
                found.push((revision, events));
            }
        }
        found
    }

    fn command(&mut self, command: WatchCommand, batch: &mut WatchBatch) {
        let compacted = |next| self.compacted.filter(|compacted| next < *compacted);
        match command {
            WatchCommand::Subscribe { feed, range, prev_kv, next } => {
                let next = next.unwrap_or(self.revision().next());
                match compacted(next) {
                    Some(compacted) => batch.compacted.push((feed, compacted)),
                    None => {
                        batch.started.push((feed, next));
                        self.feeds.insert(feed, (range, prev_kv, next));
                    }
                }
            }
            WatchCommand::Unsubscribe(feed) => drop(self.feeds.remove(&feed)),
            WatchCommand::Now(now) => batch.now = Some(now),
            WatchCommand::Read { page, range, prev_kv, next } => {
                let content = compacted(next).map(PageContent::Compacted).unwrap_or_else(|| {
                    let mut revisions = self.events(&range, prev_kv, next);
                    revisions.truncate(PAGE_REVISIONS);
                    let full = revisions.len() == PAGE_REVISIONS;
                    let through = if full { revisions[PAGE_REVISIONS - 1].0 } else { self.revision() };
                    PageContent::Events { revisions, through }
                });
                batch.pages.push(WatchPage { page, content });
            }
        }
    }

    fn fill(&mut self, batch: &mut WatchBatch) {
        let revision = self.revision();
        batch.stamp = Stamp { revision, ..Stamp::default() };
        batch.compacted_to = self.compacted.unwrap_or(Revision(-1));
        batch.through = revision;
        let feeds = std::mem::take(&mut self.feeds);
        for (feed, (range, prev_kv, next)) in feeds {
            let sent = if self.lagging.contains(&feed) {
                batch.behind.push((feed, Revision(next.0 - 1)));
                next
            } else {
                for (revision, events) in self.events(&range, prev_kv, next) {
                    batch.events.push(FeedEvents { feed, revision, events, last: true });
                }
                next.max(revision.next())
            };
            self.feeds.insert(feed, (range, prev_kv, sent));
        }
    }
}

fn create(args: &mut goldenscript::ArgumentConsumer<'_>) -> Result<Create, Box<dyn Error>> {
    let filter = args.take_key("filter");
    Ok(Create {
        range: range(args.next_pos().ok_or("range")?),
        watch_id: args.take_key("id").map(str::parse).transpose()?.unwrap_or(0),
        start: args.take_key("start").map(str::parse).transpose()?.map(Revision),
        prev_kv: args.take_key("prev_kv").is_some(),
        progress_notify: args.take_key("notify").is_some(),
        fragment: false,
        filter: Filter { puts: filter != Some("noput"), deletes: filter != Some("nodelete") },
    })
}

fn range(text: &str) -> KeyRange {
    let (start, end) = match text.split_once("..") {
        None => (text, RangeEnd::Single),
        Some((start, "")) => (start, RangeEnd::Unbounded),
        Some((start, end)) => (start, RangeEnd::Before(Bytes::copy_from_slice(end.as_bytes()))),
    };
    KeyRange { start: Bytes::copy_from_slice(start.as_bytes()), end }
}

fn show_range(range: &KeyRange) -> String {
    let start = String::from_utf8_lossy(&range.start);
    match &range.end {
        RangeEnd::Single => start.into_owned(),
        RangeEnd::Before(end) => format!("{start}..{}", String::from_utf8_lossy(end)),
        RangeEnd::Unbounded => format!("{start}.."),
    }
}

fn show_command(command: &WatchCommand) -> String {
    match command {
        WatchCommand::Subscribe { feed, range, prev_kv, next } => {
            let next = next.map_or("now".to_owned(), |next| next.to_string());
            let prev_kv = if *prev_kv { " with prev_kv" } else { "" };
            format!("> subscribe {} to {} from {next}{prev_kv}", feed.0, show_range(range))
        }
        WatchCommand::Unsubscribe(feed) => format!("> unsubscribe {}", feed.0),
        WatchCommand::Read { page, range, next, .. } => {
            format!("> read page {} of {} from {next}", page.0, show_range(range))
        }
        WatchCommand::Now(now) => format!("> now {}", now.0),
    }
}

fn show(output: &Output) -> Text {
    Ok(match output {
        Output::Created { watch_id, revision } => format!("created {watch_id} at {revision}"),
        Output::Refused { refusal, revision } => format!("refused at {revision}: {refusal:?}"),
        Output::Canceled { watch_id, revision } => format!("canceled {watch_id} at {revision}"),
        Output::Compacted { watch_id, compacted } => format!("canceled {watch_id}: compacted {compacted}"),
        Output::Progress { watch_id, revision } => format!("progress {} at {revision}", watch_id.unwrap_or(-1)),
        Output::Events { watch_id, revision, events, .. } => {
            let response = proto::etcdserverpb::WatchResponse::decode(&events[..])?;
            let events: Vec<_> = response.events.iter().map(show_event).collect();
            format!("events {watch_id} at {revision}: {}", events.join(" "))
        }
    })
}

fn show_event(event: &Event) -> String {
    let value = |kv: &KeyValue| match kv.fields().value {
        value if value.len() > 20 => format!("{} bytes", value.len()),
        value => String::from_utf8_lossy(value).into_owned(),
    };
    let key = String::from_utf8_lossy(event.kv.key());
    let previous = event.prev_kv.as_ref().map_or(String::new(), |kv| format!("(was {})", value(kv)));
    match event.kind {
        EventKind::Put => format!("{}:{key}={}{previous}", event.kv.mod_revision(), value(&event.kv)),
        EventKind::Delete => format!("{}:-{key}{previous}", event.kv.mod_revision()),
    }
}
