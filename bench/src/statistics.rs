//! The middle of some numbers, and how far they spread.

use serde::Serialize;

/// Of one metric over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// `None` of no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
        let mut sorted = values.into_iter().collect::<Vec<_>>();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Some(Summary { median, min, max })
    }

    /// Half the distance between the extremes, in percent of the median; 0 where the median is.
    pub(crate) fn spread_percent(&self) -> f64 {
        if self.median == 0.0 { 0.0 } else { (self.max - self.min) / 2.0 / self.median * 100.0 }
    }
}

/// The value below which `fraction` of the sorted values lie; 0 of none.
pub(crate) fn percentile(sorted: &[f64], fraction: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at = (sorted.len() as f64 * fraction) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Summary::of([3.0, 1.0, 2.0]), Some(Summary { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Summary::of([4.0, 1.0]).map(|summary| summary.median), Some(2.5));
        assert_eq!(Summary::of([]), None);
    }

    #[test]
    fn the_spread_is_half_the_range() {
        assert_eq!(Summary::of([90.0, 100.0, 110.0]).map(|summary| summary.spread_percent()), Some(10.0));
    }

    #[test]
    fn percentiles_of_a_hundred() {
        let sorted = (0..100).map(f64::from).collect::<Vec<_>>();
        assert_eq!((percentile(&sorted, 0.5), percentile(&sorted, 0.99), percentile(&[], 0.5)), (50.0, 99.0, 0.0));
    }
}
