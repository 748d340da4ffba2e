//! Operations from a seed: every option, valid and not, over so few keys that they collide.

mod keys;
mod transactions;

use proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, WatchCreateRequest,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub use self::keys::KeySpace;
use super::operation::{Operation, Stream};
use super::symbol;

/// Leases whose ids the server chooses.
const CHOSEN_SLOTS: usize = 3;
/// Leases whose ids the client chooses; negative ones are valid.
const LITERAL_LEASES: [i64; 6] = [1, 2, 3, -1, i64::MIN, i64::MAX];
/// Remaining times of the same order never come close within a run, so that the order by expiry is one.
const TTLS: [i64; 6] = [3_600, 36_000, 360_000, 3_600_000, 36_000_000, 9_000_000_000];
/// A step that waits for the watches, so that neither system falls far behind.
const SETTLE_EVERY: usize = 40;

/// A source of operations. The same seed and space give the same ones.
pub struct Generator {
    random: StdRng,
    space: KeySpace,
    made: usize,
}

impl Generator {
    /// A generator over `space`.
    #[must_use]
    pub fn new(seed: u64, space: KeySpace) -> Self {
        Self { random: StdRng::seed_from_u64(seed), space, made: 0 }
    }

    /// The next operation of a sequence for one client.
    pub fn operation(&mut self) -> Operation {
        self.made += 1;
        if self.made.is_multiple_of(SETTLE_EVERY) {
            return Operation::Settle;
        }
        match self.random.random_range(0..1000) {
            0..8 => self.compact(),
            8..60 => self.lease_operation(),
            60..90 => self.watch(),
            90..105 => Operation::CancelWatch(self.stream(), self.watch_id()),
            105..110 => Operation::Progress(self.stream()),
            _ => self.keys_operation(),
        }
    }

    /// A look at everything there is, also in the past: what no answer so far has shown.
    #[must_use]
    pub fn inspection() -> Vec<Operation> {
        const DEPTH: i64 = 60;
        let everything = |revision| {
            let whole: bytes::Bytes = vec![0].into();
            Operation::Range(RangeRequest { key: whole.clone(), range_end: whole, revision, ..RangeRequest::default() })
        };
        let past = (0..DEPTH).map(|back| everything(symbol::current(-back)));
        let oldest = (-1..2).map(|offset| everything(symbol::compacted(offset)));
        let leases = LITERAL_LEASES.into_iter().chain((0..CHOSEN_SLOTS).map(symbol::chosen));
        let leases = leases.map(|lease| Operation::TimeToLive(lease, true));
        past.chain(oldest).chain(leases).chain([Operation::Leases]).collect()
    }

    /// The next operation of one of many clients: nothing whose answer depends on what others do.
    pub fn crowd_operation(&mut self) -> Operation {
        let mut operation = self.keys_operation();
        super::operation::visit_numbers(&mut operation, &mut |number, _| *number = 0);
        operation
    }

    fn keys_operation(&mut self) -> Operation {
        match self.random.random_range(0..100) {
            0..35 => Operation::Range(self.range()),
            35..40 => Operation::RangeStream(self.streamed_range()),
            40..70 => Operation::Put(self.put()),
            70..80 => Operation::Delete(self.delete()),
            _ => Operation::Txn(self.transaction()),
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())]
    }

    fn revision(&mut self) -> i64 {
        match self.random.random_range(0..100) {
            0..70 => 0,
            70..88 => symbol::current(-self.random.random_range(0..30)),
            88..91 => symbol::current(self.random.random_range(1..4)),
            91..96 => symbol::compacted(self.random.random_range(-2..6)),
            96..98 => self.pick(&[-1, i64::MIN]),
            _ => self.pick(&[1, 2, i64::MAX]),
        }
    }

    /// A bound of a revision filter: mostly none.
    fn revision_filter(&mut self) -> i64 {
        if self.chance(93) { 0 } else { symbol::current(-self.random.random_range(-1..40)) }
    }

    pub(super) fn range(&mut self) -> RangeRequest {
        let (key, range_end) = self.space.range(&mut self.random);
        RangeRequest {
            key,
            range_end,
            limit: if self.chance(70) { 0 } else { self.pick(&[1, 2, 3, 5, 100, -1, i64::MAX]) },
            revision: self.revision(),
            sort_order: self.enumeration(3),
            sort_target: self.enumeration(5),
            serializable: self.chance(20),
            keys_only: self.chance(15),
            count_only: self.chance(15),
            min_mod_revision: self.revision_filter(),
            max_mod_revision: self.revision_filter(),
            min_create_revision: self.revision_filter(),
            max_create_revision: self.revision_filter(),
        }
    }

    /// A range that etcd streams as it answers it at once. With a target and no order it loses keys and miscounts.
    fn streamed_range(&mut self) -> RangeRequest {
        let mut range = self.range();
        if range.sort_order == 0 {
            range.sort_target = 0;
        }
        range
    }

    /// A value of an enum with `count` values: mostly the first, sometimes one that does not exist.
    fn enumeration(&mut self, count: i32) -> i32 {
        match self.random.random_range(0..100) {
            0..60 => 0,
            60..98 => self.random.random_range(0..count),
            _ => self.pick(&[count, 99, -1]),
        }
    }

    pub(super) fn put(&mut self) -> PutRequest {
        let ignore_value = self.chance(8);
        let ignore_lease = self.chance(8);
        let surplus = self.chance(10);
        PutRequest {
            key: self.space.key(&mut self.random),
            value: if ignore_value && !surplus { Vec::new().into() } else { self.value() },
            lease: if ignore_lease && !surplus { 0 } else { self.attached_lease() },
            prev_kv: self.chance(30),
            ignore_value,
            ignore_lease,
        }
    }

    fn value(&mut self) -> bytes::Bytes {
        const BIG: usize = 4_000;
        match self.random.random_range(0..100) {
            0..5 => bytes::Bytes::new(),
            5..7 => vec![self.random.random(); BIG].into(),
            _ => format!("value {}", self.random.random_range(0..50)).into(),
        }
    }

    fn delete(&mut self) -> DeleteRangeRequest {
        let (key, range_end) = self.space.range(&mut self.random);
        DeleteRangeRequest { key, range_end, prev_kv: self.chance(40) }
    }

    fn compact(&mut self) -> Operation {
        let revision = match self.random.random_range(0..10) {
            0..5 => symbol::current(-self.random.random_range(0..100)),
            5 => symbol::current(0),
            6 => symbol::current(1),
            _ => symbol::compacted(self.random.random_range(-1..10)),
        };
        Operation::Compact(CompactionRequest { revision, physical: self.chance(30) })
    }

    /// The lease of a put: mostly none.
    fn attached_lease(&mut self) -> i64 {
        if self.chance(75) { 0 } else { self.lease() }
    }

    fn lease(&mut self) -> i64 {
        if self.chance(40) {
            return symbol::chosen(self.random.random_range(0..CHOSEN_SLOTS));
        }
        self.pick(&LITERAL_LEASES)
    }

    fn lease_operation(&mut self) -> Operation {
        let id = self.lease();
        match self.random.random_range(0..100) {
            0..40 => {
                let ttl = if self.chance(4) { self.pick(&[9_000_000_001, i64::MAX]) } else { self.pick(&TTLS) };
                Operation::Grant(LeaseGrantRequest { ttl, id })
            }
            40..55 => Operation::Revoke(id),
            55..70 => Operation::KeepAlive(id),
            70..90 => Operation::TimeToLive(id, self.chance(60)),
            _ => Operation::Leases,
        }
    }

    fn stream(&mut self) -> Stream {
        Stream(self.random.random_range(0..Stream::COUNT))
    }

    fn watch_id(&mut self) -> i64 {
        match self.random.random_range(0..10) {
            0..6 => self.random.random_range(0..8),
            6..9 => self.pick(&[1000, 2000, 3000]),
            _ => self.pick(&[-1, -2, 4_000_000]),
        }
    }

    fn watch(&mut self) -> Operation {
        let (key, range_end) = self.space.range(&mut self.random);
        let stream = self.stream();
        let request = WatchCreateRequest {
            key,
            range_end,
            start_revision: self.watch_start(stream),
            progress_notify: self.chance(20),
            filters: if self.chance(75) { Vec::new() } else { self.filters() },
            prev_kv: self.chance(40),
            watch_id: if self.chance(60) { 0 } else { self.watch_id() },
            fragment: self.chance(20),
        };
        Operation::Watch(stream, request)
    }

    fn watch_start(&mut self, stream: Stream) -> i64 {
        match self.random.random_range(0..100) {
            0..50 => 0,
            50..53 => self.pick(&[-1, i64::MIN]),
            _ if stream.looks_ahead() => symbol::current(self.random.random_range(1..30)),
            53..75 => symbol::current(-self.random.random_range(0..60)),
            _ => symbol::compacted(self.random.random_range(-3..4)),
        }
    }

    fn filters(&mut self) -> Vec<i32> {
        const UNKNOWN: i32 = 7;
        let count = self.random.random_range(1..4);
        (0..count).map(|_| self.pick(&[0, 1, UNKNOWN])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(seed: u64) -> Vec<Operation> {
        let mut generator = Generator::new(seed, KeySpace::whole());
        (0..500).map(|_| generator.operation()).collect()
    }

    #[test]
    fn a_seed_names_its_sequence() {
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
    }
}
