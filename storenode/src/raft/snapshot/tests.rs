//! Runs the scripts in `testscripts/snapshot`: a sender and a receiver, and every message and write in the script's
//! hand.
//!
//! ```text
//!  begin SIZE.. [rate=BYTES]     a snapshot with pieces of these sizes; so many bytes may leave in a tick
//!  tick [COUNT]
//!  read                          the sender has read what it asked for
//!  write                         the receiver has written, or loaded, what it was to
//!  fail                          ... or could not
//!  deliver, drop, repeat         every message under way arrives, is lost, arrives twice
//!  swap                          what is under way arrives in the opposite order
//!  run                           read, deliver, write, tick until nothing happens
//!  disconnect                    the sender hears that messages were lost
//!  forget                        the receiver's process starts again
//!  newer                         another leader's snapshot is begun in the old one's place
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use goldenscript::{Command, Context, Runner};
use internal_proto::{LogIndex, MemberId, Term};

use super::receiver::{self, Receiver};
use super::sender::{self, Sender};
use super::{Piece, Progress, SnapshotId, SnapshotPace};

test_each_file::test_each_path! { in "storenode/testscripts/snapshot" as scripts => run }

/// The last entry in the snapshot.
const INDEX: LogIndex = LogIndex(9);
const LEADER: MemberId = MemberId(1);
/// What a pace's chunk is here: four of them are in flight.
const CHUNK: usize = 10;

fn run(path: &Path) {
    goldenscript::run(&mut Script::default(), path).unwrap();
}

#[derive(Default)]
struct Script {
    sizes: Vec<usize>,
    sender: Option<Sender>,
    receiver: Receiver,
    term: u64,
    rate: u64,
    /// Chunks that the sender has read so far.
    read: usize,
    reading: bool,
    work: Option<receiver::Effect>,
    file: Vec<u8>,
    applied: LogIndex,
    under_way: Vec<Message>,
}

#[derive(Clone, Debug)]
enum Message {
    Piece(u64, Piece),
    Progress(u64, Progress),
}

impl Script {
    fn begin(&mut self) -> String {
        self.term += 1;
        (self.read, self.reading) = (0, false);
        let pace = SnapshotPace { chunk_bytes: CHUNK, window_pieces: 4, bytes_per_second: self.rate };
        self.sender = Some(Sender::new(INDEX, false, pace, 1));
        String::new()
    }

    fn chunk(&self, number: usize) -> Vec<u8> {
        vec![u8::try_from(number).unwrap() + b'a'; self.sizes[number]]
    }

    fn with_sender(&mut self, act: impl FnOnce(&mut Sender, &mut Vec<sender::Effect>)) -> String {
        let mut effects = Vec::new();
        let Some(sender) = &mut self.sender else { return String::new() };
        act(sender, &mut effects);
        let mut output = String::new();
        for effect in effects {
            match effect {
                sender::Effect::Send(piece) => {
                    let end = if piece.last { ", the last" } else { "" };
                    output.push_str(&format!("sends {}+{}{end}\n", piece.offset, piece.data.len()));
                    self.under_way.push(Message::Piece(self.term, piece));
                }
                sender::Effect::Read => self.reading = true,
                sender::Effect::ReadAgain => {
                    output.push_str("reads from the beginning\n");
                    (self.read, self.reading) = (0, true);
                }
                sender::Effect::Installed => {
                    output.push_str("sender: installed\n");
                    self.sender = None;
                }
                sender::Effect::GiveUp => {
                    output.push_str("sender: gives up\n");
                    self.sender = None;
                }
            }
        }
        output
    }

    fn with_receiver(&mut self, act: impl FnOnce(&mut Receiver, &mut Vec<receiver::Effect>)) -> String {
        let mut effects = Vec::new();
        act(&mut self.receiver, &mut effects);
        let mut output = String::new();
        for effect in effects {
            match effect {
                receiver::Effect::Answer(_, snapshot, progress) => {
                    let Progress { wanted, installed } = progress;
                    output.push_str(&if installed { "has it\n".to_owned() } else { format!("wants {wanted}\n") });
                    self.under_way.push(Message::Progress(snapshot.term.0, progress));
                }
                work => self.work = Some(work),
            }
        }
        output
    }

    fn read(&mut self) -> String {
        if !std::mem::take(&mut self.reading) {
            return String::new();
        }
        let end = (self.read + 2).min(self.sizes.len());
        let chunks = (self.read..end).map(|number| self.chunk(number)).collect();
        self.read = end;
        let ended = end == self.sizes.len();
        self.with_sender(|sender, effects| sender.read(chunks, ended, effects))
    }

    fn write(&mut self) -> String {
        match self.work.take() {
            None => String::new(),
            Some(receiver::Effect::Write(portion)) => {
                if portion.first {
                    self.file.clear();
                }
                portion.pieces.iter().for_each(|piece| self.file.extend_from_slice(piece));
                let output = format!("file: {}\n", String::from_utf8_lossy(&self.file));
                output + &self.with_receiver(Receiver::written)
            }
            Some(_) => {
                self.applied = INDEX;
                let whole: Vec<u8> = (0..self.sizes.len()).flat_map(|number| self.chunk(number)).collect();
                assert_eq!(self.file, whole, "what is installed is what was sent");
                format!("installs\n{}", self.with_receiver(Receiver::installed))
            }
        }
    }

    fn arrive(&mut self, message: Message) -> String {
        match message {
            Message::Piece(term, piece) => {
                let (snapshot, applied) = (SnapshotId { term: Term(term), sequence: 1 }, self.applied);
                self.with_receiver(|receiver, effects| receiver.piece(LEADER, snapshot, piece, applied, effects))
            }
            Message::Progress(term, progress) if term == self.term => {
                self.with_sender(|sender, effects| sender.progress(progress, effects))
            }
            Message::Progress(..) => String::new(),
        }
    }

    fn deliver(&mut self, messages: Vec<Message>) -> String {
        messages.into_iter().map(|message| self.arrive(message)).collect()
    }

    fn is_quiet(&self) -> bool {
        self.under_way.is_empty() && self.work.is_none() && !self.reading
    }

    fn run_on(&mut self) -> String {
        /// More than any script needs.
        const ROUNDS: usize = 200;
        let mut output = String::new();
        for _ in 0..ROUNDS {
            output.push_str(&self.read());
            let messages = std::mem::take(&mut self.under_way);
            output.push_str(&self.deliver(messages));
            output.push_str(&self.write());
            output.push_str(&self.with_sender(Sender::tick));
            if self.sender.is_none() && self.is_quiet() {
                return output;
            }
        }
        panic!("the snapshot does not arrive:\n{output}");
    }
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = command.consume_args();
        let mut output = String::new();
        match command.name.as_str() {
            "begin" => {
                self.rate = args.take_key("rate").map_or(Ok(1_000), str::parse)?;
                self.sizes = std::iter::from_fn(|| args.next_pos().map(str::parse)).collect::<Result<_, _>>()?;
                output = self.begin();
            }
            "tick" => {
                for _ in 0..args.next_pos().map_or(Ok(1), str::parse)? {
                    output.push_str(&self.with_sender(Sender::tick));
                }
            }
            "read" => output = self.read(),
            "write" => output = self.write(),
            "fail" => {
                self.work = None;
                output = self.with_receiver(Receiver::forget);
            }
            "deliver" => {
                let messages = std::mem::take(&mut self.under_way);
                output = self.deliver(messages);
            }
            "swap" => {
                let messages = std::mem::take(&mut self.under_way);
                output = self.deliver(messages.into_iter().rev().collect());
            }
            "repeat" => {
                let messages = std::mem::take(&mut self.under_way);
                output = self.deliver([messages.clone(), messages].concat());
            }
            "drop" => writeln!(output, "lost: {}", std::mem::take(&mut self.under_way).len())?,
            "run" => output = self.run_on(),
            "disconnect" => output = self.with_sender(|sender, _| sender.lost()),
            "forget" => (self.receiver, self.work) = (Receiver::default(), None),
            "newer" => output = self.begin(),
            other => return Err(format!("unknown command {other}").into()),
        }
        args.reject_next()?;
        Ok(output)
    }
}
