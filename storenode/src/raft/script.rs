//! Runs the scripts in `testscripts/raft`: several cores, with every message and every sync in the script's hand.
//!
//! ```text
//!  cluster N                       N voters, empty logs; entries are applied as soon as they are committed
//!  campaign NODE                   ask for an election now
//!  tick NODE COUNT
//!  propose NODE TEXT
//!  confirm NODE SEQUENCE           ask a quorum to confirm a round of barriers
//!  sync NODE                       what the node has given to its log is durable
//!  deliver [from=NODE] [to=NODE]   once, what is under way; prints it
//!  drop [from=NODE] [to=NODE]      lose what is under way; prints it
//!  settle                          deliver and sync until nothing is under way
//!  partition NODE, heal            from here on the node's messages are lost, both ways; until healed
//!  lose NODE                       power loss: the node starts again with what it has synced
//!  trim NODE FIRST                 the files of the node's log begin here
//!  hold NODE FOLLOWER              hold a snapshot of all that the node has applied ready for a follower
//!  arrived NODE FOLLOWER           the node hears that the follower has installed it
//!  wipe NODE                       the node's disk was emptied: it starts again to join
//! ```
//! A node's own outputs are printed as they come: `1: leads in term 2`, `1: applies 3 text`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use goldenscript::{Command, Context, Runner};
use internal_proto::{LogIndex, MemberId, Term};
use raft::SnapshotStatus;
use raft::eraftpb::{Entry, HardState, Message, SnapshotMetadata};

use super::core::{Core, Input, LogJob, Output, ReadyNumber, Round, Timing};
use super::membership;
use super::window::{Held, Lack, Origin};
use crate::log::Start;

test_each_file::test_each_path! { in "storenode/testscripts/raft" as scripts => run }

fn run(path: &Path) {
    let script = &mut Script { nodes: Vec::new(), messages: Vec::new(), partitioned: None };
    goldenscript::run(script, path).unwrap();
}

/// What the log of `count` founders begins after, or of a member that joins if there are none.
fn begin(count: u64) -> Start {
    let at = u64::from(count > 0);
    let conf_state = membership::encode(&membership::first((1..=count).map(MemberId)));
    Start { index: LogIndex(at), term: Term(at), conf_state }
}

struct Script {
    nodes: Vec<Node>,
    messages: Vec<Message>,
    partitioned: Option<u64>,
}

struct Node {
    core: Core,
    /// Given to the log, not yet durable.
    jobs: Vec<LogJob>,
    /// Durable.
    start: Start,
    entries: Vec<Entry>,
    hard_state: HardState,
    applied: LogIndex,
}

fn core(node: u64, start: &Start, hard_state: HardState, entries: &[Entry]) -> Core {
    let mut terms = vec![(start.index, start.term)];
    for entry in entries {
        terms.push((LogIndex(entry.index), Term(entry.term)));
    }
    terms.dedup_by_key(|(_, term)| *term);
    let conf_state = membership::decode(&start.conf_state).unwrap();
    let origin = Origin { hard_state, conf_state, first: start.index.next(), applied: start.index, terms };
    let timing = Timing { heartbeat: 1, election: 10, first_election: 10, election_end: 11, pre_vote: true };
    Core::new(MemberId(node), timing, origin, entries).unwrap()
}

impl Node {
    fn new(node: u64, start: Start) -> Self {
        let mut hard_state = HardState::default();
        (hard_state.term, hard_state.commit) = (start.term.0, start.index.0);
        let (core, applied) = (core(node, &start, hard_state.clone(), &[]), start.index);
        Self { core, jobs: Vec::new(), start, entries: Vec::new(), hard_state, applied }
    }

    fn sync(&mut self) -> Option<ReadyNumber> {
        let number = self.jobs.last()?.number;
        for job in self.jobs.drain(..) {
            if let Some(start) = job.start {
                self.start = start;
                self.entries.clear();
            }
            if let Some(first) = job.entries.first() {
                self.entries.retain(|entry| entry.index < first.index);
            }
            self.entries.extend(job.entries);
            self.hard_state = job.hard_state.unwrap_or(self.hard_state.clone());
        }
        Some(number)
    }
}

impl Script {
    fn node(&mut self, id: u64) -> &mut Node {
        &mut self.nodes[usize::try_from(id).unwrap() - 1]
    }

    fn step(&mut self, id: u64, input: Input) -> String {
        let mut outputs = Vec::new();
        self.node(id).core.step(input, &mut outputs);
        self.perform(id, outputs)
    }

    fn perform(&mut self, id: u64, mut outputs: Vec<Output>) -> String {
        let mut text = String::new();
        loop {
            self.node(id).core.drain(&mut outputs);
            if outputs.is_empty() {
                return text;
            }
            let mut follow_up = Vec::new();
            for output in std::mem::take(&mut outputs) {
                text.push_str(&self.perform_one(id, output, &mut follow_up));
            }
            outputs = follow_up;
        }
    }

    fn perform_one(&mut self, id: u64, output: Output, follow_up: &mut Vec<Output>) -> String {
        match output {
            Output::Log(job) => {
                self.node(id).jobs.push(job);
                String::new()
            }
            Output::Send(messages) => {
                let lost = |message: &Message| [Some(message.from), Some(message.to)].contains(&self.partitioned);
                self.messages.extend(messages.into_iter().filter(|message| !lost(message)));
                String::new()
            }
            Output::Apply(entries) => {
                let last = LogIndex(entries.last().unwrap().index);
                let node = self.node(id);
                node.applied = last;
                node.core.step(Input::Applied(last), follow_up);
                entries.iter().map(|entry| format!("{id}: applies {}\n", name(entry))).collect()
            }
            Output::Readable(round, index) => format!("{id}: round {} may read at {index}\n", round.sequence),
            Output::Lacking(follower, Lack::Entries) => format!("{id}: {follower} lacks entries\n"),
            Output::Lacking(follower, Lack::Everything) => format!("{id}: {follower} lacks everything\n"),
            Output::Role(role) if role.leads => format!("{id}: leads in term {}\n", role.term),
            Output::Role(role) => {
                let leader = role.leader.map_or("nobody".to_owned(), |leader| leader.to_string());
                format!("{id}: follows {leader} in term {}\n", role.term)
            }
            Output::Fetch(fetch) => {
                let text = format!("{id}: fetches {}..{}\n", fetch.low, fetch.high);
                let wanted = fetch.low.0..fetch.high.0;
                let entries = &self.node(id).entries;
                let entries = entries.iter().filter(|entry| wanted.contains(&entry.index)).cloned().collect();
                self.node(id).core.step(Input::Fetched(fetch, entries), follow_up);
                text
            }
        }
    }

    fn sync(&mut self, id: u64) -> String {
        let Some(number) = self.node(id).sync() else { return String::new() };
        let mut output = self.step(id, Input::Logged(number));
        let node = self.node(id);
        let begins = node.start.index;
        if node.applied < begins {
            node.applied = begins;
            output.push_str(&format!("{id}: begins after {begins}\n"));
            output.push_str(&self.step(id, Input::Applied(begins)));
        }
        output
    }

    /// Takes what is under way between the nodes named.
    fn take(&mut self, from: Option<u64>, to: Option<u64>) -> Vec<Message> {
        let matches =
            |message: &Message| from.is_none_or(|from| message.from == from) && to.is_none_or(|to| message.to == to);
        let (taken, kept) = std::mem::take(&mut self.messages).into_iter().partition(matches);
        self.messages = kept;
        taken
    }

    fn settle(&mut self) -> String {
        /// Far more than any script needs.
        const ROUNDS: usize = 100;
        let mut output = String::new();
        for _ in 0..ROUNDS {
            for id in 1..=self.nodes.len() as u64 {
                output.push_str(&self.sync(id));
            }
            for message in self.take(None, None) {
                output.push_str(&self.step(message.to, Input::Message(message)));
            }
            if self.messages.is_empty() && self.nodes.iter().all(|node| node.jobs.is_empty()) {
                return output;
            }
        }
        panic!("the cluster does not settle");
    }

    fn lose(&mut self, id: u64) {
        let node = self.node(id);
        node.jobs.clear();
        node.core = core(id, &node.start, node.hard_state.clone(), &node.entries);
        node.applied = node.start.index;
        self.messages.retain(|message| message.from != id);
    }
}

fn name(entry: &Entry) -> String {
    let text = if entry.data.is_empty() { "nothing".into() } else { String::from_utf8_lossy(&entry.data) };
    format!("{} {text}", entry.index)
}

fn describe(message: &Message) -> String {
    let kind = format!("{:?}", message.get_msg_type());
    let entries: Vec<_> = message.entries.iter().map(name).collect();
    let reject = if message.reject { " refused" } else { "" };
    let entries = if entries.is_empty() { String::new() } else { format!(" [{}]", entries.join(", ")) };
    format!("{} → {}: {}{reject}{entries}\n", message.from, message.to, kind.trim_start_matches("Msg"))
}

impl Script {
    /// Has a leader hold a snapshot of what it has applied ready.
    fn hold(&mut self, id: u64, follower: MemberId) -> Result<String, Box<dyn Error>> {
        let members = membership::first((1..=self.nodes.len() as u64).map(MemberId));
        let node = self.node(id);
        let mut metadata = SnapshotMetadata { index: node.applied.0, ..SnapshotMetadata::default() };
        let entry = node.entries.iter().find(|entry| entry.index == metadata.index);
        metadata.term = entry.ok_or("the last entry applied is not durable")?.term;
        metadata.set_conf_state(members);
        Ok(self.step(id, Input::Hold(Some(Held { follower, lack: Lack::Everything, metadata }))))
    }
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = command.consume_args();
        let from = args.take_key("from").map(str::parse).transpose()?;
        let to = args.take_key("to").map(str::parse).transpose()?;
        let mut next = || args.next_pos().ok_or("an argument is missing");
        let mut output = String::new();
        match command.name.as_str() {
            "cluster" => {
                let count = next()?.parse()?;
                self.nodes = (1..=count).map(|id| Node::new(id, begin(count))).collect();
            }
            "campaign" => output = self.step(next()?.parse()?, Input::Campaign),
            "tick" => {
                let id = next()?.parse()?;
                for _ in 0..next()?.parse()? {
                    output.push_str(&self.step(id, Input::Tick));
                }
            }
            "propose" => {
                let id = next()?.parse()?;
                match self.node(id).core.propose(next()?.as_bytes().to_vec()) {
                    Ok((index, term)) => writeln!(output, "{id}: proposed at {index} in term {term}")?,
                    Err(error) => writeln!(output, "{id}: {error}")?,
                }
                output.push_str(&self.perform(id, Vec::new()));
            }
            "confirm" => {
                let id: u64 = next()?.parse()?;
                let round = Round { term: Term(self.node(id).hard_state.term), sequence: next()?.parse()? };
                output = self.step(id, Input::Confirm(round));
            }
            "sync" => output = self.sync(next()?.parse()?),
            "deliver" => {
                for message in self.take(from, to) {
                    output.push_str(&describe(&message));
                    output.push_str(&self.step(message.to, Input::Message(message)));
                }
            }
            "drop" => output = self.take(from, to).iter().map(describe).collect(),
            "settle" => output = self.settle(),
            "partition" => {
                let id = next()?.parse()?;
                self.partitioned = Some(id);
                self.messages.retain(|message| message.from != id && message.to != id);
            }
            "heal" => self.partitioned = None,
            "lose" => self.lose(next()?.parse()?),
            "hold" => output = self.hold(next()?.parse()?, MemberId(next()?.parse()?))?,
            "arrived" => {
                let (id, follower) = (next()?.parse()?, MemberId(next()?.parse()?));
                output = self.step(id, Input::SnapshotEnded(follower, SnapshotStatus::Finish));
            }
            "wipe" => {
                let id = next()?.parse()?;
                *self.node(id) = Node::new(id, begin(0));
                self.messages.retain(|message| message.from != id && message.to != id);
            }
            "trim" => {
                let id = next()?.parse()?;
                let first = LogIndex(next()?.parse()?);
                let node = self.node(id);
                node.entries.retain(|entry| entry.index >= first.0);
                output = self.step(id, Input::Trimmed(first));
            }
            other => return Err(format!("unknown command {other}").into()),
        }
        args.reject_next()?;
        Ok(output)
    }
}
