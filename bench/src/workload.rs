//! What is measured: a name, the load tool's arguments, and what to put there before.

/// One line of the table.
pub(crate) struct Workload {
    pub(crate) name: String,
    /// The load tool's command with its arguments, less the endpoint.
    pub(crate) arguments: Vec<String>,
    /// A fresh server per round, except where one round takes minutes and its result hardly varies.
    pub(crate) rounds: Rounds,
}

pub(crate) enum Rounds {
    AsAsked,
    One,
}

/// The key that range workloads read; every server holds it, with [`VALUE_SIZE`] bytes, before the load.
pub(crate) const RANGE_KEY: &str = "range-key";
/// Bytes of a value: what a small configuration entry has.
pub(crate) const VALUE_SIZE: usize = 256;
const KEY_SIZE: usize = 8;
const KEY_SPACE: usize = 100_000;
/// The published etcd benchmarks run 1000 clients over this many connections.
const MAX_CONNECTIONS: usize = 100;
const WATCHERS: usize = 100;

/// All workloads, in the order of the table. `quick` sends a tenth.
pub(crate) fn all(quick: bool) -> Vec<Workload> {
    let scale = if quick { 10 } else { 1 };
    // Each long enough for some seconds of server time on two cores: CPU is counted in steps of 10 ms.
    let puts = [(1, 10_000), (64, 100_000), (1000, 200_000)];
    let ranges = [(1, 20_000), (64, 200_000), (1000, 300_000)];
    let mut all = Vec::new();
    all.extend(puts.map(|(clients, total)| put(clients, total / scale)));
    all.extend(ranges.map(|(clients, total)| range("linearizable", "l", clients, total / scale)));
    all.extend(ranges.map(|(clients, total)| range("serializable", "s", clients, total / scale)));
    // Some seconds of it; the tool lets the first second's puts go at once.
    all.push(watch("steady", 100, if quick { 500 } else { 1_500 }));
    // More than either system can do: the tool's limiter never waits.
    all.push(watch("as fast as possible", 1_000_000, 20_000 / scale));
    all.push(memory(100_000));
    if !quick {
        all.push(memory(1_000_000));
    }
    all
}

fn put(clients: usize, total: usize) -> Workload {
    let mut arguments = connections(clients);
    arguments.push("put".to_owned());
    arguments.extend(pairs(&[("total", total), ("key-size", KEY_SIZE), ("val-size", VALUE_SIZE)]));
    arguments.extend(pairs(&[("key-space-size", KEY_SPACE)]));
    Workload { name: format!("put, {}", counted(clients, "client")), arguments, rounds: Rounds::AsAsked }
}

fn range(name: &str, consistency: &str, clients: usize, total: usize) -> Workload {
    let mut arguments = connections(clients);
    arguments.extend(["range", RANGE_KEY, "--consistency", consistency].map(str::to_owned));
    arguments.extend(pairs(&[("total", total)]));
    Workload { name: format!("range {name}, {}", counted(clients, "client")), arguments, rounds: Rounds::AsAsked }
}

fn watch(name: &str, rate: usize, puts: usize) -> Workload {
    let mut arguments = vec!["watch-latency".to_owned()];
    arguments.extend(pairs(&[("streams", 10), ("watchers-per-stream", WATCHERS / 10)]));
    arguments.extend(pairs(&[("put-total", puts), ("put-rate", rate), ("val-size", VALUE_SIZE)]));
    Workload { name: format!("watch, {WATCHERS} watchers, {name}"), arguments, rounds: Rounds::AsAsked }
}

fn memory(keys: usize) -> Workload {
    let mut arguments = connections(64);
    arguments.extend(["put", "--sequential-keys"].map(str::to_owned));
    arguments.extend(pairs(&[("total", keys), ("key-space-size", keys)]));
    arguments.extend(pairs(&[("key-size", KEY_SIZE), ("val-size", VALUE_SIZE)]));
    let rounds = if keys > 100_000 { Rounds::One } else { Rounds::AsAsked };
    Workload { name: format!("memory, {}k keys", keys / 1000), arguments, rounds }
}

fn connections(clients: usize) -> Vec<String> {
    pairs(&[("clients", clients), ("conns", clients.min(MAX_CONNECTIONS))])
}

fn pairs(pairs: &[(&str, usize)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
