//! Shortens a sequence that differs: first the end, then ever smaller pieces, as long as the rest still differs.

use std::time::{Duration, Instant};

use super::fault::Fault;
use super::operation::Operation;
use super::run::{Mismatch, Pair};
use crate::deployment::Form;

/// Starting two servers takes about a second, so this is some hundred attempts at most.
const BUDGET: Duration = Duration::from_secs(90);

/// Runs a sequence on new systems; on a mismatch finds a short sequence that still has one.
///
/// # Errors
/// The mismatch with the seed's name, the shortened sequence and its own mismatch.
pub async fn check(right: Form, fault: Option<Fault>, operations: &[Operation]) -> Result<(), String> {
    let Err(first) = start(right, fault).await?.run(operations).await else { return Ok(()) };
    let (shortest, last) = shrink(right, fault, operations, first.clone()).await?;
    let mut pair = start(right, fault).await?;
    pair.hurry();
    let lines = pair.transcript(&shortest).await.join("\n");
    Err(format!("{first}\n\nshortened to {} operations:\n{lines}\n\nwhere {last}", shortest.len()))
}

async fn shrink(
    right: Form,
    fault: Option<Fault>,
    operations: &[Operation],
    mut mismatch: Mismatch,
) -> Result<(Vec<Operation>, Mismatch), String> {
    let deadline = Instant::now() + BUDGET;
    let mut shortest = operations[..operations.len().min(mismatch.number + 1)].to_vec();
    let mut piece = shortest.len() / 2;
    while piece > 0 && Instant::now() < deadline {
        let mut at = 0;
        while at < shortest.len() && Instant::now() < deadline {
            let end = shortest.len().min(at + piece);
            let candidate = [&shortest[..at], &shortest[end..]].concat();
            if let Some(found) = attempt(right, fault, &candidate).await? {
                shortest = candidate;
                shortest.truncate(found.number + 1);
                mismatch = found;
            } else {
                at = end;
            }
        }
        piece /= 2;
    }
    Ok((shortest, mismatch))
}

async fn attempt(right: Form, fault: Option<Fault>, operations: &[Operation]) -> Result<Option<Mismatch>, String> {
    let mut pair = start(right, fault).await?;
    pair.hurry();
    Ok(pair.run(operations).await.err())
}

async fn start(right: Form, fault: Option<Fault>) -> Result<Pair, String> {
    Pair::start(right, fault).await.map_err(|failure| failure.0)
}
