//! As much of DNS as it takes to ask for addresses and services.
//!
//! ```text
//!  id │ flags and code │ four counts │ question: name kind class │ answers: name kind class ttl length data │ ...
//! ```
//!
//! Invariant: what is not a whole answer decodes to `None`; nothing that is received can panic or loop.

use std::net::Ipv4Addr;

pub mod asking;

/// The class of the Internet.
const INTERNET: u16 = 1;
const IS_ANSWER: u16 = 1 << 15;
const CODE: u16 = 0b1111;
/// In place of a label's length: the rest of the name stands at an earlier place.
const POINTER: u16 = 0b11 << 14;
/// Answers are no longer unless a question says that it takes more.
pub const MAX_DATAGRAM: usize = 512;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Addresses of a name.
    Address = 1,
    /// Where a service is reached.
    Service = 33,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Absolute, with its last dot.
    pub name: String,
    /// Which records.
    pub kind: Kind,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// NOERROR
    Success,
    /// SERVFAIL: the server could not find out; ask again.
    ServerFailure,
    /// NXDOMAIN: there is no such name.
    NoSuchName,
    /// Any other.
    Other(u16),
}

/// A record of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Whose it is.
    pub name: String,
    /// For how many seconds it may be kept.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// A
    Address(Ipv4Addr),
    /// SRV
    Service {
        /// The lowest comes first.
        priority: u16,
        /// Shares among equal priorities.
        weight: u16,
        /// Where it listens.
        port: u16,
        /// The name of its machine.
        target: String,
    },
    /// Of a kind that nobody asked for.
    Other(u16),
}

/// An answer, without what the server adds to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its question's.
    pub id: u16,
    /// How it went.
    pub code: Code,
    /// In order, as servers shuffle them.
    pub records: Vec<Record>,
}

impl Question {
    /// The datagram that asks it.
    #[must_use]
    pub fn encode(&self, id: u16) -> Vec<u8> {
        let header = [id, 0, 1, 0, 0, 0];
        let mut datagram: Vec<u8> = header.iter().flat_map(|field| field.to_be_bytes()).collect();
        for label in self.name.split_terminator('.') {
            datagram.push(u8::try_from(label.len()).expect("names in tests have short labels"));
            datagram.extend_from_slice(label.as_bytes());
        }
        datagram.push(0);
        datagram.extend_from_slice(&(self.kind as u16).to_be_bytes());
        datagram.extend_from_slice(&INTERNET.to_be_bytes());
        datagram
    }
}

impl Answer {
    /// What a datagram says.
    #[must_use]
    pub fn decode(datagram: &[u8]) -> Option<Self> {
        let mut reader = Reader { datagram, at: 0 };
        let (id, flags) = (reader.number()?, reader.number()?);
        let (questions, answers) = (reader.number()?, reader.number()?);
        reader.take(4)?;
        for _ in 0..questions {
            reader.name()?;
            reader.take(4)?;
        }
        let mut records = (0..answers).map(|_| reader.record()).collect::<Option<Vec<_>>>()?;
        records.sort_unstable();
        let code = match flags & CODE {
            0 => Code::Success,
            2 => Code::ServerFailure,
            3 => Code::NoSuchName,
            other => Code::Other(other),
        };
        (flags & IS_ANSWER != 0).then_some(Self { id, code, records })
    }
}

struct Reader<'a> {
    datagram: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.datagram.get(self.at..self.at + length)?;
        self.at += length;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn name(&mut self) -> Option<String> {
        let (start, mut name) = (self.at, String::new());
        loop {
            let length = usize::from(*self.datagram.get(self.at)?);
            if length >= usize::from(POINTER >> 8) {
                let place = usize::from(self.number()? & !POINTER);
                // Only ever backwards, so it comes to an end.
                let rest = (place < start).then_some(Reader { datagram: self.datagram, at: place })?.name()?;
                return Some(name + &rest);
            }
            let label = self.take(1 + length)?;
            if length == 0 {
                return Some(name);
            }
            name.push_str(std::str::from_utf8(&label[1..]).ok()?);
            name.push('.');
        }
    }

    fn record(&mut self) -> Option<Record> {
        let (name, kind, _class) = (self.name()?, self.number()?, self.number()?);
        let ttl = u32::from(self.number()?) << 16 | u32::from(self.number()?);
        let end = usize::from(self.number()?) + self.at;
        let data = if kind == Kind::Address as u16 {
            Data::Address(Ipv4Addr::from(<[u8; 4]>::try_from(self.take(4)?).ok()?))
        } else if kind == Kind::Service as u16 {
            let (priority, weight, port) = (self.number()?, self.number()?, self.number()?);
            Data::Service { priority, weight, port, target: self.name()? }
        } else {
            self.at = end;
            Data::Other(kind)
        };
        (self.at == end).then_some(Record { name, ttl, data })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The answer to "a.test.": its address, and a service there whose target points back at the question's name.
    fn datagram() -> Vec<u8> {
        let mut datagram = Question { name: "a.test.".into(), kind: Kind::Address }.encode(7);
        (datagram[2], datagram[7]) = (0x80, 2);
        datagram.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1]);
        datagram.extend([0xc0, 12, 0, 33, 0, 1, 0, 1, 0, 0, 0, 10, 0, 1, 0, 2, 0, 80, 1, b'b', 0xc0, 14]);
        datagram
    }

    #[test]
    fn answers_are_read() {
        let name = "a.test.".to_owned();
        let address = Record { name: name.clone(), ttl: 9, data: Data::Address([10, 0, 0, 1].into()) };
        let target = "b.test.".to_owned();
        let service = Record { name, ttl: 65536, data: Data::Service { priority: 1, weight: 2, port: 80, target } };
        let expected = Answer { id: 7, code: Code::Success, records: vec![address, service] };
        assert_eq!(Answer::decode(&datagram()), Some(expected));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let whole = datagram();
        for length in 0..whole.len() {
            assert_eq!(Answer::decode(&whole[..length]), None, "{length} bytes");
        }
        // A question, and a name that points at itself.
        assert_eq!(Answer::decode(&Question { name: "a.test.".into(), kind: Kind::Service }.encode(7)), None);
        let mut loops = whole;
        loops[25] = 24;
        assert_eq!(Answer::decode(&loops), None);
    }
}
