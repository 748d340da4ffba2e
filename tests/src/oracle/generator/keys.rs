//! Few keys with the awkward ones among them, and every shape of a range over them.

use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;

/// With the suite's own key at most twelve: Go sorts longer answers by an algorithm that leaves equal elements in an
/// order of its own, which no other server can give.
const NAMES: [&[u8]; 10] = [b"a", b"b", b"c", b"a\0", b"ab", b"\0", b"\0\0", b"\xff", b"\xff\xff", b"a\xff"];

/// The keys of a sequence.
#[derive(Clone, Debug)]
pub struct KeySpace {
    prefix: Vec<u8>,
}

impl KeySpace {
    /// All keys, for a client that has the store for itself.
    #[must_use]
    pub const fn whole() -> Self {
        Self { prefix: Vec::new() }
    }

    /// The keys below a prefix, which must not end in 0xff: ranges never leave it.
    #[must_use]
    pub fn below(prefix: &str) -> Self {
        Self { prefix: prefix.as_bytes().to_vec() }
    }

    fn named(&self, name: &[u8]) -> Bytes {
        [&self.prefix, name].concat().into()
    }

    /// A key; rarely the empty one, which is refused.
    pub fn key(&self, random: &mut StdRng) -> Bytes {
        if random.random_ratio(1, 100) {
            return Bytes::new();
        }
        self.named(NAMES[random.random_range(0..NAMES.len())])
    }

    /// A key and the end of its range: none, a prefix, from the key on, reversed, any.
    pub fn range(&self, random: &mut StdRng) -> (Bytes, Bytes) {
        let key = self.key(random);
        let end = match random.random_range(0..100) {
            0..40 => Bytes::new(),
            40..55 => prefix_end(&key),
            55..65 => return self.everything(),
            65..75 if self.prefix.is_empty() => Bytes::from_static(&[0]),
            75..78 => key.clone(),
            _ if key.is_empty() => Bytes::from_static(b"b"),
            _ => self.key(random),
        };
        // Outside its prefix an empty key would name everybody's keys.
        if key.is_empty() && !self.prefix.is_empty() { (key, Bytes::new()) } else { (key, end) }
    }

    fn everything(&self) -> (Bytes, Bytes) {
        if self.prefix.is_empty() {
            return (Bytes::from_static(&[0]), Bytes::from_static(&[0]));
        }
        let prefix = Bytes::from(self.prefix.clone());
        let end = prefix_end(&prefix);
        (prefix, end)
    }
}

/// Where the keys with this prefix end, as etcd's clients compute it.
#[must_use]
pub(crate) fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end.into();
        }
    }
    Bytes::from_static(&[0])
}
