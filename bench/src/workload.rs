//! What is measured: a name, the load tool's arguments, and what to put there before.

/// One line of the table.
pub(crate) struct Workload {
    pub(crate) name: String,
    /// The load tool's command with its arguments, less the endpoint.
    pub(crate) arguments: Vec<String>,
    /// Keys that the load finds there, beside [`RANGE_KEY`]; not measured.
    pub(crate) preloaded: usize,
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
/// What pages and counts are taken from.
const PRELOADED: usize = 100_000;
/// Almost all keys that the load tool writes: their first byte is 1 to 243. Arguments hold no others.
const FIRST_KEY: &str = "\u{1}";
const LAST_KEY: &str = "\u{10ffff}";

/// All workloads, in the order of the table. `quick` sends a tenth.
pub(crate) fn all(quick: bool) -> Vec<Workload> {
    let scale = if quick { 10 } else { 1 };
    // Each long enough for some seconds of server time on two cores: CPU is counted in steps of 10 ms.
    let puts = [(1, 10_000), (64, 100_000), (1000, 200_000)];
    let ranges = [(1, 20_000), (64, 200_000), (1000, 300_000)];
    let mut all = Vec::new();
    all.extend(puts.map(|(clients, total)| put("put", (KEY_SIZE, VALUE_SIZE), clients, total / scale)));
    all.push(put("put of 4 KB", (32, 4_096), 64, 50_000 / scale));
    all.extend(ranges.map(|(clients, total)| range("linearizable", "l", clients, total / scale)));
    all.extend(ranges.map(|(clients, total)| range("serializable", "s", clients, total / scale)));
    all.extend(transactions(scale));
    all.extend(
        [("pages of 10", "--limit=10", 64), ("pages of 500", "--limit=500", 16), ("count", "--count-only", 64)].map(
            // A slow server takes 10 ms of CPU for each.
            |(name, option, clients)| part(name, option, clients, 20_000 / scale),
        ),
    );
    all.push(keep_alive(64, 200_000 / scale));
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

/// Of keys and values of these sizes.
fn put(name: &str, (key, value): (usize, usize), clients: usize, total: usize) -> Workload {
    let mut arguments = connections(clients);
    arguments.push("put".to_owned());
    arguments.extend(pairs(&[("total", total), ("key-size", key), ("val-size", value)]));
    arguments.extend(pairs(&[("key-space-size", KEY_SPACE)]));
    workload(format!("{name}, {}", counted(clients, "client")), arguments)
}

/// Four puts each; and compare-and-swap with retries, as lock libraries do it.
fn transactions(scale: usize) -> [Workload; 2] {
    let mut puts = connections(64);
    puts.extend(["txn-put", "--txn-ops=4"].map(str::to_owned));
    puts.extend(pairs(&[("total", 50_000 / scale), ("val-size", VALUE_SIZE), ("key-space-size", KEY_SPACE)]));
    let mut swaps = connections(64);
    swaps.extend(["stm", "--keys=1000", "--isolation=ss"].map(str::to_owned));
    swaps.extend(pairs(&[("total", 50_000 / scale), ("val-size", VALUE_SIZE)]));
    [workload("transactions of 4 puts, 64 clients".to_owned(), puts), workload("STM, 64 clients".to_owned(), swaps)]
}

/// Of a large range.
fn part(name: &str, option: &str, clients: usize, total: usize) -> Workload {
    let mut arguments = connections(clients);
    arguments.extend(["range", FIRST_KEY, LAST_KEY, option].map(str::to_owned));
    arguments.extend(pairs(&[("total", total)]));
    let name = format!("{name} of {}k keys, {}", PRELOADED / 1000, counted(clients, "client"));
    Workload { preloaded: PRELOADED, ..workload(name, arguments) }
}

fn keep_alive(clients: usize, total: usize) -> Workload {
    let mut arguments = connections(clients);
    arguments.push("lease-keepalive".to_owned());
    arguments.extend(pairs(&[("total", total)]));
    workload(format!("lease keepalive, {}", counted(clients, "client")), arguments)
}

fn workload(name: String, arguments: Vec<String>) -> Workload {
    Workload { name, arguments, preloaded: 0, rounds: Rounds::AsAsked }
}

fn range(name: &str, consistency: &str, clients: usize, total: usize) -> Workload {
    let mut arguments = connections(clients);
    arguments.extend(["range", RANGE_KEY, "--consistency", consistency].map(str::to_owned));
    arguments.extend(pairs(&[("total", total)]));
    workload(format!("range {name}, {}", counted(clients, "client")), arguments)
}

fn watch(name: &str, rate: usize, puts: usize) -> Workload {
    let mut arguments = vec!["watch-latency".to_owned()];
    arguments.extend(pairs(&[("streams", 10), ("watchers-per-stream", WATCHERS / 10)]));
    arguments.extend(pairs(&[("put-total", puts), ("put-rate", rate), ("val-size", VALUE_SIZE)]));
    workload(format!("watch, {WATCHERS} watchers, {name}"), arguments)
}

fn memory(keys: usize) -> Workload {
    let rounds = if keys > 100_000 { Rounds::One } else { Rounds::AsAsked };
    Workload { rounds, ..workload(format!("memory, {}k keys", keys / 1000), load_of(keys)) }
}

/// The load tool's arguments that write so many different keys.
pub(crate) fn load_of(keys: usize) -> Vec<String> {
    let mut arguments = connections(64);
    arguments.extend(["put", "--sequential-keys"].map(str::to_owned));
    arguments.extend(pairs(&[("total", keys), ("key-space-size", keys)]));
    arguments.extend(pairs(&[("key-size", KEY_SIZE), ("val-size", VALUE_SIZE)]));
    arguments
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
