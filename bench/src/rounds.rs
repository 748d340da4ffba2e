//! The loop: every workload, every round, both systems.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::guard::Guard;
use crate::load::{Sample, Tools};
use crate::machine::{self, Machine};
use crate::options::Options;
use crate::system::{Form, System};
use crate::table;
use crate::workload::{self, Rounds, Workload};

/// The samples of one workload, per system in the order of [`Comparison::systems`].
#[derive(Deserialize, Serialize)]
pub(crate) struct Outcome {
    pub(crate) workload: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) samples: [Vec<Sample>; 2],
}

/// Everything that was measured, as it is written to disk.
#[derive(Default, Deserialize, Serialize)]
pub(crate) struct Comparison {
    pub(crate) machine: Machine,
    pub(crate) form: Form,
    /// Name and version; the first is the measure.
    pub(crate) systems: [(String, String); 2],
    pub(crate) outcomes: Vec<Outcome>,
}

/// Measures, prints the table and writes the samples as JSON.
pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = |workload: &Workload| {
        options.only.is_empty() || options.only.iter().any(|part| workload.name.contains(part.as_str()))
    };
    let workloads = workload::all(options.quick).into_iter().filter(chosen).collect::<Vec<_>>();
    if options.list {
        return table::print_names(&workloads);
    }
    if workloads.is_empty() {
        return Err("no workload has such a name; --list names them".into());
    }
    let guard = options.against.as_deref().map(|path| Guard::read(path, options.form)).transpose()?;
    fs::create_dir_all(&options.directory)?;
    let systems = [System::etcd(&options.etcd)?, System::metastore(&options.metastore)?];
    let mut comparison = Comparison {
        machine: machine::inspect(&options.directory)?,
        form: options.form,
        systems: systems.each_ref().map(|system| (system.name.to_owned(), system.version.clone())),
        outcomes: Vec::new(),
    };
    table::print_heading(&comparison)?;
    let mut objections = Vec::new();
    for workload in &workloads {
        let samples = measure(workload, &systems, options)?;
        let mut outcome = Outcome { workload: workload.name.clone(), arguments: workload.arguments.clone(), samples };
        if guard.as_ref().is_some_and(|guard| guard.objection(&outcome).is_some()) {
            let again = measure(workload, &systems, options)?;
            outcome.samples.iter_mut().zip(again).for_each(|(samples, again)| samples.extend(again));
        }
        table::print_outcome(&comparison.systems, &outcome)?;
        objections.extend(guard.as_ref().and_then(|guard| guard.objection(&outcome)));
        comparison.outcomes.push(outcome);
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let path = options.directory.join(format!("compare-{seconds}.json"));
    fs::write(&path, serde_json::to_vec_pretty(&comparison)?)?;
    table::print_end(&path)?;
    if objections.is_empty() { Ok(()) } else { Err(objections.join("\n").into()) }
}

fn measure(workload: &Workload, systems: &[System; 2], options: &Options) -> Result<[Vec<Sample>; 2]> {
    let tools = Tools { benchmark: &options.benchmark, etcdctl: &options.etcdctl };
    let rounds = match workload.rounds {
        Rounds::AsAsked => options.rounds.get(),
        Rounds::One => 1,
    };
    let mut samples = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let system = &systems[which];
            let named = |error| format!("{}: {error}", system.name);
            let servers = system.start(options.form, &options.directory).map_err(named)?;
            tools.prepare(workload, &servers).map_err(named)?;
            samples[which].push(tools.run(workload, &servers, round).map_err(named)?);
        }
    }
    Ok(samples)
}
