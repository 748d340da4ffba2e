//! Whether the product costs more, against etcd in the same run, than it did when the committed results were measured.
//!
//! ```text
//!  measured ─ within the tolerance ──────────────► go on
//!           └ beyond ─► measured once more, both runs together ─ within ─► go on
//!                                                              └ beyond ─► told, and the comparison fails
//! ```
//!
//! Only processor time per operation is held against the past: its ratio depends least on the machine.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::load::Sample;
use crate::rounds::{Comparison, Outcome};
use crate::statistics::Summary;
use crate::system::Form;

/// Beyond this, a change has made something dearer, or the machine was busy with something else.
const TOLERANCE: f64 = 1.15;

/// Results of the past.
pub(crate) struct Guard(Comparison);

impl Guard {
    /// Reads committed results, of the same form.
    pub(crate) fn read(path: &Path, form: Form) -> Result<Self> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| named(&error))?;
        let past: Comparison = serde_json::from_str(&text).map_err(|error| named(&error))?;
        if past.form != form {
            return Err(named(&format!("results of the form {:?}, not {form:?}", past.form)).into());
        }
        Ok(Self(past))
    }

    /// Why these results are not acceptable, if they are not.
    pub(crate) fn objection(&self, outcome: &Outcome) -> Option<String> {
        let name = &outcome.workload;
        let same = |before: &&Outcome| before.workload == *name && before.arguments == outcome.arguments;
        let Some(before) = self.0.outcomes.iter().find(same).and_then(|before| cpu_ratio(&before.samples)) else {
            return Some(format!("{name}: not measured before in the same way"));
        };
        let now = cpu_ratio(&outcome.samples)?;
        (now > before * TOLERANCE).then(|| format!("{name}: {now:.2} of etcd's CPU per operation, {before:.2} before"))
    }
}

/// The product's processor time per operation, as a part of etcd's.
fn cpu_ratio(samples: &[Vec<Sample>; 2]) -> Option<f64> {
    let [etcd, product] = samples.each_ref().map(|samples| Summary::of(samples.iter().map(|sample| sample.cpu_us)));
    Some(product?.median / etcd.filter(|etcd| etcd.median > 0.0)?.median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::sample;

    fn outcome(etcd: f64, product: &[f64]) -> Outcome {
        let costing = |cpu_us| Sample { cpu_us, ..sample(1.0) };
        let samples = [vec![costing(etcd)], product.iter().copied().map(costing).collect()];
        Outcome { workload: "put".to_owned(), arguments: Vec::new(), samples }
    }

    #[test]
    fn what_costs_clearly_more_of_etcds_time_than_before_is_told() {
        let guard = Guard(Comparison { outcomes: vec![outcome(100.0, &[50.0])], ..Comparison::default() });
        assert_eq!(guard.objection(&outcome(200.0, &[114.0])), None);
        assert_eq!(guard.objection(&outcome(200.0, &[60.0, 110.0, 300.0])), None, "the median counts");
        let told = guard.objection(&outcome(200.0, &[117.0]));
        assert_eq!(told.as_deref(), Some("put: 0.58 of etcd's CPU per operation, 0.50 before"));
        let other = Outcome { arguments: vec!["--another".to_owned()], ..outcome(200.0, &[60.0]) };
        assert_eq!(guard.objection(&other).as_deref(), Some("put: not measured before in the same way"));
    }
}
