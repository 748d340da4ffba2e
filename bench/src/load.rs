//! Runs etcd's load tool against a server and counts what that cost the server.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::report::{self, Report};
use crate::server::Servers;
use crate::workload::{RANGE_KEY, VALUE_SIZE, Workload, load_of};

/// One workload, once, on one system.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Sample {
    pub(crate) round: usize,
    pub(crate) operations: u64,
    /// Operations per second.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Microseconds of all servers' CPU time per operation.
    pub(crate) cpu_us: f64,
    /// MiB at the end of the load.
    pub(crate) resident_mib: f64,
    pub(crate) anonymous_mib: f64,
    /// What each process had of the CPU time, of each kind the busiest first.
    pub(crate) processes: Vec<Process>,
}

/// One server process's part.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Process {
    pub(crate) kind: String,
    pub(crate) cpu_us: f64,
}

/// The programs that make load.
pub(crate) struct Tools<'a> {
    pub(crate) benchmark: &'a Path,
    pub(crate) etcdctl: &'a Path,
}

impl Tools<'_> {
    /// Puts the key that ranges read, and what else the workload finds there.
    pub(crate) fn prepare(&self, workload: &Workload, servers: &Servers) -> Result<()> {
        let value = "v".repeat(VALUE_SIZE);
        let output =
            Command::new(self.etcdctl).args(["--endpoints", &servers.endpoints, "put", RANGE_KEY, &value]).output()?;
        if !output.status.success() {
            return Err(format!("etcdctl put: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        if workload.preloaded > 0 {
            self.benchmark("preload", &load_of(workload.preloaded), &servers.endpoints)?;
        }
        Ok(())
    }

    /// One run. A failed operation makes the whole run an error: a fast refusal is not a fast answer.
    pub(crate) fn run(&self, workload: &Workload, servers: &Servers, round: usize) -> Result<Sample> {
        let before = servers.cpu_seconds()?;
        let report = self.benchmark(&workload.name, &workload.arguments, &servers.endpoints)?;
        let after = servers.cpu_seconds()?;
        let memory = servers.memory()?;
        #[expect(clippy::cast_precision_loss)]
        let operations = report.operations as f64;
        let spent = before.into_iter().zip(after).map(|((kind, before), (_, after))| Process {
            kind: kind.to_owned(),
            cpu_us: (after - before) * 1e6 / operations,
        });
        let mut processes = spent.collect::<Vec<_>>();
        // A leader does the most: so it is the same place in every round, whoever leads.
        processes.sort_by(|left, right| right.kind.cmp(&left.kind).then(right.cpu_us.total_cmp(&left.cpu_us)));
        Ok(Sample {
            round,
            operations: report.operations,
            rate: report.rate,
            p50_ms: report.p50 * 1e3,
            p99_ms: report.p99 * 1e3,
            cpu_us: processes.iter().map(|process| process.cpu_us).sum(),
            resident_mib: memory.resident,
            anonymous_mib: memory.anonymous,
            processes,
        })
    }

    fn benchmark(&self, name: &str, arguments: &[String], endpoint: &str) -> Result<Report> {
        let output = Command::new(self.benchmark)
            .args(["--precise", "--endpoints", endpoint])
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        let failed = |what: &str| format!("{name}: {what}");
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(failed(stderr.lines().last().unwrap_or("the load tool failed")).into());
        }
        // Of the watch commands the second report counts: the events.
        let report = report::parse(&String::from_utf8_lossy(&output.stdout))?.pop();
        let report = report.ok_or_else(|| failed("no report"))?;
        match &report.first_error {
            Some(error) => Err(failed(&format!("{} operations failed, as with: {error}", report.errors)).into()),
            None if report.operations == 0 => Err(failed("no operation was counted").into()),
            None => Ok(report),
        }
    }
}
