//! Runs the scripts under `testscripts/`: commands and their expected output, one behaviour a file.
//!
//! ```text
//!  put, delete, txn, compact, grant, revoke, checkpoint, open_session, close_session, publish   one entry each
//!  begin .. commit                                                        the commands between make one entry
//!  get, read_txn, changes, hash, leases, lease, lease_keys, members       through a reader
//!  step, work, history, view, drop, restart, status                       compaction, views, restart
//!  [events] before a write shows its changes, too;  origin=session:sequence:floor numbers a write
//! ```

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use goldenscript::{Argument, Command as ScriptCommand, Context, Runner};
use internal_proto::{
    AuthRevision, Command, CompactRequest, Entry, LeaseCheckpoint, LeaseGrantRequest, LeaseId, LogIndex, Member,
    MemberId, Operation, Origin, Revision, SessionId, Term,
};
use test_each_file::test_each_path;

use super::notation::{self, Words, key_range, number};
use crate::engine::loading::Loading;
use crate::engine::memory::MemoryEngine;
use crate::engine::mirror::MirrorEngine;
use crate::engine::rocksdb::RocksEngine;
use crate::engine::{ChangeId, Engine, Version};
use crate::state::{Applied, Input, LeaseChange, Limits, Reader, State, View};

test_each_path! { in "storenode/testscripts/mvcc" as mvcc => run }
test_each_path! { in "storenode/testscripts/txn" as txn => run }
test_each_path! { in "storenode/testscripts/lease" as lease => run }
test_each_path! { in "storenode/testscripts/session" as session => run }
test_each_path! { in "storenode/testscripts/compaction" as compaction => run }
test_each_path! { in "storenode/testscripts/engine" as engine => run }

fn run(path: &Path) {
    goldenscript::run(&mut Script::new(), path).unwrap();
}

type Mirror = MirrorEngine<MemoryEngine, RocksEngine>;

struct Script {
    state: State,
    reader: Reader,
    views: BTreeMap<String, View>,
    /// The entry between `begin` and `commit`.
    open: Option<Vec<Command>>,
}

/// Small enough for scripts to reach.
const LIMITS: Limits = Limits { session_in_flight: 4, session_answer_bytes: 64 };

fn mirror() -> Arc<Mirror> {
    Arc::new(MirrorEngine::new(MemoryEngine::new(), RocksEngine::ephemeral()))
}

impl Script {
    fn new() -> Self {
        Self::on(mirror())
    }

    fn on(engine: Arc<Mirror>) -> Self {
        let state = State::open(engine, LIMITS).unwrap();
        Self { reader: state.reader(), state, views: BTreeMap::new(), open: None }
    }

    fn apply(&mut self, input: Input) -> Applied {
        let (index, term) = self.reader.applied();
        self.state.apply(index.next(), Term(term.0.max(1)), input)
    }

    fn write(&mut self, operation: Operation, words: &mut Words, context: &Context) -> String {
        let origin = words.text("origin").map(|text| {
            let [session, sequence, floor] = text.split(':').map(|part| part.parse().unwrap()).collect::<Vec<_>>()[..]
            else {
                panic!("an origin is session:sequence:floor");
            };
            Origin { session: SessionId(session), sequence, floor }
        });
        let command = Command { origin, auth: AuthRevision(1), operation };
        match &mut self.open {
            Some(commands) => {
                commands.push(command);
                String::new()
            }
            None => self.commit(vec![command], context),
        }
    }

    fn commit(&mut self, commands: Vec<Command>, context: &Context) -> String {
        let applied = self.apply(Input::Commands(Entry { commands }));
        let mut out = String::new();
        for outcome in &applied.outcomes {
            match &outcome.result {
                Ok(response) => out += &notation::show_response(response),
                Err(error) => writeln!(out, "refused: {error}").unwrap(),
            }
        }
        if context.tags.contains("events") {
            for changes in &applied.changes {
                writeln!(out, "revision {}", changes.revision).unwrap();
                changes.events.iter().for_each(|event| writeln!(out, "  {}", notation::show_event(event)).unwrap());
            }
            for change in &applied.leases {
                writeln!(out, "{}", show_lease_change(*change)).unwrap();
            }
        }
        out
    }

    fn status(&self) -> String {
        let position = self.reader.position();
        let done = self.reader.compaction_done_through();
        format!("revision {} compacted {} dropped through {done}\n", position.revision, position.compacted)
    }

    /// Loads everything a view holds into empty engines, as after a checkpoint.
    fn restart(&mut self) -> String {
        let view = self.reader.view();
        let engine = mirror();
        let mut loading = Loading::new(&*engine);
        loading.small_records(view.small_records().to_vec());
        let mut last = ChangeId::default();
        loop {
            let versions = view.versions(last, 3);
            let Some(version) = versions.last() else { break };
            last = version.id;
            loading.versions(versions);
        }
        loading.finish(view.position());
        assert_eq!(history(&self.reader.view()), history(&view));
        *self = Self::on(engine);
        self.status()
    }

    fn operation(name: &str, words: &mut Words) -> Option<Operation> {
        Some(match name {
            "put" => Operation::Put(notation::put(words)),
            "delete" => Operation::DeleteRange(notation::delete(words)),
            "txn" => Operation::Txn(notation::txn(&mut words.rest().into_iter())),
            "compact" => {
                Operation::Compact(CompactRequest { revision: Revision(number(&words.next())), physical: false })
            }
            "grant" => {
                let id = LeaseId(number(&words.next()));
                Operation::LeaseGrant(LeaseGrantRequest { id, ttl: number(&words.next()) })
            }
            "revoke" => Operation::LeaseRevoke(LeaseId(number(&words.next()))),
            "checkpoint" => {
                let id = LeaseId(number(&words.next()));
                Operation::LeaseCheckpoint(vec![LeaseCheckpoint { id, remaining_ttl: number(&words.next()) }])
            }
            "open_session" => Operation::OpenSession,
            "close_session" => Operation::CloseSession(SessionId(words.next().parse().unwrap())),
            "publish" => {
                let id = MemberId(words.next().parse().unwrap());
                let (name, learner) = (words.next(), words.flag("learner"));
                Operation::PublishMember(Member { id, name, learner, ..Member::default() })
            }
            _ => return None,
        })
    }

    fn read(&self, name: &str, words: &mut Words) -> String {
        let reader = &self.reader;
        match name {
            "get" => reader.range(&notation::range(words)).map_or_else(refused, |range| notation::show_range(&range)),
            "read_txn" => {
                let request = notation::txn(&mut words.rest().into_iter());
                reader.txn(&request).map_or_else(refused, |txn| notation::show_txn(&txn))
            }
            "changes" => {
                let from = Revision(words.number("from").unwrap());
                let max_bytes = words.number("max_bytes").map_or(usize::MAX, |max| max.try_into().unwrap());
                self.changes(&words.next(), from, max_bytes)
            }
            "lease" => match reader.lease(LeaseId(number(&words.next()))) {
                Some(lease) => format!("ttl={} remaining={}\n", lease.ttl, lease.remaining),
                None => "none\n".into(),
            },
            "leases" => reader.leases().iter().map(|(id, lease)| format!("{} ttl={}\n", id.0, lease.ttl)).collect(),
            "lease_keys" => {
                let keys = reader.lease_keys(LeaseId(number(&words.next())));
                keys.iter().map(|key| format!("{}\n", key.escape_ascii())).collect()
            }
            "members" => {
                let show = |member: Member| format!("{} {} learner={}\n", member.id, member.name, member.learner);
                reader.members().into_iter().map(show).collect()
            }
            "status" => self.status(),
            _ => panic!("no command {name}"),
        }
    }

    fn changes(&self, range: &str, from: Revision, max_bytes: usize) -> String {
        let page = match self.reader.changes(&key_range(range), from, max_bytes) {
            Ok(page) => page,
            Err(error) => return refused(error),
        };
        let mut out = String::new();
        for changes in &page.changes {
            writeln!(out, "revision {}", changes.revision).unwrap();
            changes.events.iter().for_each(|event| writeln!(out, "  {}", notation::show_event(event)).unwrap());
        }
        writeln!(out, "through {}", page.through).unwrap();
        out
    }
}

fn refused(error: internal_proto::Error) -> String {
    format!("refused: {error}\n")
}

fn show_lease_change(change: LeaseChange) -> String {
    match change {
        LeaseChange::Granted { id, ttl } => format!("lease {} granted ttl={ttl}", id.0),
        LeaseChange::Revoked { id } => format!("lease {} revoked", id.0),
        LeaseChange::Checkpointed { id, remaining } => format!("lease {} checkpointed remaining={remaining}", id.0),
    }
}

fn history(view: &View) -> String {
    let show = |version: &Version| {
        let id = version.id;
        let what = if version.is_tombstone() {
            format!("{} deleted", version.kv.key().escape_ascii())
        } else {
            notation::show_kv(&version.kv)
        };
        format!("{}.{} {what}\n", id.revision, id.sub)
    };
    let mut out = String::new();
    let mut last = ChangeId::default();
    loop {
        let versions = view.versions(last, usize::MAX);
        let Some(version) = versions.last() else { return out };
        last = version.id;
        out.extend(versions.iter().map(show));
    }
}

impl Runner for Script {
    type Command = ScriptCommand;

    fn run(&mut self, command: &ScriptCommand, context: &Context) -> Result<String, Box<dyn StdError>> {
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        for argument in &command.args {
            match argument {
                Argument::Positional(word) => positional.push(word.clone()),
                Argument::KeyValue(name, value) => named.push((name.clone(), value.clone())),
                other => return Err(format!("no use for {other}").into()),
            }
        }
        let mut words = Words::new(positional, named);
        let out = match command.name.as_str() {
            "begin" => {
                self.open = Some(Vec::new());
                String::new()
            }
            "commit" => {
                let commands = self.open.take().ok_or("nothing was begun")?;
                self.commit(commands, context)
            }
            "step" => {
                let more = self.reader.compact_step(words.number("budget").map_or(1_000, |n| n.try_into().unwrap()));
                format!("{}, {}", if more { "more to do" } else { "nothing more" }, self.status())
            }
            "history" => match words.text("of") {
                Some(name) => history(&self.views[&name]),
                None => history(&self.reader.view()),
            },
            "view" => {
                self.views.insert(words.next(), self.reader.view());
                String::new()
            }
            "drop" => {
                self.views.remove(&words.next()).ok_or("no such view")?;
                String::new()
            }
            "restart" => self.restart(),
            name => match Self::operation(name, &mut words) {
                Some(operation) => self.write(operation, &mut words, context),
                None => self.read(name, &mut words),
            },
        };
        words.done();
        Ok(out)
    }
}

#[test]
fn entries_are_applied_in_order_only() {
    let mut state = State::open(mirror(), LIMITS).unwrap();
    state.apply(LogIndex(1), Term(1), Input::Nothing);
    let again = std::panic::AssertUnwindSafe(|| state.apply(LogIndex(1), Term(1), Input::Nothing));
    assert!(std::panic::catch_unwind(again).is_err());
}

#[test]
fn the_membership_is_kept_with_its_index() {
    let mut state = State::open(mirror(), LIMITS).unwrap();
    assert_eq!(state.reader().conf_state(), None);
    state.apply(LogIndex(1), Term(3), Input::ConfState("voters 1".into()));
    assert_eq!(state.reader().conf_state(), Some("voters 1".into()));
    assert_eq!(state.reader().applied(), (LogIndex(1), Term(3)));
    assert!(mirror().position().applied < LogIndex(1));
}
