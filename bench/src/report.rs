//! What etcd's load tool prints, read back.
//!
//! ```text
//! Summary:
//!   Requests/sec:  3263.1957
//! Response time histogram:
//!   0.000317682 [1]  |                 <- the counts add up to the operations that succeeded
//! Latency distribution:
//!   50% in 0.0022 secs.                <- a percentile that is zero is left out
//! Error distribution:
//!   [3]  etcdserver: request is too large
//! ```
//!
//! Invariant: a text without a report, or one whose numbers cannot be read, is an error, never a zero.

use crate::Result;

/// One report; the watch commands print two, of puts and of events.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Report {
    /// Operations per second, as the tool counts them.
    pub(crate) rate: f64,
    /// Seconds.
    pub(crate) p50: f64,
    /// Seconds.
    pub(crate) p99: f64,
    /// Operations that succeeded.
    pub(crate) operations: u64,
    /// Operations that failed, and the first kind of failure.
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

/// All reports in what the tool printed, in order.
pub(crate) fn parse(text: &str) -> Result<Vec<Report>> {
    let mut reports: Vec<Report> = Vec::new();
    let mut in_errors = false;
    for line in text.lines() {
        let words = line.split_whitespace().collect::<Vec<_>>();
        match words[..] {
            ["Summary:"] => {
                reports.push(Report::default());
                in_errors = false;
            }
            ["Error", "distribution:"] => {
                // Where nothing succeeded, the errors are all there is.
                if reports.is_empty() {
                    reports.push(Report::default());
                }
                in_errors = true;
            }
            _ => {
                if let Some(report) = reports.last_mut() {
                    read_line(report, &words, line, in_errors)?;
                }
            }
        }
    }
    if reports.is_empty() {
        return Err("the load tool printed no report".into());
    }
    Ok(reports)
}

fn read_line(report: &mut Report, words: &[&str], line: &str, in_errors: bool) -> Result<()> {
    match words {
        ["Requests/sec:", rate] => report.rate = number(rate, line)?,
        ["50%", "in", seconds, "secs."] => report.p50 = number(seconds, line)?,
        ["99%", "in", seconds, "secs."] => report.p99 = number(seconds, line)?,
        [count, message @ ..] if in_errors && bracketed(count).is_some() => {
            report.errors += count_of(count, line)?;
            report.first_error.get_or_insert_with(|| message.join(" "));
        }
        [_, count, bar, ..] if bar.starts_with('|') && bracketed(count).is_some() => {
            report.operations += count_of(count, line)?;
        }
        _ => {}
    }
    Ok(())
}

fn bracketed(word: &str) -> Option<&str> {
    word.strip_prefix('[')?.strip_suffix(']')
}

fn count_of(word: &str, line: &str) -> Result<u64> {
    let count = bracketed(word).and_then(|count| count.parse().ok());
    count.ok_or_else(|| unreadable(line))
}

fn number(word: &str, line: &str) -> Result<f64> {
    let number = word.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| unreadable(line))
}

fn unreadable(line: &str) -> Box<dyn std::error::Error> {
    format!("the load tool printed what cannot be read: {line}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: &str = include_str!("../testdata/put.txt");
    const WATCH: &str = include_str!("../testdata/watch-latency.txt");
    const ERRORS: &str = include_str!("../testdata/errors.txt");

    #[test]
    fn a_put_run_is_one_report() {
        let reports = parse(PUT).unwrap();
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].operations, 2000);
        assert!((reports[0].rate - 3_263.195_775).abs() < 1e-3, "{}", reports[0].rate);
        assert!(reports[0].p50 > 0.000_3 && reports[0].p50 < reports[0].p99 && reports[0].p99 < 0.05);
        assert_eq!((reports[0].errors, &reports[0].first_error), (0, &None));
    }

    #[test]
    fn a_watch_run_reports_puts_then_events() {
        let operations = parse(WATCH).unwrap().iter().map(|report| report.operations).collect::<Vec<_>>();
        assert_eq!(operations, [200, 2000]);
    }

    #[test]
    fn failures_are_counted_where_nothing_succeeded() {
        let reports = parse(ERRORS).unwrap();
        assert_eq!((reports[0].operations, reports[0].errors), (0, 3));
        assert_eq!(reports[0].first_error.as_deref(), Some("etcdserver: request is too large"));
    }

    #[test]
    fn a_missing_percentile_was_zero() {
        let text = "Summary:\n  Requests/sec:\t10.0\n  0.0 [4]\t|\nLatency distribution:\n  99% in 0.5 secs.\n";
        let report = parse(text).unwrap().remove(0);
        assert_eq!((report.p50, report.p99, report.operations), (0.0, 0.5, 4));
    }

    #[test]
    fn silence_and_nonsense_are_errors() {
        assert!(parse("").is_err());
        assert!(parse("Summary:\n  Requests/sec:\tNaN\n").is_err());
    }
}
