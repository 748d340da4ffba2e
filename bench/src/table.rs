//! What a person reads: the machine, then three lines per workload as they are measured.

use std::io::{Write as _, stdout};
use std::path::Path;

use crate::Result;
use crate::load::{Process, Sample};
use crate::rounds::{Comparison, Outcome};
use crate::statistics::Summary;
use crate::workload::Workload;

/// A column: its title, and the value in a sample.
type Column = (&'static str, fn(&Sample) -> f64);

const COLUMNS: [Column; 5] = [
    ("rate /s", |sample| sample.rate),
    ("p50 ms", |sample| sample.p50_ms),
    ("p99 ms", |sample| sample.p99_ms),
    ("CPU us/op", |sample| sample.cpu_us),
    ("RSS MiB", |sample| sample.resident_mib),
];
/// Wide enough for `123456.7 ±100%`.
const COLUMN_WIDTH: usize = 16;
const NAME_WIDTH: usize = 12;

pub(crate) fn print_names(workloads: &[Workload]) -> Result<()> {
    for workload in workloads {
        writeln!(stdout(), "{}", workload.name)?;
    }
    Ok(())
}

pub(crate) fn print_heading(comparison: &Comparison) -> Result<()> {
    let machine = &comparison.machine;
    let mut out = stdout().lock();
    writeln!(
        out,
        "{} cores of {}, {} MiB, Linux {}",
        machine.cores, machine.processor, machine.memory_mib, machine.kernel
    )?;
    let (p50, p99) = (machine.fdatasync_p50_us, machine.fdatasync_p99_us);
    writeln!(out, "data on {}, where fdatasync takes {p50:.0} us (p99 {p99:.0} us)", machine.filesystem)?;
    for (name, version) in &comparison.systems {
        writeln!(out, "{name}: {version}")?;
    }
    writeln!(
        out,
        "Form: {:?}. Fresh servers each time; the load tool shares their cores. Medians over the",
        comparison.form
    )?;
    writeln!(out, "rounds, ± half the range between the extremes. CPU is all servers'. Ratios: metastore / etcd.\n")?;
    let titles = COLUMNS.map(|(title, _)| format!("{title:>COLUMN_WIDTH$}"));
    writeln!(out, "{:NAME_WIDTH$}{}", "", titles.concat())?;
    Ok(())
}

pub(crate) fn print_outcome(systems: &[(String, String); 2], outcome: &Outcome) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", outcome.workload)?;
    for ((name, _), samples) in systems.iter().zip(&outcome.samples) {
        let cells = COLUMNS.map(|column| format!("{:>COLUMN_WIDTH$}", cell(samples, column)));
        writeln!(out, "  {name:<width$}{}", cells.concat(), width = NAME_WIDTH - 2)?;
    }
    for ((name, _), samples) in systems.iter().zip(&outcome.samples) {
        if let Some(parts) = parts(samples) {
            writeln!(out, "  CPU us/op of {name}: {parts}")?;
        }
    }
    let ratios = COLUMNS.map(|column| format!("{:>COLUMN_WIDTH$}", ratio(&outcome.samples, column)));
    writeln!(out, "  {:<width$}{}", "ratio", ratios.concat(), width = NAME_WIDTH - 2)?;
    Ok(())
}

pub(crate) fn print_end(path: &Path) -> Result<()> {
    writeln!(stdout(), "\nEvery sample: {}", path.display())?;
    Ok(())
}

fn summary(samples: &[Sample], (_, value): Column) -> Option<Summary> {
    Summary::of(samples.iter().map(value))
}

fn cell(samples: &[Sample], column: Column) -> String {
    let Some(summary) = summary(samples, column) else { return "-".to_owned() };
    let digits = if summary.median >= 1000.0 { 0 } else { 2 };
    format!("{:.digits$} ±{:.0}%", summary.median, summary.spread_percent())
}

/// Each process's part of the CPU time, where there are several.
fn parts(samples: &[Sample]) -> Option<String> {
    let names = samples.first().filter(|sample| sample.processes.len() > 1)?;
    let part = |(index, process): (usize, &Process)| {
        let spent = samples.iter().filter_map(|sample| Some(sample.processes.get(index)?.cpu_us));
        Some(format!("{} {:.1}", process.kind, Summary::of(spent)?.median))
    };
    names.processes.iter().enumerate().map(part).collect::<Option<Vec<_>>>().map(|parts| parts.join(", "))
}

fn ratio([etcd, metastore]: &[Vec<Sample>; 2], column: Column) -> String {
    match (summary(etcd, column), summary(metastore, column)) {
        (Some(etcd), Some(metastore)) if etcd.median > 0.0 => format!("{:.2}", metastore.median / etcd.median),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample(rate: f64) -> Sample {
        Sample {
            round: 0,
            operations: 10,
            rate,
            p50_ms: 0.0,
            p99_ms: 2.5,
            cpu_us: 30.0,
            resident_mib: 100.0,
            anonymous_mib: 80.0,
            processes: Vec::new(),
        }
    }

    #[test]
    fn cells_and_ratios() {
        let samples = [vec![sample(900.0), sample(1000.0), sample(1100.0)], vec![sample(2000.0)]];
        assert_eq!(cell(&samples[0], COLUMNS[0]), "1000 ±10%");
        assert_eq!(cell(&samples[0], COLUMNS[2]), "2.50 ±0%");
        assert_eq!(ratio(&samples, COLUMNS[0]), "2.00");
        assert_eq!(ratio(&samples, COLUMNS[1]), "-");
    }
}
