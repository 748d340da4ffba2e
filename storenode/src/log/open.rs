//! Opening: an existing log is replayed and continued, a new one gets its first segment.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use internal_proto::{LogIndex, Term};

use super::index::{Boundary, Index};
use super::recovery::{self, Cut, Replayed};
use super::segment::{SEGMENT_SUFFIX, Segment, SegmentHeader, number_in, segment_path};
use super::spare::Spares;
use super::writer::Writer;
use super::{HardState, Log, LogError, Options, Recovered, Start};
use crate::files::{Attempt, Files};

impl Log {
    /// Opens the log in `dir`, which is created if it does not exist, and recovers what it holds. Makes no
    /// spare: ask for [`Self::spare_job`] next.
    ///
    /// # Errors
    /// Whatever keeps acknowledged data from being read, with the way out; [`LogError::NoDisk`] if a new
    /// log finds no space for its first segment.
    pub fn open(files: Arc<dyn Files>, dir: &Path, options: Options) -> Result<(Self, Recovered), LogError> {
        files.create_dir(dir).attempt("create the directory", dir)?;
        let names = files.list(dir).attempt("list the directory", dir)?;
        let numbers: Vec<u64> = names.iter().filter_map(|name| number_in(name, SEGMENT_SUFFIX)).collect();
        // Renames that a crash left in the page cache only become durable before anything builds on them.
        files.sync_dir(dir).attempt("sync the directory", dir)?;
        let replayed = recovery::replay(&*files, dir, options.identity, &numbers)?;
        let mut spares = Spares::open(&files, dir, options.segment_bytes);
        spares.clean(&names, replayed.is_some())?;
        let begun = replayed.as_ref().map_or(0, |replayed| replayed.segments.len());
        if let Some(unbegun) = numbers.get(begun) {
            let path = segment_path(dir, *unbegun);
            let size = files.open(&path).and_then(|file| file.size()).attempt("measure", &path)?;
            spares.recycle(&path, u32::try_from(size).unwrap_or(0))?;
        }
        match replayed {
            Some(replayed) => Ok(Self::resume(files, dir, options, spares, replayed)),
            None => Self::create(files, dir, options, spares),
        }
    }

    fn resume(
        files: Arc<dyn Files>,
        dir: &Path,
        options: Options,
        spares: Spares,
        replayed: Replayed,
    ) -> (Self, Recovered) {
        let Replayed { segments, index, hard_state, start, cut } = replayed;
        let writer = Writer::new(segments.back().expect("a replayed log has a segment"));
        let log = Self { files, dir: dir.to_owned(), options, segments, spares, index, hard_state, writer };
        let recovered = log.recovered(start, cut);
        (log, recovered)
    }

    fn create(
        files: Arc<dyn Files>,
        dir: &Path,
        options: Options,
        mut spares: Spares,
    ) -> Result<(Self, Recovered), LogError> {
        spares.ensure(1)?;
        let boundary = Boundary { index: LogIndex(0), term: Term(0) };
        let header = SegmentHeader {
            identity: options.identity,
            number: 1,
            bytes: options.segment_bytes,
            previous_end: 0,
            boundary,
            hard_state: HardState::default(),
        };
        let segment = begin_segment(&*files, dir, &mut spares, header)?;
        let mut writer = Writer::new(&segment);
        writer.begin(&segment);
        writer.sync()?;
        let segments = VecDeque::from([segment]);
        let (index, hard_state) = (Index::new(boundary), HardState::default());
        let log = Self { files, dir: dir.to_owned(), options, segments, spares, index, hard_state, writer };
        let recovered = log.recovered(None, None);
        Ok((log, recovered))
    }

    fn recovered(&self, start: Option<Start>, cut: Option<Cut>) -> Recovered {
        let hard_state = self.hard_state;
        Recovered { first: self.first_index(), last: self.last_index(), hard_state, start, cut }
    }
}

/// Gives a spare the name of a segment, durably. Its header follows with the first group.
pub(super) fn begin_segment(
    files: &dyn Files,
    dir: &Path,
    spares: &mut Spares,
    header: SegmentHeader,
) -> Result<Segment, LogError> {
    let spare = spares.take().expect("a spare was ensured before anything was placed");
    let path = segment_path(dir, header.number);
    files.rename(&spare, &path).attempt("rename", &spare)?;
    files.sync_dir(dir).attempt("sync the directory", dir)?;
    let file = files.open(&path).attempt("open", &path)?;
    Ok(Segment { header, path, file, end: 0 })
}
