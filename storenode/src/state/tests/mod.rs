//! The state, run by scripts on two engines at once and by random operations against a plain model.

#![allow(clippy::unwrap_used)]

mod concurrent;
mod hash;
mod model;
mod notation;
mod random;
mod reopened;
mod script;
