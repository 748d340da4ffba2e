//! Where each entry lies, in memory: a few bytes per stretch of log, not per entry.
//!
//! ```text
//!   boundary      stretches                                       last
//!      |  [first 5, segment 3, 128..9000) [first 40, ..) [first 41, ..)
//!      4                                            └ overwrote the end of the stretch before it
//! ```
//!
//! Invariants: the log is contiguous from `boundary.index + 1` to `last`. The records of a stretch hold
//! consecutive indexes from its first on; it ends where the next one begins, even if its records reach
//! further, because those were overwritten.

use std::collections::VecDeque;

use internal_proto::{LogIndex, Term};

use super::LogError;
use super::record::Position;

/// Records are joined into one stretch up to this size: the most that is read in vain to find an entry.
const STRETCH_BYTES: u32 = 32 << 10;

/// The entry before the first one: its term is known, its content is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boundary {
    pub(super) index: LogIndex,
    pub(super) term: Term,
}

/// A range of one segment whose records hold consecutive entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) first: LogIndex,
    pub(super) segment: u64,
    pub(super) offset: u32,
    pub(super) end: u32,
}

/// The map from entries to places and terms.
#[derive(Debug)]
pub(super) struct Index {
    boundary: Boundary,
    last: LogIndex,
    stretches: VecDeque<Stretch>,
    /// The first entry of each term.
    terms: VecDeque<(LogIndex, Term)>,
}

impl Index {
    pub(super) fn new(boundary: Boundary) -> Self {
        Self { boundary, last: boundary.index, stretches: VecDeque::new(), terms: VecDeque::new() }
    }

    pub(super) fn first(&self) -> LogIndex {
        self.boundary.index.next()
    }

    /// The last entry and its term.
    pub(super) fn last(&self) -> Boundary {
        let term = self.terms.back().map_or(self.boundary.term, |(_, term)| *term);
        Boundary { index: self.last, term }
    }

    pub(super) fn term(&self, index: LogIndex) -> Result<Term, LogError> {
        if index < self.boundary.index {
            return Err(LogError::Trimmed { index, first: self.first() });
        }
        if index > self.last {
            return Err(LogError::Beyond { index, last: self.last });
        }
        let after = self.terms.partition_point(|(first, _)| *first <= index);
        Ok(after.checked_sub(1).map_or(self.boundary.term, |at| self.terms[at].1))
    }

    /// A record of entries from `first` on was written at `at`..`end`; [`Self::push`] follows per entry.
    /// Entries from `first` on are overwritten. A run that starts at or below the boundary occurs only when
    /// older segments were trimmed: its first entry becomes the boundary.
    pub(super) fn begin_run(&mut self, first: LogIndex, term: Term, at: Position, end: u32) {
        let overwrites = first <= self.last;
        if overwrites {
            self.truncate(first);
        }
        if first <= self.boundary.index {
            *self = Self::new(Boundary { index: first, term });
            self.last = LogIndex(first.0 - 1);
        }
        match self.stretches.back_mut() {
            Some(stretch)
                if !overwrites && stretch.segment == at.segment && at.offset - stretch.offset < STRETCH_BYTES =>
            {
                stretch.end = end;
            }
            _ => {
                let Position { segment, offset } = at;
                self.stretches.push_back(Stretch { first, segment, offset, end });
            }
        }
    }

    /// One more entry of the run.
    pub(super) fn push(&mut self, term: Term) {
        let previous = self.last().term;
        self.last.0 += 1;
        if term != previous {
            self.terms.push_back((self.last, term));
        }
    }

    fn truncate(&mut self, from: LogIndex) {
        while self.stretches.back().is_some_and(|stretch| stretch.first >= from) {
            self.stretches.pop_back();
        }
        while self.terms.back().is_some_and(|(first, _)| *first >= from) {
            self.terms.pop_back();
        }
        self.last = LogIndex(from.0 - 1);
    }

    /// Forgets the segments before `segment`, which was begun when the last entry was `begun`.
    pub(super) fn drop_before(&mut self, segment: u64, begun: Boundary) {
        while self.stretches.front().is_some_and(|stretch| stretch.segment < segment) {
            self.stretches.pop_front();
        }
        if begun.index <= self.boundary.index {
            return;
        }
        // The same boundary that recovery finds when it starts at this segment: see `begin_run`.
        self.boundary = match self.stretches.front() {
            Some(front) if front.first <= begun.index => {
                Boundary { index: front.first, term: self.term(front.first).unwrap_or(begun.term) }
            }
            _ => begun,
        };
        while self.terms.front().is_some_and(|(first, _)| *first <= self.boundary.index) {
            self.terms.pop_front();
        }
    }

    /// The stretches that hold entries from `from` to before `to`, each with the index it ends before.
    /// `from` must be within the log.
    pub(super) fn stretches(&self, from: LogIndex, to: LogIndex) -> impl Iterator<Item = (Stretch, LogIndex)> {
        let after = self.stretches.partition_point(|stretch| stretch.first <= from);
        let tail = self.stretches.range(after.saturating_sub(1)..).enumerate();
        let base = after.saturating_sub(1);
        tail.take_while(move |(_, stretch)| stretch.first < to).map(move |(at, stretch)| {
            let next = self.stretches.get(base + at + 1);
            (*stretch, next.map_or(self.last.next(), |next| next.first))
        })
    }

    /// Where the stretch with the first entry after `index` begins; `None`: the log ends there.
    pub(super) fn position_after(&self, index: LogIndex) -> Option<Position> {
        let next = index.max(self.boundary.index).next();
        if next > self.last {
            return None;
        }
        let after = self.stretches.partition_point(|stretch| stretch.first <= next);
        let stretch = self.stretches.get(after.saturating_sub(1))?;
        Some(Position { segment: stretch.segment, offset: stretch.offset })
    }
}
