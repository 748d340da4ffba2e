//! A time of day of its own for a process: a small library stands before the system's. (The one of the package
//! libfaketime does not start together with the allocator that the product has.)

use std::io;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::Server;
use crate::requirement;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/wall_clock.c");

/// The library, built.
pub struct WallClock {
    directory: TempDir,
}

impl WallClock {
    /// Builds it; `None`, having said so, where there is no C compiler.
    ///
    /// # Errors
    /// When that fails.
    pub fn build() -> io::Result<Option<Self>> {
        let Some(compiler) = requirement::system_program("cc") else { return Ok(None) };
        let built = Self { directory: TempDir::with_prefix("clock")? };
        let status =
            Command::new(compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(built.path()).arg(SOURCE).status()?;
        if status.success() { Ok(Some(built)) } else { Err(io::Error::other(format!("{SOURCE} does not compile"))) }
    }

    /// Lets a server believe, from its next start on, that it is so many seconds later.
    pub fn shift(&self, server: &mut Server, seconds: i64) {
        server.set_variable("LD_PRELOAD", self.path());
        server.set_variable("CLOCK_AHEAD", seconds.to_string());
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("wall_clock.so")
    }
}
