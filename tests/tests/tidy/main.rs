//! The repository against its own rules: shape of files, words, direction of dependencies, truth of the
//! README. Each module is one group of rules; `exceptions.rs` lists what may break them and why.

#![allow(clippy::unwrap_used, reason = "a check that cannot read the repository has failed")]

mod direction;
mod exceptions;
mod reachable;
mod readme;
mod repository;
mod shape;
mod source;
mod versions;
mod words;
