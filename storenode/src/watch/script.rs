//! Runs the scripts in `testscripts/watch`: a hub's decisions over a history in memory, one step at a time.
//!
//! ```text
//!  link                                   open the next link, 0 first
//!  subscribe LINK FEED RANGE [next=N] [prev_kv=true]
//!  unsubscribe LINK FEED
//!  page LINK PAGE RANGE next=N            ask for a page of history
//!  now LINK N                             ask where the store is
//!  put KEY VALUE [size=N], delete KEY, txn KEY=VALUE ...      apply and publish (size: pad the value)
//!  apply KEY VALUE                        apply only; the next write publishes it
//!  compact N
//!  start LINK, finish LINK                begin, end the reads that wait; `read LINK` does both
//!  take LINK                              the batch, if one is due
//! ```
//! RANGE is `a` (one key), `a..c` or `a..` (to the end).

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use internal_proto::{
    Event, EventKind, FeedId, KeyRange, KeyValue, KeyValueFields, NowId, PageContent, PageId, RangeEnd, Revision,
    Stamp, Term, WatchBatch, WatchCommand,
};

use super::core::{Core, Due, LinkId, Outcome, Read};
use crate::state::{ChangePage, Changes};

test_each_file::test_each_path! { in "storenode/testscripts/watch" as scripts => run }

fn run(path: &Path) {
    let core = Core::new(Stamp { revision: Revision::EMPTY_STORE, term: Term(1), ..Stamp::default() }, Revision(-1));
    let script = &mut Script { core, history: Vec::new(), published: 0, compacted: Revision(-1), reads: Vec::new() };
    goldenscript::run(script, path).unwrap();
}

/// Revisions in one page: few, so that scripts need few.
const PAGE_REVISIONS: usize = 2;

struct Script {
    core: Core,
    history: Vec<Changes>,
    published: usize,
    compacted: Revision,
    reads: Vec<(LinkId, Read)>,
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = command.consume_args();
        let mut output = String::new();
        match command.name.as_str() {
            "link" => {
                let (id, _) = self.core.open_link();
                writeln!(output, "{id:?}")?;
            }
            "subscribe" => {
                let link = LinkId(args.next_pos().ok_or("link")?.parse()?);
                let feed = FeedId(args.next_pos().ok_or("feed")?.parse()?);
                let range = range(args.next_pos().ok_or("range")?);
                let next = args.take_key("next").map(str::parse).transpose()?.map(Revision);
                let prev_kv = args.take_key("prev_kv").is_some();
                self.core.command(link, WatchCommand::Subscribe { feed, range, prev_kv, next });
            }
            "unsubscribe" => {
                let link = LinkId(args.next_pos().ok_or("link")?.parse()?);
                let feed = FeedId(args.next_pos().ok_or("feed")?.parse()?);
                self.core.command(link, WatchCommand::Unsubscribe(feed));
            }
            "page" => {
                let link = LinkId(args.next_pos().ok_or("link")?.parse()?);
                let page = PageId(args.next_pos().ok_or("page")?.parse()?);
                let range = range(args.next_pos().ok_or("range")?);
                let next = Revision(args.take_key("next").ok_or("next")?.parse()?);
                self.core.command(link, WatchCommand::Read { page, range, prev_kv: false, next });
            }
            "now" => {
                let link = LinkId(args.next_pos().ok_or("link")?.parse()?);
                self.core.command(link, WatchCommand::Now(NowId(args.next_pos().ok_or("number")?.parse()?)));
            }
            "put" | "apply" | "delete" | "txn" | "compact" => self.write(&command.name, &mut args)?,
            "start" | "finish" | "read" => {
                let link = LinkId(args.next_pos().ok_or("link")?.parse()?);
                if command.name != "finish" {
                    let reads = self.core.next_reads(link);
                    writeln!(output, "{} reads", reads.len())?;
                    self.reads.extend(reads.into_iter().map(|read| (link, read)));
                }
                if command.name != "start" {
                    for (link, read) in std::mem::take(&mut self.reads) {
                        let outcome = self.changes(&read);
                        self.core.finish(link, read, outcome);
                    }
                }
            }
            "take" => {
                let link = LinkId(args.next_pos().ok_or("link")?.parse()?);
                match self.core.due(link) {
                    Due::Never => writeln!(output, "nothing due")?,
                    due => output = show(due, &self.core.take(link).ok_or("no such link")?)?,
                }
            }
            name => return Err(format!("unknown command {name}").into()),
        }
        args.reject_next()?;
        Ok(output)
    }
}

impl Script {
    fn write(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Result<(), Box<dyn Error>> {
        match name {
            "put" | "apply" => {
                let key = args.next_pos().ok_or("key")?;
                let mut value = args.next_pos().unwrap_or_default().to_owned();
                let size = args.take_key("size").map(str::parse).transpose()?.unwrap_or(value.len());
                value.extend(std::iter::repeat_n('.', size - value.len()));
                self.apply(&[(key, Some(&value))]);
            }
            "delete" => self.apply(&[(args.next_pos().ok_or("key")?, None)]),
            "txn" => {
                let puts: Vec<_> =
                    std::iter::from_fn(|| args.next_key()).map(|(key, value)| (key, Some(value))).collect();
                self.apply(&puts);
            }
            _ => self.compacted = Revision(args.next_pos().ok_or("revision")?.parse()?),
        }
        match name {
            "apply" => {}
            "compact" => self.publish(Some(self.compacted)),
            _ => self.publish(None),
        }
        Ok(())
    }

    fn apply(&mut self, writes: &[(&str, Option<&str>)]) {
        let revision = Revision(self.history.len() as i64 + 2);
        let events = writes.iter().map(|(key, value)| {
            let earlier = self.history.iter().rev().flat_map(|changes| &changes.events);
            let previous = earlier.clone().find(|event| event.kv.key() == key.as_bytes());
            let fields = KeyValueFields { key: key.as_bytes(), mod_revision: revision, ..KeyValueFields::default() };
            Event {
                kind: if value.is_some() { EventKind::Put } else { EventKind::Delete },
                kv: KeyValue::new(&KeyValueFields { value: value.unwrap_or_default().as_bytes(), ..fields }),
                prev_kv: previous.filter(|event| event.kind == EventKind::Put).map(|event| event.kv.clone()),
            }
        });
        let events = events.collect();
        self.history.push(Changes { revision, events });
    }

    fn publish(&mut self, compacted: Option<Revision>) {
        let revision = Revision(self.history.len() as i64 + 1);
        let stamp = Stamp { revision, term: Term(1), ..Stamp::default() };
        self.core.publish(stamp, &self.history[self.published..], compacted);
        self.published = self.history.len();
    }

    fn changes(&self, read: &Read) -> Outcome {
        if read.next < self.compacted {
            return Outcome::Compacted(self.compacted);
        }
        let wanted = |event: &&Event| read.range.contains(event.kv.key());
        let matching = self.history.iter().filter(|changes| changes.revision >= read.next).filter_map(|changes| {
            let events: Vec<_> = changes.events.iter().filter(wanted).cloned().collect();
            (!events.is_empty()).then_some(Changes { revision: changes.revision, events })
        });
        let changes: Vec<_> = matching.take(PAGE_REVISIONS).collect();
        let complete = changes.len() < PAGE_REVISIONS;
        let end = Revision(self.history.len() as i64 + 1);
        let through = if complete { end } else { changes[PAGE_REVISIONS - 1].revision };
        Outcome::Read(ChangePage { changes, through })
    }
}

fn range(text: &str) -> KeyRange {
    let (start, end) = match text.split_once("..") {
        None => (text, RangeEnd::Single),
        Some((start, "")) => (start, RangeEnd::Unbounded),
        Some((start, end)) => (start, RangeEnd::Before(Bytes::copy_from_slice(end.as_bytes()))),
    };
    KeyRange { start: Bytes::copy_from_slice(start.as_bytes()), end }
}

fn show(due: Due, batch: &WatchBatch) -> Result<String, std::fmt::Error> {
    let mut output = format!("{due:?}: through {}", batch.through);
    if let Some(NowId(number)) = batch.now {
        write!(output, ", now {number} at {} compacted {}", batch.stamp.revision, batch.compacted_to)?;
    }
    writeln!(output)?;
    for (FeedId(feed), next) in &batch.started {
        writeln!(output, "feed {feed} started at {next}")?;
    }
    for part in &batch.events {
        writeln!(output, "feed {} revision {}: {}", part.feed.0, part.revision, events(&part.events))?;
    }
    for (FeedId(feed), compacted) in &batch.compacted {
        writeln!(output, "feed {feed} compacted {compacted}")?;
    }
    for (FeedId(feed), through) in &batch.behind {
        writeln!(output, "feed {feed} behind, through {through}")?;
    }
    for page in &batch.pages {
        match &page.content {
            PageContent::Compacted(revision) => writeln!(output, "page {} compacted {revision}", page.page.0)?,
            PageContent::Events { revisions, through } => {
                writeln!(output, "page {} through {through}", page.page.0)?;
                for (revision, list) in revisions {
                    writeln!(output, "  revision {revision}: {}", events(list))?;
                }
            }
        }
    }
    Ok(output)
}

fn events(events: &[Event]) -> String {
    let show = |event: &Event| {
        let key = String::from_utf8_lossy(event.kv.key()).into_owned();
        let value = |kv: &KeyValue| match kv.fields().value {
            value if value.len() > 20 => format!("{} bytes", value.len()),
            value => String::from_utf8_lossy(value).into_owned(),
        };
        let change = match event.kind {
            EventKind::Put => format!("{key}={}", value(&event.kv)),
            EventKind::Delete => format!("-{key}"),
        };
        event.prev_kv.as_ref().map_or(change.clone(), |kv| format!("{change} (was {})", value(kv)))
    };
    events.iter().map(show).collect::<Vec<_>>().join(" ")
}
