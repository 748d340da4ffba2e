//! The data directory: created private, locked for one process, and checked to be this member's.
//!
//! ```text
//! DATA_DIR/LOCK       locked while a process runs; its process id inside
//!         /IDENTITY   whose data this is (record.rs)
//!         /store/     the storage node's own
//! ```
//!
//! Invariant: nothing is written into a directory that holds something else.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::bootstrap::{Bootstrap, BootstrapError};
use crate::config::Myself;
use crate::port_holder;
use crate::record::{self, Record, RecordError};
use crate::system_reason;

const PRIVATE: u32 = 0o700;
const STORE: &str = "store";

/// A data directory that is ours until this value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    myself: Myself,
    warnings: Vec<String>,
    // Held for its lock.
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// A file where a directory should be.
    #[error("data directory {} is a file: choose another with --data-dir", .0.display())]
    NotADirectory(PathBuf),
    /// No right to write, or no place.
    #[error(
        "data directory {} cannot be written by user {user} ({reason}): let that user write it, or choose \
         another with --data-dir",
        .path.display()
    )]
    Unwritable {
        /// The directory.
        path: PathBuf,
        /// The user id of this process.
        user: u32,
        /// What the system said.
        reason: String,
    },
    /// Another process runs on it.
    #[error(
        "data directory {} is in use by {holder}: stop that process, or choose another directory with \
         --data-dir",
        .path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process, as far as it is known.
        holder: String,
    },
    /// etcd's own data.
    #[error(
        "{} is a data directory of etcd, whose files cannot be read here. Importing a snapshot \
         (`etcdctl snapshot save` against the running etcd) is not built in yet; until it is, copy the keys with a \
         client, and start with an empty directory: --data-dir", .0.display()
    )]
    Etcd(PathBuf),
    /// Data without the file that says whose it is.
    #[error(
        "data directory {} holds data but no file IDENTITY: restore that file from a backup, or choose another \
         directory with --data-dir", .0.display()
    )]
    NoIdentity(PathBuf),
    /// Data of somebody else, or of a newer version.
    #[error("data directory {} {error}, or choose another directory with --data-dir", .path.display())]
    Record {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        error: RecordError,
    },
    /// An empty directory, and flags that found no cluster.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

impl DataDir {
    /// Opens the directory for the member that `bootstrap` describes, founding it when the
    /// directory is new.
    ///
    /// # Errors
    /// Why the directory cannot be used.
    pub fn open(path: &Path, bootstrap: &Bootstrap, engine: &str) -> Result<Self, DataDirError> {
        if path.exists() && !path.is_dir() {
            return Err(DataDirError::NotADirectory(path.to_owned()));
        }
        if is_etcds(path) {
            return Err(DataDirError::Etcd(path.to_owned()));
        }
        let identity = path.join(record::FILE_NAME);
        // Before anything is created: an empty directory must not remain of a refused start.
        let founding = if identity.exists() { None } else { Some(bootstrap.found()?) };
        let unwritable = |error: io::Error| unwritable(path, &error);
        DirBuilder::new().recursive(true).mode(PRIVATE).create(path).map_err(unwritable)?;
        let lock = lock(path)?;
        let record = match founding {
            None => {
                let text = fs::read_to_string(&identity).map_err(unwritable)?;
                let record = Record::parse(&text);
                record.and_then(|record| record.check(bootstrap, engine).map(|()| record))
            }
            Some(_) if path.join(STORE).exists() => return Err(DataDirError::NoIdentity(path.to_owned())),
            Some(founding) => {
                let record = Record::of(&founding, bootstrap, engine);
                record.write(path).map_err(unwritable)?;
                Ok(record)
            }
        };
        let record = record.map_err(|error| DataDirError::Record { path: path.to_owned(), error })?;
        let store = path.join(STORE);
        DirBuilder::new().recursive(true).mode(PRIVATE).create(&store).map_err(unwritable)?;
        Ok(Self { path: path.to_owned(), myself: myself(&record), warnings: too_open(path), _lock: lock })
    }

    /// Who this member is.
    pub fn myself(&self) -> &Myself {
        &self.myself
    }

    /// What the operator should hear about the directory.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The storage node's own directory in it.
    pub fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }
}

fn myself(record: &Record) -> Myself {
    let (cluster_id, member_id) = record.ids().expect("a record's ids are checked when it is read, or were just made");
    Myself {
        cluster_id,
        member_id,
        name: record.name.clone(),
        token: record.cluster_token.clone(),
        first_members: record.members(),
    }
}

fn is_etcds(path: &Path) -> bool {
    path.join("member/snap/db").exists() || path.join("member/wal").exists()
}

/// Locks the directory for this process and writes its id for the next one to read.
fn lock(path: &Path) -> Result<File, DataDirError> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("LOCK"));
    let mut file = open.map_err(|error| unwritable(path, &error))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // An unreadable id only makes the sentence less precise.
            let _ = file.read_to_string(&mut text);
            let holder = match text.trim().parse() {
                Ok(pid) => format!("process {pid} ({})", port_holder::program(pid)),
                Err(_) => "another process".to_owned(),
            };
            return Err(DataDirError::Locked { path: path.to_owned(), holder });
        }
        Err(error) => return Err(unwritable(path, &error.into())),
    }
    let write = |file: &mut File| {
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(|error| unwritable(path, &error))?;
    Ok(file)
}

fn unwritable(path: &Path, error: &io::Error) -> DataDirError {
    let user = rustix::process::geteuid().as_raw();
    DataDirError::Unwritable { path: path.to_owned(), user, reason: system_reason(error) }
}

/// A warning when users other than the owner and its group may look into the directory.
fn too_open(path: &Path) -> Vec<String> {
    const OTHERS: u32 = 0o007;
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & OTHERS == 0 {
        return Vec::new();
    }
    let path = path.display();
    vec![format!("data directory {path} is open to every user (mode {:o}): run chmod 700 {path}", mode & 0o777)]
}
