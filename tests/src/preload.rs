//! Small libraries that stand before the system's in a server process, built when a test needs them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::Server;
use crate::requirement;

/// A library, built.
pub struct Preload {
    directory: TempDir,
}

impl Preload {
    /// Shifts the time of day. (The library of the package libfaketime does not start together with the allocator that
    /// the product has.)
    ///
    /// # Errors
    /// As [`Preload::no_sync`].
    pub fn wall_clock() -> io::Result<Option<Self>> {
        Self::build("wall_clock.c")
    }

    /// Lets every sync of a file answer at once, having done nothing.
    ///
    /// # Errors
    /// When it cannot be built; `None`, having said so, where there is no C compiler.
    pub fn no_sync() -> io::Result<Option<Self>> {
        Self::build("no_sync.c")
    }

    fn build(source: &str) -> io::Result<Option<Self>> {
        let Some(compiler) = requirement::system_program("cc") else { return Ok(None) };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/preload").join(source);
        let built = Self { directory: TempDir::with_prefix("preload")? };
        let options = ["-shared", "-fPIC", "-O1", "-o"];
        let status = Command::new(compiler).args(options).arg(built.path()).arg(&source).status()?;
        if status.success() {
            return Ok(Some(built));
        }
        Err(io::Error::other(format!("{} does not compile", source.display())))
    }

    /// Stands in a server from its next start on.
    pub fn stand_in(&self, server: &mut Server) {
        server.set_variable("LD_PRELOAD", self.path());
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("library.so")
    }
}
