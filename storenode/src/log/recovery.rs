//! Start: read every segment, tell a torn tail from damage, make the end of the log safe to write on.
//!
//! ```text
//!   newest segment | ok | ok | ok | X bad | ? ...... |
//!                                   └ scan to the end: a valid record with `synced` above X?
//!                                       yes: acknowledged data is damaged ─► refuse
//!                                       no:  X is the tail ─► zero what follows, fdatasync, go on
//! ```
//!
//! Older segments were sealed durable before the next was begun, so whatever is wrong in them is damage.
//! What lies below the tail but was not yet known durable is written once more before the sync: after a
//! failed sync the page cache shows bytes that are on no disk, and the kernel would not write them again.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use internal_proto::LogIndex;

use super::index::{Boundary, Index};
use super::record::{self, ALIGNMENT, Checked, Kind, Position};
use super::segment::{FORMAT_VERSION, HeaderCheck, SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_path};
use super::{HardState, Identity, LogError, Start, payload};
use crate::files::{Attempt, File, FileError, Files};

/// The piece in which the end of the newest segment is compared with zeros and rewritten.
const REWRITE_BYTES: usize = 64 << 10;

/// A torn tail that recovery cut off: never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The newest segment.
    pub file: PathBuf,
    /// Where the log ends now.
    pub offset: u32,
}

/// What the segments say.
pub(super) struct Replayed {
    pub(super) segments: VecDeque<Segment>,
    pub(super) index: Index,
    pub(super) hard_state: HardState,
    pub(super) start: Option<Start>,
    pub(super) cut: Option<Cut>,
}

/// A segment as found.
struct Found {
    number: u64,
    path: PathBuf,
    file: Arc<dyn File>,
    size: u32,
    header: HeaderCheck,
}

/// Reads the segments with these numbers, in order. If the newest was never begun durably it is left out
/// and wiped, so that it can serve as a spare; with no other segment the log is new: `None`.
pub(super) fn replay(
    files: &dyn Files,
    dir: &Path,
    identity: Identity,
    numbers: &[u64],
) -> Result<Option<Replayed>, LogError> {
    if let Some(pair) = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        return Err(LogError::Missing { file: segment_path(dir, pair[0] + 1) });
    }
    let mut segments = VecDeque::with_capacity(numbers.len());
    for number in numbers {
        let found = find(files, dir, *number)?;
        if Some(number) == numbers.last() && !is_begun(&found, numbers[0])? {
            let mut bytes = read_all(&found.file, &found.path)?;
            rewrite(&found.file, &found.path, &mut bytes, 0, 0)?;
            break;
        }
        segments.push_back(found.into_segment(identity)?);
    }
    let Some(oldest) = segments.front() else { return Ok(None) };
    let SegmentHeader { boundary, hard_state, .. } = oldest.header;
    let mut replayed = Replayed { segments, index: Index::new(boundary), hard_state, start: None, cut: None };
    replayed.run()?;
    Ok(Some(replayed))
}

fn find(files: &dyn Files, dir: &Path, number: u64) -> Result<Found, LogError> {
    let path = segment_path(dir, number);
    let file = files.open(&path).attempt("open", &path)?;
    let size = u32::try_from(file.size().attempt("measure", &path)?).unwrap_or(u32::MAX);
    let mut header = vec![0; size.min(SEGMENT_HEADER_BYTES) as usize];
    file.read_at(&mut header, 0).attempt("read", &path)?;
    Ok(Found { number, path, file, size, header: SegmentHeader::check(&header) })
}

/// Whether the newest segment holds anything that was ever durable. Its header is written with its first
/// records, so if the power went then, it holds zeros or what its file held before it was recycled.
fn is_begun(found: &Found, oldest: u64) -> Result<bool, LogError> {
    match &found.header {
        HeaderCheck::Newer(_) => return Ok(true),
        HeaderCheck::Valid(header) if header.number >= oldest => return Ok(true),
        _ => {}
    }
    let bytes = read_all(&found.file, &found.path)?;
    if scan(&bytes, found.number, 0).synced > 0 {
        return Err(LogError::Damaged { file: found.path.clone(), offset: 0 });
    }
    Ok(false)
}

impl Found {
    fn into_segment(self, identity: Identity) -> Result<Segment, LogError> {
        let file = self.path;
        let header = match self.header {
            HeaderCheck::Valid(header) => header,
            HeaderCheck::Newer(found) => {
                return Err(FileError::NewerFormat { file, found, known: FORMAT_VERSION }.into());
            }
            HeaderCheck::Invalid => return Err(LogError::Damaged { file, offset: 0 }),
        };
        if header.number != self.number {
            return Err(LogError::WrongSegment { file, found: header.number });
        }
        if header.identity != identity {
            return Err(
                FileError::OtherMember { content: "log", file, found: header.identity, expected: identity }.into()
            );
        }
        if header.bytes != self.size {
            return Err(LogError::Damaged { file, offset: self.size.min(header.bytes) });
        }
        Ok(Segment { header, path: file, file: self.file, end: 0 })
    }
}

impl Replayed {
    fn run(&mut self) -> Result<(), LogError> {
        for at in 0..self.segments.len() {
            let Segment { header, path, file, .. } = &self.segments[at];
            let (number, path, file) = (header.number, path.clone(), file.clone());
            if at > 0 && header.boundary != self.index.last() {
                return Err(LogError::Damaged { file: path, offset: 0 });
            }
            let bytes = read_all(&file, &path)?;
            let sealed = self.segments.get(at + 1).map(|next| next.header.previous_end);
            let (end, synced) = self.walk(number, &bytes, sealed, &path)?;
            match sealed {
                Some(sealed) if sealed != end => return Err(LogError::Damaged { file: path, offset: end }),
                Some(_) => {}
                None => {
                    let at = Position { segment: number, offset: end };
                    self.end_at(at, synced, bytes, &file, path)?;
                }
            }
            self.segments[at].end = end;
        }
        Ok(())
    }

    /// Reads records up to `limit` or the first bad one; returns where it stopped and the highest `synced`.
    fn walk(&mut self, segment: u64, bytes: &[u8], limit: Option<u32>, path: &Path) -> Result<(u32, u32), LogError> {
        let limit = limit.map_or(bytes.len(), |limit| bytes.len().min(limit as usize));
        let mut offset = SEGMENT_HEADER_BYTES;
        let mut synced = 0;
        while let Some(rest) = bytes.get(offset as usize..limit) {
            let at = Position { segment, offset };
            let Some(record) = record::check(rest, at) else { break };
            let end = offset + u32::try_from(record.size()).expect("a record fits into a segment");
            self.apply(&record, at, end).ok_or_else(|| LogError::Damaged { file: path.to_owned(), offset })?;
            synced = synced.max(record.synced);
            offset = end;
        }
        Ok((offset, synced))
    }

    /// `None` if a record that checks makes no sense where it stands.
    fn apply(&mut self, record: &Checked<'_>, at: Position, end: u32) -> Option<()> {
        match record.kind? {
            Kind::HardState => self.hard_state = payload::hard_state(record.payload)?,
            Kind::Start => {
                let start = payload::start(record.payload)?;
                self.index = Index::new(Boundary { index: start.index, term: start.term });
                self.start = Some(start);
            }
            Kind::Entries => {
                let mut begun = false;
                for view in payload::entries(record.payload) {
                    let view = view?;
                    if !begun {
                        if view.index > self.index.last().index.next() || view.index == LogIndex(0) {
                            return None;
                        }
                        self.index.begin_run(view.index, view.term, at, end);
                        begun = true;
                    }
                    self.index.push(view.term);
                }
            }
        }
        Some(())
    }

    /// The newest segment stops being readable at `tail`: decides why, and makes the rest safe to write.
    fn end_at(
        &mut self,
        tail: Position,
        synced: u32,
        mut bytes: Vec<u8>,
        file: &Arc<dyn File>,
        path: PathBuf,
    ) -> Result<(), LogError> {
        let offset = tail.offset;
        let beyond = scan(&bytes, tail.segment, offset as usize);
        if beyond.synced > offset {
            return Err(LogError::Damaged { file: path, offset });
        }
        let torn = beyond.any || record::claims(&bytes[offset as usize..], tail);
        rewrite(file, &path, &mut bytes, synced as usize, offset as usize)?;
        if torn {
            self.cut = Some(Cut { file: path, offset });
        }
        Ok(())
    }
}

/// What valid records of this segment's life say from an offset on.
struct Beyond {
    any: bool,
    synced: u32,
}

fn scan(bytes: &[u8], segment: u64, from: usize) -> Beyond {
    let mut beyond = Beyond { any: false, synced: 0 };
    let mut offset = from;
    while offset + record::HEADER_BYTES <= bytes.len() {
        let at = Position { segment, offset: u32::try_from(offset).unwrap_or(u32::MAX) };
        match record::check(&bytes[offset..], at) {
            Some(record) => {
                beyond.any = true;
                beyond.synced = beyond.synced.max(record.synced);
                offset += record.size();
            }
            None => offset += ALIGNMENT,
        }
    }
    beyond
}

fn read_all(file: &Arc<dyn File>, path: &Path) -> Result<Vec<u8>, LogError> {
    let size = usize::try_from(file.size().attempt("measure", path)?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; size];
    file.read_at(&mut bytes, 0).attempt("read", path)?;
    Ok(bytes)
}

/// Writes again what lies between `from` and `tail`, zeros over everything behind it, and syncs.
fn rewrite(file: &Arc<dyn File>, path: &Path, bytes: &mut [u8], from: usize, tail: usize) -> Result<(), LogError> {
    let zeros = vec![0; REWRITE_BYTES];
    for start in (from..bytes.len()).step_by(REWRITE_BYTES) {
        let end = bytes.len().min(start + REWRITE_BYTES);
        let piece = &mut bytes[start..end];
        let kept = tail.saturating_sub(start).min(piece.len());
        if kept > 0 || *piece != zeros[..piece.len()] {
            piece[kept..].fill(0);
            file.write_at(piece, start as u64).attempt("write", path)?;
        }
    }
    Ok(file.sync_data().attempt("sync", path)?)
}
