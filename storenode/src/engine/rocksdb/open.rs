//! Opening a store: the options, the record that says what wrote it, and what stops a start.
//!
//! Every file's footer is read at the start, so a manifest or footer that is damaged stops it by the file's name. A
//! damaged block of data is found when it is read.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use ::rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Env, Error, LogLevel, Options, ReadOptions, WriteBufferManager,
    WriteOptions,
};
use internal_proto::{ClusterId, MemberId};

use super::{Budget, RocksEngine, values};
use crate::engine::keys::Record;
use crate::engine::{Position, SmallKey};
use crate::files::FileError;
use crate::identity::{Identity, replace_member};

/// The format of the records. A change of their meaning is another number.
const FORMAT: u32 = 1;

/// Bytes per block: larger ones compress better and have smaller indexes, smaller ones make random reads cheaper.
const BLOCK: usize = 16 << 10;
/// One key in a hundred that is not in a file is looked for there nevertheless.
const BLOOM_BITS: f64 = 10.0;
/// A flush and a compaction at a time: requests need the processors more.
const BACKGROUND_JOBS: i32 = 2;
/// Buffers until writes wait for the flush.
const MAX_BUFFERS: i32 = 4;
/// Dirty pages are given to the disk so early that a file's last sync has little left to do.
const BYTES_PER_SYNC: u64 = 1 << 20;
/// RocksDB's own log, of which there are two files.
const LOG_BYTES: usize = 4 << 20;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// RocksDB does not open it, and names the file.
    #[error(
        "the store in {} cannot be opened: {reason}; {}", .dir.display(), replace_member(dir)
    )]
    Unusable {
        /// The store.
        dir: PathBuf,
        /// RocksDB's words.
        reason: String,
    },
    /// It is of another format or another member.
    #[error(transparent)]
    File(#[from] FileError),
}

impl RocksEngine {
    /// Opens the store of a member, or begins one. What it holds then is durable.
    ///
    /// # Errors
    /// [`OpenError`]: nothing was changed.
    pub fn open(dir: &Path, identity: Identity, budget: Budget) -> Result<Self, OpenError> {
        Self::open_with(dir, identity, &options(budget))
    }

    pub(super) fn open_with(dir: &Path, identity: Identity, options: &Options) -> Result<Self, OpenError> {
        let unusable = |error: Error| OpenError::Unusable { dir: dir.to_owned(), reason: error.to_string() };
        let db = DB::open(options, dir).map_err(unusable)?;
        let key = Record::Format.encode();
        match db.get_pinned(&key).map_err(unusable)? {
            Some(bytes) => check(dir, &bytes, identity)?,
            None => {
                let mut unlogged = WriteOptions::default();
                unlogged.disable_wal(true);
                db.put_opt(&key, format(identity), &unlogged).map_err(unusable)?;
            }
        }
        Ok(Self::over(db, dir))
    }

    /// Opens a store that nobody has open, to be read only. What was not flushed is not there.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_read_only(dir: &Path, identity: Identity) -> Result<Self, OpenError> {
        let unusable = |error: Error| OpenError::Unusable { dir: dir.to_owned(), reason: error.to_string() };
        let db = DB::open_for_read_only(&options(Budget::of_this_machine()), dir, false).map_err(unusable)?;
        if let Some(bytes) = db.get_pinned(Record::Format.encode()).map_err(unusable)? {
            check(dir, &bytes, identity)?;
        }
        Ok(Self::over(db, dir))
    }

    fn over(db: DB, dir: &Path) -> Self {
        Self {
            db,
            dir: dir.to_owned(),
            waiting: AtomicBool::new(false),
            on_failure: OnceLock::new(),
            retired: AtomicBool::new(false),
        }
    }
}

/// Reads all records of a store that nobody has open, and changes nothing: where it is, and how many they are.
///
/// # Errors
/// [`OpenError`]: it cannot be opened, or a record cannot be read.
pub fn inspect(dir: &Path, identity: Identity) -> Result<(Position, u64), OpenError> {
    let unusable = |error: Error| OpenError::Unusable { dir: dir.to_owned(), reason: error.to_string() };
    let db = &RocksEngine::open_read_only(dir, identity)?.db;
    let mut read = ReadOptions::default();
    read.fill_cache(false);
    let mut records = db.raw_iterator_opt(read);
    records.seek_to_first();
    let mut count = 0;
    while records.valid() {
        count += 1;
        records.next();
    }
    records.status().map_err(unusable)?;
    let position = db.get_pinned(Record::Small(SmallKey::Position).encode()).map_err(unusable)?;
    Ok((position.map_or_else(Position::default, |bytes| values::position(&bytes)), count))
}

/// Format ‖ cluster ‖ member.
fn format(identity: Identity) -> Vec<u8> {
    let mut out = FORMAT.to_be_bytes().to_vec();
    out.extend(identity.cluster.0.to_be_bytes());
    out.extend(identity.member.0.to_be_bytes());
    out
}

fn check(dir: &Path, bytes: &[u8], expected: Identity) -> Result<(), OpenError> {
    let file = dir.to_owned();
    let unreadable = || OpenError::Unusable { dir: dir.to_owned(), reason: "its format record is cut off".to_owned() };
    let (format, rest) = bytes.split_first_chunk().ok_or_else(unreadable)?;
    let found = u32::from_be_bytes(*format);
    if found > FORMAT {
        return Err(FileError::NewerFormat { file, found, known: FORMAT }.into());
    }
    let (cluster, rest) = rest.split_first_chunk().ok_or_else(unreadable)?;
    let (member, _) = rest.split_first_chunk().ok_or_else(unreadable)?;
    let found =
        Identity { cluster: ClusterId(u64::from_be_bytes(*cluster)), member: MemberId(u64::from_be_bytes(*member)) };
    if found == expected {
        Ok(())
    } else {
        Err(FileError::OtherMember { content: "store", file, found, expected }.into())
    }
}

pub(super) fn options(budget: Budget) -> Options {
    let cache = Cache::new_lru_cache(budget.total());
    let buffers = WriteBufferManager::new_write_buffer_manager_with_cache(budget.buffers(), false, cache.clone());
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(&cache);
    tables.set_block_size(BLOCK);
    tables.set_bloom_filter(BLOOM_BITS, false);
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_pin_l0_filter_and_index_blocks_in_cache(true);

    let mut options = Options::default();
    if let Ok(mut env) = Env::new() {
        // Of all engines of the process.
        env.lower_thread_pool_cpu_priority();
        options.set_env(&env);
    }
    options.create_if_missing(true);
    options.set_block_based_table_factory(&tables);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_manager(&buffers);
    options.set_write_buffer_size(budget.buffer());
    options.set_max_write_buffer_number(MAX_BUFFERS);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    // All files stay open: no read meets a file whose footer nobody has checked.
    options.set_max_open_files(-1);
    options.set_skip_stats_update_on_db_open(true);
    options.set_bytes_per_sync(BYTES_PER_SYNC);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(LOG_BYTES);
    options.set_stats_dump_period_sec(0);
    options
}
