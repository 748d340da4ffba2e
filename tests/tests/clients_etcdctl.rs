//! An unmodified etcdctl prints the same about the product as about a real etcd.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use tests::binary::Program;
use tests::command::{self, Output, comparable};
use tests::deployment::{Deployment, Form};
use tests::requirement;

const WITHIN: Duration = Duration::from_secs(20);

struct Both {
    etcdctl: PathBuf,
    etcd: Deployment,
    product: Deployment,
}

impl Both {
    async fn start() -> Option<Self> {
        let (etcdctl, _) = (requirement::etcdctl()?, requirement::etcd()?);
        let etcd = Deployment::start(Form::Alone(Program::Etcd), &[]).await.unwrap();
        let product = Deployment::start(Form::of_this_run(), &[]).await.unwrap();
        Some(Self { etcdctl, etcd, product })
    }

    fn on(&self, server: &Deployment, line: &str, input: &str) -> Output {
        let endpoint = format!("--endpoints={}", server.client());
        let mut arguments = vec![endpoint.as_str()];
        arguments.extend(line.split_whitespace());
        let output = command::run(&self.etcdctl, &arguments, input, WITHIN).unwrap();
        let stdout = comparable(&output.stdout, server.client());
        Output { stdout, stderr: comparable(&output.stderr, server.client()), ..output }
    }

    /// Runs one command line against both and gives what both said.
    fn same(&self, line: &str, input: &str) -> Output {
        let (left, right) = (self.on(&self.etcd, line, input), self.on(&self.product, line, input));
        assert_eq!(left, right, "etcdctl {line}");
        right
    }

    fn all_same(&self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.same(line, "");
        }
    }

    /// The first lines of a command that does not end.
    fn same_lines(&self, line: &str, count: usize) -> Vec<String> {
        let on = |server: &Deployment| {
            let endpoint = format!("--endpoints={}", server.client());
            let mut arguments = vec![endpoint.as_str()];
            arguments.extend(line.split_whitespace());
            let lines = command::first_lines(&self.etcdctl, &arguments, count, WITHIN).unwrap();
            lines.iter().map(|line| comparable(line, server.client())).collect::<Vec<_>>()
        };
        let (left, right) = (on(&self.etcd), on(&self.product));
        assert_eq!(left, right, "etcdctl {line}");
        assert_eq!(left.len(), count, "etcdctl {line}: {left:?}");
        right
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys() {
    let Some(both) = Both::start().await else { return };
    assert_eq!(both.same("put foo bar", "").stdout, "OK\n");
    assert_eq!(both.same("get foo", "").stdout, "foo\nbar\n");
    both.same("put from-input", "a value\nof two lines");
    both.all_same(
        "put foo baz --prev-kv
         put foo1 c
         put foo2 b
         put foo3 a
         put foo --ignore-value
         put none --ignore-value
         put foo x --lease=1234
         get foo --rev=2
         get foo --rev=99
         get foo -w json
         get foo -w fields
         get foo --hex
         get foo --print-value-only
         get foo --prefix
         get foo --prefix --limit=2
         get foo --prefix --keys-only
         get foo --prefix --count-only -w fields
         get foo --prefix --order=DESCEND --sort-by=VALUE
         get foo --prefix --order=ASCEND --sort-by=MODIFY
         get foo --prefix --order=DESCEND --sort-by=VERSION
         get foo --prefix --order=DESCEND --sort-by=CREATE --limit=1
         get foo --prefix --min-mod-rev=4 --max-mod-rev=6
         get foo --prefix --consistency=s
         get foo1 foo3
         get foo1 --from-key
         get none
         del foo3 --prev-kv
         del foo1 foo2
         del none
         del foo --prefix --prev-kv
         get foo --prefix --rev=6
         compaction 7
         compaction 7
         compaction 999
         compaction 9 --physical
         get foo --rev=3
         del x --from-key
         del a --from-key --prev-kv",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_from_standard_input() {
    let Some(both) = Both::start().await else { return };
    both.same("put flag on", "");
    for input in [
        "value(\"flag\") = \"on\"\n\nput result yes\nget flag\n\nput result no\n\n",
        "version(\"flag\") > \"5\"\nmod(\"flag\") < \"9\"\n\nput a b\n\nget result\ndel flag\nget flag\n\n",
        "create(\"none\") = \"0\"\n\nput none 1\n\n\n",
        "\nput same 1\nput same 2\n\n\n",
        "nonsense\n\n\n\n",
    ] {
        both.same("txn", input);
        both.same("txn -w json", input);
    }
    both.same("get --prefix a -w fields", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn watches() {
    let Some(both) = Both::start().await else { return };
    both.all_same("put foo 1\nput foo 2\nput foobar 3\ndel foo\nput foo 4\nput zoo 5");
    assert_eq!(both.same_lines("watch foo --rev=2", 12)[..3], ["PUT\n", "foo\n", "1\n"]);
    both.same_lines("watch foo --rev=3 --prefix", 12);
    both.same_lines("watch foo --rev=3 --prefix --prev-kv", 15);
    both.same_lines("watch foo zoo --rev=1", 15);
    both.same_lines("watch --prefix --rev=1 foo -w json", 1);
    both.same("compaction 5", "");
    both.same("watch foo --rev=2", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn leases() {
    let Some(both) = Both::start().await else { return };
    // etcdctl cannot choose an id, so each server's own is read from its output.
    let granted = [&both.etcd, &both.product].map(|server| {
        let endpoint = format!("--endpoints={}", server.client());
        let output = command::run(&both.etcdctl, &[&endpoint, "lease", "grant", "100"], "", WITHIN).unwrap();
        assert!(output.stdout.ends_with("granted with TTL(100s)\n"), "{output:?}");
        output.stdout.split_whitespace().nth(1).unwrap().to_owned()
    });
    let same = |line: &str| {
        let [left, right] = [(&both.etcd, &granted[0]), (&both.product, &granted[1])]
            .map(|(server, id)| both.on(server, &line.replace("LEASE", id), ""));
        assert_eq!(left, right, "etcdctl {line}");
        right
    };
    same("put held 1 --lease=LEASE");
    same("get held -w fields");
    same("lease list");
    same("lease keep-alive LEASE --once");
    let told = same("lease timetolive LEASE --keys").stdout;
    assert!(told.contains("attached keys([held])"), "{told}");
    same("lease revoke LEASE");
    same("lease revoke LEASE");
    same("lease timetolive LEASE");
    same("lease keep-alive LEASE --once");
    same("get held");
    same("lease list");
    same("lease grant 9000000001");
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_and_locks() {
    let Some(both) = Both::start().await else { return };
    assert!(both.same("endpoint health", "").stdout.contains("is healthy"));
    for server in [&both.etcd, &both.product] {
        let status = both.on(server, "endpoint status -w json", "").stdout;
        let status: serde_json::Value = serde_json::from_str(&status.replace("ID", "0")).unwrap();
        assert_eq!(status[0]["Status"]["version"], "3.7.3", "{status}");
        let members = both.on(server, "member list -w simple", "");
        let is_member = |line: &str| line.starts_with("ID, started, ") && line.ends_with(", false");
        assert!(members.stdout.lines().count() > 0 && members.stdout.lines().all(is_member), "{members:?}");
    }
    both.same("version", "");
    assert_eq!(both.same("lock name echo locked", "").stdout, "locked\n");
    both.same("get name --prefix", "");
}
