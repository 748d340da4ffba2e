//! What to send of a snapshot, decided without a clock or I/O.
//!
//! ```text
//!   acknowledged        sent            read
//!   ──────┼──── in flight ───┼── waiting ──┼── not read yet
//!         └─ silence: sent again from here     └─ the receiver forgot all: read again from 0
//! ```
//!
//! Invariants: what is in flight and what is read ahead are bounded; a tick allows so many bytes, and no more are saved
//! up than one window; only the receiver says that a snapshot is installed.

use std::collections::VecDeque;

use bytes::Bytes;
use internal_proto::LogIndex;

use super::{Piece, Progress, SnapshotPace};

/// Ticks without progress before pieces are sent again, or the receiver is asked how far it is: some round trips.
const TICKS_TO_RESEND: u32 = 50;
/// Ticks without a word of the receiver before the snapshot is given up: half a minute.
const TICKS_TO_GIVE_UP: u32 = 3_000;

/// One snapshot on its way.
#[derive(Debug)]
pub(super) struct Sender {
    index: LogIndex,
    /// What each piece says of it.
    whole: bool,
    window: u64,
    bytes_per_tick: i64,
    /// From `acknowledged` on.
    pieces: VecDeque<Piece>,
    acknowledged: u64,
    sent: u64,
    read: u64,
    reading: bool,
    /// Whether the last piece was read.
    ended: bool,
    /// What may leave; below 0 after a piece that was larger than that.
    credit: i64,
    since_progress: u32,
    since_word: u32,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Send to the receiver.
    Send(Piece),
    /// Read the next chunks; then [`Sender::read`].
    Read,
    /// Read from the first chunk on again. What is being read now is of no use.
    ReadAgain,
    /// The receiver has it.
    Installed,
    /// The receiver is gone.
    GiveUp,
}

impl Sender {
    /// A snapshot through `index`, for a member that has lost its disk if `whole`. `ticks` of the driver's clock make a
    /// second.
    pub(super) fn new(index: LogIndex, whole: bool, pace: SnapshotPace, ticks: u64) -> Self {
        let bytes_per_tick = (pace.bytes_per_second / ticks.max(1)).max(1);
        Self {
            index,
            whole,
            window: pace.chunk_bytes as u64 * pace.window_pieces,
            bytes_per_tick: i64::try_from(bytes_per_tick).unwrap_or(i64::MAX),
            pieces: VecDeque::new(),
            acknowledged: 0,
            sent: 0,
            read: 0,
            reading: false,
            ended: false,
            credit: 0,
            since_progress: 0,
            since_word: 0,
        }
    }

    /// Time passes.
    pub(super) fn tick(&mut self, effects: &mut Vec<Effect>) {
        let most = i64::try_from(self.window).unwrap_or(i64::MAX).max(self.bytes_per_tick);
        self.credit = self.credit.saturating_add(self.bytes_per_tick).min(most);
        self.since_word += 1;
        self.since_progress += 1;
        if self.since_word >= TICKS_TO_GIVE_UP {
            effects.push(Effect::GiveUp);
            return;
        }
        if self.since_progress >= TICKS_TO_RESEND {
            self.since_progress = 0;
            self.sent = self.acknowledged;
            if self.ended && self.pieces.is_empty() {
                effects.push(Effect::Send(Piece { data: Bytes::new(), ..self.piece(self.acknowledged, true) }));
            }
        }
        self.go_on(effects);
    }

    /// The connection was lost with what was in flight.
    pub(super) fn lost(&mut self) {
        self.sent = self.acknowledged;
    }

    /// The receiver has spoken.
    pub(super) fn progress(&mut self, progress: Progress, effects: &mut Vec<Effect>) {
        self.since_word = 0;
        let wanted = progress.wanted;
        if progress.installed {
            effects.push(Effect::Installed);
            return;
        }
        if wanted == 0 && self.acknowledged > 0 {
            self.begin_again();
            effects.push(Effect::ReadAgain);
        } else if wanted > self.acknowledged {
            self.acknowledged = wanted;
            self.since_progress = 0;
            self.forget_acknowledged();
        }
        self.go_on(effects);
    }

    /// Chunks were read; none at the end.
    pub(super) fn read(&mut self, chunks: Vec<Vec<u8>>, ended: bool, effects: &mut Vec<Effect>) {
        self.reading = false;
        self.ended = ended;
        let count = chunks.len();
        for (number, chunk) in (1..).zip(chunks) {
            let piece = Piece { data: chunk.into(), ..self.piece(self.read, ended && number == count) };
            self.read += piece.data.len() as u64;
            self.pieces.push_back(piece);
        }
        self.forget_acknowledged();
        self.go_on(effects);
    }

    fn piece(&self, offset: u64, last: bool) -> Piece {
        Piece { index: self.index, offset, data: Bytes::new(), last, whole: self.whole }
    }

    fn begin_again(&mut self) {
        self.pieces.clear();
        (self.acknowledged, self.sent, self.read) = (0, 0, 0);
        (self.reading, self.ended, self.since_progress) = (true, false, 0);
    }

    fn forget_acknowledged(&mut self) {
        while self.pieces.front().is_some_and(|piece| end(piece) <= self.acknowledged) {
            self.pieces.pop_front();
        }
        self.sent = self.sent.max(self.acknowledged);
    }

    /// Sends what may leave and reads ahead.
    fn go_on(&mut self, effects: &mut Vec<Effect>) {
        for piece in &self.pieces {
            if piece.offset < self.sent {
                continue;
            }
            let in_flight = self.sent - self.acknowledged;
            if self.credit <= 0 || (in_flight > 0 && end(piece) - self.acknowledged > self.window) {
                break;
            }
            self.credit -= i64::try_from(piece.data.len()).unwrap_or(i64::MAX);
            self.sent = end(piece);
            effects.push(Effect::Send(piece.clone()));
        }
        let ahead = self.read.saturating_sub(self.acknowledged);
        if !self.reading && !self.ended && ahead < 2 * self.window {
            self.reading = true;
            effects.push(Effect::Read);
        }
    }
}

fn end(piece: &Piece) -> u64 {
    piece.offset + piece.data.len() as u64
}
