//! Both watch hubs under random writes, compactions, slow links, dropped links and slow clients, from one seed each.
#![allow(clippy::unwrap_used)]

mod checker;
mod history;
mod link;
mod stress;
