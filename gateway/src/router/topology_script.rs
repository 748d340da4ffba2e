//! Runs the scripts in `testscripts/topology`.
//!
//! ```text
//!  own NODE                            the node of this process
//!  say NODE [leader=NODE] [term=N]     what a node says of itself
//!  lose NODE, remove NODE              it cannot be reached, is no member any more
//!  leader                              who leads
//!  reader [prefer=N] [tried=N,N]       whom to read at
//!  pursue                              a new call to the leader: whom to ask
//!  refuse NODE [hint=NODE]             that node does not lead: whom to ask next
//! ```

use std::error::Error;
use std::path::Path;

use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use internal_proto::{MemberId, Standing, Term};

use super::{Pursuit, Topology};

test_each_file::test_each_path! { in "gateway/testscripts/topology" as scripts => run }

fn run(path: &Path) {
    goldenscript::run(&mut Script::default(), path).unwrap();
}

#[derive(Default)]
struct Script {
    topology: Topology,
    pursuit: Pursuit,
}

fn show(node: Option<MemberId>) -> String {
    node.map_or_else(|| "nobody".to_owned(), |node| node.to_string())
}

fn node(args: &mut ArgumentConsumer<'_>) -> Result<MemberId, Box<dyn Error>> {
    Ok(MemberId(args.next_pos().ok_or("which node?")?.parse()?))
}

fn number(args: &mut ArgumentConsumer<'_>, name: &str) -> Result<Option<u64>, Box<dyn Error>> {
    Ok(args.take_key(name).map(str::parse).transpose()?)
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _context: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = command.consume_args();
        let output = match command.name.as_str() {
            "own" => {
                self.topology = Topology::new(Some(node(&mut args)?));
                String::new()
            }
            "say" => {
                let node = node(&mut args)?;
                let leader = number(&mut args, "leader")?.map(MemberId);
                let term = Term(number(&mut args, "term")?.unwrap_or(1));
                self.topology.say(node, Standing { reachable: true, leader, term });
                String::new()
            }
            "lose" => {
                self.topology.say(node(&mut args)?, Standing::default());
                String::new()
            }
            "remove" => {
                self.topology.remove(node(&mut args)?);
                String::new()
            }
            "leader" => show(self.topology.leader()),
            "reader" => {
                let prefer = usize::try_from(number(&mut args, "prefer")?.unwrap_or(0))?;
                let tried = args.take_key("tried").unwrap_or_default();
                let tried = tried.split(',').filter_map(|node| node.parse().ok()).map(MemberId);
                show(self.topology.reader(prefer, &tried.collect::<Vec<_>>()))
            }
            "pursue" => {
                self.pursuit = Pursuit::default();
                show(self.pursuit.target(&self.topology))
            }
            "refuse" => {
                let node = node(&mut args)?;
                let hint = number(&mut args, "hint")?.map(MemberId);
                if self.pursuit.refused(node, hint, &self.topology) {
                    format!("at once: {}", show(self.pursuit.target(&self.topology)))
                } else {
                    format!("a little later: {}", show(self.pursuit.target(&self.topology)))
                }
            }
            name => return Err(format!("unknown command {name}").into()),
        };
        args.reject_next()?;
        Ok(output)
    }
}
