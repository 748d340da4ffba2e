//! Settles what is not deterministic before a command is proposed: every node must reach the same state from it.

use internal_proto::{Error, LeaseId, Operation, Write};
use rand::Rng;

/// The longest time to live that etcd grants, in seconds.
const MAX_TTL: i64 = 9_000_000_000;

/// What a node adds to commands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settle {
    /// No lease lives shorter, in seconds: it must outlast an election.
    pub(crate) min_ttl: i64,
}

impl Settle {
    /// Settles every command; those that cannot be are answered.
    pub(crate) fn all(self, writes: Vec<Write>, random: &mut impl Rng) -> Vec<Write> {
        writes.into_iter().filter_map(|write| self.one(write, random)).collect()
    }

    fn one(self, mut write: Write, random: &mut impl Rng) -> Option<Write> {
        if let Operation::LeaseGrant(grant) = &mut write.command.operation {
            if grant.ttl > MAX_TTL {
                write.respond.send(Err(Error::LeaseTtlTooLarge));
                return None;
            }
            grant.ttl = grant.ttl.max(self.min_ttl);
            if grant.id == LeaseId(0) {
                grant.id = LeaseId(random.random_range(1..=i64::MAX));
            }
        }
        Some(write)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use internal_proto::{AuthRevision, Command, LeaseGrantRequest, Responder};
    use rand::SeedableRng;

    fn settled(id: i64, ttl: i64) -> Option<LeaseGrantRequest> {
        let grant = LeaseGrantRequest { id: LeaseId(id), ttl };
        let command = Command { origin: None, auth: AuthRevision::default(), operation: Operation::LeaseGrant(grant) };
        let write = Write { command, respond: Responder::new().0 };
        let mut random = rand::rngs::StdRng::seed_from_u64(1);
        let writes = Settle { min_ttl: 2 }.all(vec![write], &mut random);
        match &writes.first()?.command.operation {
            Operation::LeaseGrant(grant) => Some(*grant),
            _ => None,
        }
    }

    #[test]
    fn a_lease_gets_an_id_unless_it_brings_one_even_a_negative_one() {
        assert!(settled(0, 5).unwrap().id > LeaseId(0));
        assert_eq!(settled(i64::MIN, 5).unwrap().id, LeaseId(i64::MIN));
    }

    #[test]
    fn a_time_to_live_is_raised_to_the_least_and_refused_above_the_most() {
        assert_eq!(settled(1, -7).unwrap().ttl, 2);
        assert_eq!(settled(1, MAX_TTL).unwrap().ttl, MAX_TTL);
        assert_eq!(settled(1, MAX_TTL + 1), None);
    }
}
