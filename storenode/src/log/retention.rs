//! What the log takes up: trimming gives segments back, spares let it grow.

use internal_proto::LogIndex;

use super::segment::Segment;
use super::spare::{Reserve, Spare, SpareJob};
use super::{Log, LogError};

impl Log {
    /// Gives up entries through `through`, which must be applied durably and not be needed by anybody, as
    /// far as whole segments hold nothing else; returns how many segments became spares or were removed.
    ///
    /// # Errors
    /// If the directory cannot be changed; what was given up until then is consistent.
    pub fn trim(&mut self, through: LogIndex) -> Result<usize, LogError> {
        self.writer.check()?;
        let through = through.min(self.last_index());
        // Until the newest segment's header is durable, only the one before it tells how the log stands.
        let durable = self.segments.len() - usize::from(!self.writer.is_begun());
        // A segment's boundary is the last entry any older segment contributes.
        let needless = self.segments.range(..durable).rposition(|segment| segment.header.boundary.index <= through);
        let needless = needless.unwrap_or(0);
        for _ in 0..needless {
            // One at a time, oldest first, each durable: a crash must never leave a hole.
            let Segment { header, path, .. } = &self.segments[0];
            self.spares.recycle(path, header.bytes)?;
            self.segments.pop_front();
            let oldest = &self.segments[0].header;
            self.index.drop_before(oldest.number, oldest.boundary);
        }
        Ok(needless)
    }

    /// Whether the log can grow beyond the segment it is writing.
    pub fn reserve(&self) -> Reserve {
        self.spares.reserve
    }

    /// Bytes that can be appended without a further segment: in [`Reserve::NoDisk`], all there is.
    pub fn room(&self) -> usize {
        self.writer.room()
    }

    /// The size of a new segment.
    pub fn segment_bytes(&self) -> usize {
        self.options.segment_bytes as usize
    }

    /// Whether a segment is ready to be begun.
    pub fn has_spare(&self) -> bool {
        !self.spares.is_empty()
    }

    /// The job of making a spare, if there is none. Its outcome goes to [`Self::offer_spare`]. Until then an
    /// append that needs one makes it on the spot.
    pub fn spare_job(&mut self) -> Option<SpareJob> {
        self.spares.is_empty().then(|| self.spares.job())
    }

    /// Takes the outcome of a [`SpareJob`]; a full disk leads to [`Reserve::NoDisk`], a spare out of it.
    ///
    /// # Errors
    /// Any other failure of the job, unchanged.
    pub fn offer_spare(&mut self, outcome: Result<Spare, LogError>) -> Result<(), LogError> {
        self.spares.offer(outcome)
    }

    /// Tries to make a spare here and now, if there is none, and returns where that leaves the log.
    ///
    /// # Errors
    /// Failures other than a full disk.
    pub fn retry_reserve(&mut self) -> Result<Reserve, LogError> {
        if let Some(job) = self.spare_job() {
            self.offer_spare(job.run())?;
        }
        Ok(self.reserve())
    }
}
