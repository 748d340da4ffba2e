//! What clients of a server that is killed have written, what the server says has happened, and whether both agree.
//!
//! ```text
//!  load ─► writes (acknowledged or unknown) ─┐
//!                                            ├─► checker ─► Ok │ the first contradiction
//!  watch from revision 2 ─► changes ─────────┘
//!                              └─► model ─► what a range at any revision has to answer
//! ```

pub mod checker;
pub mod follow;
pub mod load;
pub mod model;
pub mod read;

/// One key's change at one revision, as a watch reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision
    pub revision: i64,
    /// The key
    pub key: String,
    /// The new value; `None` for a deletion
    pub value: Option<String>,
}

/// What a client knows of a write's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server said that it happened at this revision
    At(i64),
    /// The server said that there was nothing to change
    Nothing,
    /// The connection broke before the answer: it happened once or not at all
    Unknown,
}

/// One write of a client: the changes it asks for, all at one revision.
#[derive(Clone, Debug)]
pub struct Write {
    /// Keys and their new values, which no other write uses; `None` deletes the key
    pub changes: Vec<(String, Option<String>)>,
    /// What became of it
    pub fate: Fate,
}
