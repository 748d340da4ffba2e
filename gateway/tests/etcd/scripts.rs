//! What the client port answers over HTTP/1, as scripts: one file per behavior.
//!
//! `ETCD_ENDPOINT=127.0.0.1:2379 cargo test -p gateway --test etcd scripts` asks a real etcd instead, which proves that
//! the scripts are true. Headers and revisions are left out there and here, because
//! they depend on the server and its history.

use std::env;
use std::error::Error;
use std::fmt::Write;

use crate::server::{Server, exchange};
use goldenscript::Context;
use serde_json::Value;
use test_each_file::test_each_path;

test_each_path! { in "gateway/testscripts/etcd" => run }

fn run(path: &std::path::Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start());
    let address = env::var("ETCD_ENDPOINT").unwrap_or_else(|_| server.address.to_string());
    goldenscript::run(&mut Runner { runtime, address }, path).unwrap();
}

#[derive(goldenscript::Command)]
enum Command {
    /// POST path body
    Post(String, String),
    /// METHOD path
    Send(String, String),
}

struct Runner {
    runtime: tokio::runtime::Runtime,
    address: String,
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, command: &Command, _context: &Context) -> Result<String, Box<dyn Error>> {
        let (method, path, body) = match command {
            Command::Post(path, body) => ("POST", path, body.clone()),
            Command::Send(method, path) => (method.as_str(), path, String::new()),
        };
        let (status, content_type, body) = self.runtime.block_on(exchange(&self.address, method, path, body));
        let mut output = format!("{status} {content_type}\n");
        for line in body.lines() {
            match serde_json::from_str::<Value>(line) {
                Ok(mut json) => {
                    remove_particulars(&mut json);
                    writeln!(output, "{json}")?;
                }
                Err(_) => writeln!(output, "{line}")?,
            }
        }
        Ok(output)
    }
}

fn remove_particulars(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            for name in ["header", "create_revision", "mod_revision"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(remove_particulars);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_particulars),
        _ => {}
    }
}
