//! Two engines that must agree: every write goes to both, every read is compared. For tests.

use bytes::Bytes;
use internal_proto::{KeyRange, Revision};

use super::{Batch, ChangeId, CountGroup, Engine, Position, Sizes, SmallKey, SmallKind, Version, VersionPage};

/// Two engines in step. Its reads panic when the two differ; no write may run beside a read.
#[derive(Debug)]
pub struct MirrorEngine<A, B> {
    left: A,
    right: B,
}

impl<A: Engine, B: Engine> MirrorEngine<A, B> {
    /// Joins two engines of the same content.
    #[must_use]
    pub const fn new(left: A, right: B) -> Self {
        Self { left, right }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(left: T, right: &T) -> T {
    assert_eq!(left, *right, "two engines answer the same read differently");
    left
}

impl<A: Engine, B: Engine> Engine for MirrorEngine<A, B> {
    fn write(&self, batch: &Batch) {
        self.left.write(batch);
        self.right.write(batch);
    }

    fn position(&self) -> Position {
        same(self.left.position(), &self.right.position())
    }

    fn live(&self, key: &[u8]) -> Option<Version> {
        same(self.left.live(key), &self.right.live(key))
    }

    fn scan_live(&self, range: &KeyRange, limit: usize) -> Vec<Version> {
        same(self.left.scan_live(range, limit), &self.right.scan_live(range, limit))
    }

    fn version(&self, key: &[u8], at: ChangeId) -> Option<Version> {
        same(self.left.version(key, at), &self.right.version(key, at))
    }

    fn scan_versions(&self, range: &KeyRange, at: ChangeId, limit: usize) -> VersionPage {
        same(self.left.scan_versions(range, at, limit), &self.right.scan_versions(range, at, limit))
    }

    fn scan_changes(&self, after: ChangeId, through: Revision, limit: usize) -> Vec<Version> {
        same(self.left.scan_changes(after, through, limit), &self.right.scan_changes(after, through, limit))
    }

    fn small(&self, key: &SmallKey) -> Option<Bytes> {
        same(self.left.small(key), &self.right.small(key))
    }

    fn scan_small(&self, kind: SmallKind, after: Option<&SmallKey>, limit: usize) -> Vec<(SmallKey, Bytes)> {
        same(self.left.scan_small(kind, after, limit), &self.right.scan_small(kind, after, limit))
    }

    /// Of an engine that keeps them. They must agree with the keys, which the reads compare.
    fn counts(&self) -> Option<Vec<CountGroup>> {
        self.left.counts().or_else(|| self.right.counts())
    }

    /// The left engine's: sizes are an engine's own.
    fn sizes(&self) -> Sizes {
        self.left.sizes()
    }
}
