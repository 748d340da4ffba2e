//! Runs the scripts. Checkpoints are in `/data`, on a disk in memory, with chunks of 128 bytes.
//!
//! ```text
//!   put KEY=VALUE .. [lease=ID] [size=BYTES of a value]   one revision        delete KEY ..   one revision
//!   set lease|member|session|conf|answer [ID [SEQUENCE]] TEXT                 compact REVISION
//!   write, load [cluster=ID] [member=ID]                   load replaces the store
//!   dump          the store                                files, chunks FILE
//!   flip FILE OFFSET [BYTES] | resize FILE BYTES | rename FILE NAME | newer FILE | leftover NAME
//!   exchange-chunks FILE N M | remove-chunk FILE N | keep FILE, put-back   a copy of a file outlives its removal
//!   fill-disk [BYTES left], free-disk | fail-sync | cut OPERATIONS, power-loss
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use internal_proto::{ClusterId, LeaseId, MemberId, Revision, SessionId};

use super::super::Checkpoint;
use super::IDENTITY;
use super::damage::{chunks, exchange, make_newer, without};
use super::store::Store;
use crate::engine::SmallKey;
use crate::files::{Files, PowerLoss};
use crate::identity::Identity;

test_each_file::test_each_path! { in "storenode/testscripts/checkpoint" as scripts => run }

const DIR: &str = "/data";

fn run(path: &Path) {
    let script = &mut Script { files: PowerLoss::new(1), store: Store::new(), kept: None };
    goldenscript::run(script, path).unwrap();
}

struct Script {
    files: PowerLoss,
    store: Store,
    kept: Option<(PathBuf, Vec<u8>)>,
}

type Output = Result<String, Box<dyn Error>>;

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Output {
        let mut args = command.consume_args();
        let output = match command.name.as_str() {
            "put" | "delete" => self.change(&command.name, &mut args)?,
            "set" => self.set(&mut args)?,
            "compact" => {
                self.store.compact(Revision(number(&mut args)?));
                String::new()
            }
            "write" => {
                let written = self.store.write(&self.files, Path::new(DIR), identity(&mut args)?)?;
                describe(Some(written))
            }
            "load" => {
                let (store, loaded) = Store::load(&self.files, Path::new(DIR), identity(&mut args)?)?;
                self.store = store;
                describe(loaded)
            }
            "dump" => self.store.dump(),
            "files" => self.list()?,
            "chunks" => {
                let bytes = self.files.read(&path(&mut args)?)?;
                let mut output = String::new();
                for (number, chunk) in chunks(&bytes).into_iter().enumerate() {
                    writeln!(
                        output,
                        "{number}: kind {}, {} bytes at {}",
                        bytes[chunk.start],
                        chunk.len(),
                        chunk.start
                    )?;
                }
                output
            }
            name => self.disk(name, &mut args)?,
        };
        args.reject_next()?;
        Ok(output)
    }
}

impl Script {
    fn change(&self, name: &str, args: &mut ArgumentConsumer<'_>) -> Output {
        let lease = LeaseId(args.take_key("lease").map_or(Ok(0), str::parse)?);
        let size: usize = args.take_key("size").map_or(Ok(0), str::parse)?;
        let mut changes = Vec::new();
        while name == "delete"
            && let Some(key) = args.next_pos()
        {
            changes.push((key, None));
        }
        while name == "put"
            && let Some((key, value)) = args.next_key()
        {
            let mut value = value.as_bytes().to_vec();
            value.resize(value.len().max(size), b'.');
            changes.push((key, Some(value)));
        }
        let changes: Vec<_> = changes.iter().map(|(key, value)| (*key, value.as_deref())).collect();
        self.store.change(&changes, lease);
        Ok(String::new())
    }

    fn set(&self, args: &mut ArgumentConsumer<'_>) -> Output {
        let key = match args.next_pos().ok_or("set what?")? {
            "conf" => SmallKey::ConfState,
            "lease" => SmallKey::Lease(LeaseId(number(args)?)),
            "member" => SmallKey::Member(MemberId(number(args)?)),
            "session" => SmallKey::Session(SessionId(number(args)?)),
            "answer" => SmallKey::SessionAnswer(SessionId(number(args)?), number(args)?),
            kind => return Err(format!("unknown kind {kind}").into()),
        };
        self.store.set(key, args.next_pos().ok_or("which text?")?);
        Ok(String::new())
    }

    fn list(&self) -> Output {
        let mut output = String::new();
        for name in self.files.list(Path::new(DIR))? {
            let bytes = self.files.read(&Path::new(DIR).join(&name))?.len();
            writeln!(output, "{name} {bytes} bytes")?;
        }
        Ok(output)
    }

    fn disk(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Output {
        match name {
            "fill-disk" => {
                let left: u64 = args.next_pos().map_or(Ok(0), str::parse)?;
                self.files.set_capacity(Some(self.files.used() + left));
            }
            "free-disk" => self.files.set_capacity(None),
            "fail-sync" => self.files.fail_sync_after(Some(0)),
            "cut" => self.files.cut_power_after(number(args)?),
            "power-loss" => self.files.power_loss(),
            "leftover" => {
                let file = self.files.create(&path(args)?)?;
                file.write_at(b"half of a checkpoint", 0)?;
            }
            "put-back" => {
                let (path, bytes) = self.kept.take().ok_or("no file is kept")?;
                self.files.create(&path)?.write_at(&bytes, 0)?;
            }
            _ => return self.damage(name, args),
        }
        Ok(String::new())
    }

    fn damage(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Output {
        let file = path(args)?;
        let mut bytes = self.files.read(&file)?;
        match name {
            "keep" => self.kept = Some((file.clone(), bytes.clone())),
            "rename" => {
                self.files.rename(&file, &path(args)?)?;
                return Ok(String::new());
            }
            "flip" => {
                let offset: usize = number(args)?;
                let count: usize = args.next_pos().map_or(Ok(1), str::parse)?;
                bytes[offset..offset + count].iter_mut().for_each(|byte| *byte = !*byte);
            }
            "resize" => bytes.resize(number(args)?, 0),
            "exchange-chunks" => bytes = exchange(&bytes, number(args)?, number(args)?),
            "remove-chunk" => bytes = without(&bytes, number(args)?),
            "newer" => make_newer(&mut bytes),
            name => return Err(format!("unknown command {name}").into()),
        }
        self.files.damage(&file, |content| *content = bytes)?;
        Ok(String::new())
    }
}

fn describe(checkpoint: Option<Checkpoint>) -> String {
    checkpoint.map_or("no checkpoint".into(), |Checkpoint { index, term, bytes }| {
        format!("index {index} of term {term}, {bytes} bytes")
    })
}

fn identity(args: &mut ArgumentConsumer<'_>) -> Result<Identity, Box<dyn Error>> {
    let mut identity = IDENTITY;
    if let Some(cluster) = args.take_key("cluster") {
        identity.cluster = ClusterId(u64::from_str_radix(cluster, 16)?);
    }
    if let Some(member) = args.take_key("member") {
        identity.member = MemberId(u64::from_str_radix(member, 16)?);
    }
    Ok(identity)
}

/// Scripts write `1.checkpoint` for `0000000000000001.checkpoint`.
fn path(args: &mut ArgumentConsumer<'_>) -> Result<PathBuf, Box<dyn Error>> {
    let name = args.next_pos().ok_or("which file?")?;
    let (number, suffix) = name.split_once('.').ok_or("a file has a suffix")?;
    let is_number = number.chars().all(|digit| digit.is_ascii_hexdigit());
    Ok(Path::new(DIR).join(if is_number { format!("{number:0>16}.{suffix}") } else { name.to_owned() }))
}

fn number<T: std::str::FromStr>(args: &mut ArgumentConsumer<'_>) -> Result<T, Box<dyn Error>>
where
    T::Err: Error + 'static,
{
    Ok(args.next_pos().ok_or("a number is missing")?.parse()?)
}
