//! Runs the scripts. The log has segments of 1 KiB in `/log`, on a disk in memory.
//!
//! ```text
//!   open [cluster=ID] [member=ID] [segment=BYTES]              close        stop it; nothing is lost
//!   append INDEX=DATA .. [term=T] [size=BYTES of data]         sync         one write and one fdatasync
//!   hard-state term=T [vote=M] [commit=I]                      flush        one write
//!   start index=I term=T conf=TEXT                             trim I       give entries up through I
//!   entries FROM TO [max=BYTES]                                term I       of an entry
//!   dump      the files and the log                            room         what is left of the segment
//!   records FILE   what checks in it                           spare        make one if there is none
//!   lose-unsynced  the power fails                             fail-sync    the next sync fails
//!   fill-disk, free-disk                                       ignore-syncs plants a fault
//!   flip|zero FILE OFFSET [BYTES] | resize FILE BYTES | remove FILE | exchange FILE FILE | newer FILE
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use internal_proto::{ClusterId, LogIndex, MemberId, Term};

use super::super::record::{self, Kind, Position};
use super::super::{HardState, Log, Options, Record, Start, payload};
use super::{IDENTITY, entry};
use crate::files::{Files, PowerLoss};

test_each_file::test_each_path! { in "storenode/testscripts/log" as scripts => run }

const DIR: &str = "/log";
const SEGMENT_BYTES: u32 = 1024;

fn run(path: &Path) {
    goldenscript::run(&mut Script { files: PowerLoss::new(1), log: None }, path).unwrap();
}

struct Script {
    files: PowerLoss,
    log: Option<Log>,
}

type Output = Result<String, Box<dyn Error>>;

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Output {
        let mut args = command.consume_args();
        let output = match command.name.as_str() {
            "open" => self.open(&mut args)?,
            "close" => {
                self.log = None;
                String::new()
            }
            "append" | "hard-state" | "start" => self.append(&command.name, &mut args)?,
            "sync" => {
                let synced = self.log()?.sync()?;
                format!("durable through {}, {} bytes", synced.last, synced.bytes)
            }
            "flush" => self.log()?.flush().map(|()| String::new())?,
            "trim" => {
                let through = LogIndex(number(&mut args)?);
                format!("{} segments", self.log()?.trim(through)?)
            }
            "term" => {
                let index = LogIndex(number(&mut args)?);
                self.log()?.term(index)?.to_string()
            }
            "entries" => self.entries(&mut args)?,
            "room" => {
                let log = self.log()?;
                format!("{:?}, {} bytes", log.reserve(), log.room())
            }
            "spare" => format!("{:?}", self.log()?.retry_reserve()?),
            "dump" => self.dump()?,
            "records" => self.records(&mut args)?,
            name => self.disk(name, &mut args)?,
        };
        args.reject_next()?;
        Ok(output)
    }
}

impl Script {
    fn log(&mut self) -> Result<&mut Log, Box<dyn Error>> {
        self.log.as_mut().ok_or_else(|| "the log is closed".into())
    }

    fn open(&mut self, args: &mut ArgumentConsumer<'_>) -> Output {
        let mut identity = IDENTITY;
        if let Some(cluster) = args.take_key("cluster") {
            identity.cluster = ClusterId(u64::from_str_radix(cluster, 16)?);
        }
        if let Some(member) = args.take_key("member") {
            identity.member = MemberId(u64::from_str_radix(member, 16)?);
        }
        let segment_bytes = args.take_key("segment").map_or(Ok(SEGMENT_BYTES), str::parse)?;
        let options = Options { identity, segment_bytes };
        let (log, recovered) = Log::open(Arc::new(self.files.clone()), Path::new(DIR), options)?;
        self.log = Some(log);
        let HardState { term, vote, commit } = recovered.hard_state;
        let mut output = format!("entries {}..={}, ", recovered.first, recovered.last);
        write!(output, "term {term} vote {vote} commit {commit}")?;
        if let Some(Start { index, term, conf_state }) = recovered.start {
            write!(output, ", starts after {index} of term {term} with {conf_state:?}")?;
        }
        if let Some(cut) = recovered.cut {
            write!(output, ", cut {} at {}", cut.file.display(), cut.offset)?;
        }
        Ok(output)
    }

    fn append(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Output {
        let term = args.take_key("term").map_or(Ok(1), str::parse)?;
        let log = self.log()?;
        match name {
            "hard-state" => {
                let vote = MemberId(args.take_key("vote").map_or(Ok(0), |vote| u64::from_str_radix(vote, 16))?);
                let commit = LogIndex(args.take_key("commit").map_or(Ok(0), str::parse)?);
                log.append(&[Record::HardState(HardState { term: Term(term), vote, commit })])?;
            }
            "start" => {
                let index = LogIndex(args.take_key("index").ok_or("start needs index=")?.parse()?);
                let conf_state = Bytes::copy_from_slice(args.take_key("conf").unwrap_or_default().as_bytes());
                log.append(&[Record::Start(&Start { index, term: Term(term), conf_state })])?;
            }
            _ => {
                let size: usize = args.take_key("size").map_or(Ok(0), str::parse)?;
                let mut entries = Vec::new();
                while let Some((index, data)) = args.next_key() {
                    let mut data = data.as_bytes().to_vec();
                    data.resize(data.len().max(size), b'.');
                    entries.push(entry(index.parse()?, term, data));
                }
                log.append(&[Record::Entries(&entries)])?;
            }
        }
        Ok(String::new())
    }

    fn entries(&mut self, args: &mut ArgumentConsumer<'_>) -> Output {
        let max = args.take_key("max").map_or(Ok(usize::MAX), str::parse)?;
        let (from, to) = (LogIndex(number(args)?), LogIndex(number(args)?));
        let entries = self.log()?.entries(from, to, max)?;
        let mut output = String::new();
        for entry in entries {
            let data = String::from_utf8_lossy(&entry.data);
            let (index, term) = (entry.index, entry.term);
            writeln!(output, "{index} of term {term}: {}", data.trim_end_matches('.'))?;
        }
        Ok(output)
    }

    fn dump(&mut self) -> Output {
        let mut output = String::new();
        for name in self.files.list(Path::new(DIR))? {
            writeln!(output, "{name} {} bytes", self.files.read(&path(&name))?.len())?;
        }
        if let Some(log) = &mut self.log {
            let (first, last) = (log.first_index(), log.last_index());
            writeln!(output, "entries {first}..={last}, {} bytes", log.bytes_since(LogIndex(0)))?;
        }
        Ok(output)
    }

    /// Every record that checks, at whatever multiple of 8 it lies.
    fn records(&mut self, args: &mut ArgumentConsumer<'_>) -> Output {
        let name = args.next_pos().ok_or("records needs a file")?;
        let segment = u64::from_str_radix(name.split('.').next().unwrap_or_default(), 16)?;
        let bytes = self.files.read(&path(name))?;
        let mut output = String::new();
        for offset in (0..bytes.len()).step_by(record::ALIGNMENT) {
            let at = Position { segment, offset: u32::try_from(offset)? };
            let Some(record) = record::check(&bytes[offset..], at) else { continue };
            write!(output, "{offset}: {:?}", record.kind.ok_or("unknown kind")?)?;
            if record.kind == Some(Kind::Entries) {
                let indexes: Vec<_> = payload::entries(record.payload).map(|view| view.unwrap().index.0).collect();
                write!(output, " {indexes:?}")?;
            }
            writeln!(output, ", durable was {}", record.synced)?;
        }
        Ok(output)
    }

    fn disk(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Output {
        match name {
            "fill-disk" => self.files.set_capacity(Some(self.files.used())),
            "free-disk" => self.files.set_capacity(None),
            "fail-sync" => self.files.fail_sync_after(Some(0)),
            "ignore-syncs" => self.files.ignore_syncs(true),
            "lose-unsynced" => {
                self.log = None;
                self.files.lose_unsynced();
            }
            _ => return self.damage(name, args),
        }
        Ok(String::new())
    }

    fn damage(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Output {
        let file = path(args.next_pos().ok_or("which file?")?);
        match name {
            "flip" | "zero" => {
                let offset: usize = number(args)?;
                let bytes: usize = args.next_pos().map_or(Ok(1), str::parse)?;
                self.files.damage(&file, |content| {
                    for byte in &mut content[offset..offset + bytes] {
                        *byte = if name == "flip" { !*byte } else { 0 };
                    }
                })?;
            }
            "resize" => {
                let bytes = number(args)?;
                self.files.damage(&file, |content| content.resize(bytes, 0))?;
            }
            "remove" => self.files.remove(&file)?,
            "exchange" => {
                let other = path(args.next_pos().ok_or("with which file?")?);
                let third = path("third");
                self.files.rename(&file, &third)?;
                self.files.rename(&other, &file)?;
                self.files.rename(&third, &other)?;
            }
            "newer" => self.files.damage(&file, |content| {
                content[8] += 1;
                let crc = crc32c::crc32c(&content[..12]);
                content[12..16].copy_from_slice(&crc.to_le_bytes());
            })?,
            name => return Err(format!("unknown command {name}").into()),
        }
        Ok(String::new())
    }
}

/// Scripts write `1.segment` for `0000000000000001.segment`.
fn path(name: &str) -> PathBuf {
    let (number, suffix) = name.split_once('.').unwrap_or((name, ""));
    if suffix.is_empty() { Path::new(DIR).join(name) } else { Path::new(DIR).join(format!("{number:0>16}.{suffix}")) }
}

fn number<T: std::str::FromStr>(args: &mut ArgumentConsumer<'_>) -> Result<T, Box<dyn Error>>
where
    T::Err: Error + 'static,
{
    Ok(args.next_pos().ok_or("a number is missing")?.parse()?)
}
