//! The files of the repository, as git sees them: tracked, or new and not ignored.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::requirement;

/// A text file.
pub(crate) struct File {
    /// Relative to the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All text files; `None` where git is absent, after saying so.
pub(crate) fn files() -> Option<Vec<File>> {
    let git = requirement::system_program("git")?;
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new(git).args(arguments).current_dir(root()).output().unwrap();
    if !output.status.success() {
        requirement::missing("this is no git checkout", "git clone, then make test");
        return None;
    }
    let paths = String::from_utf8(output.stdout).unwrap();
    // A file may be deleted and still tracked; what is not text is not ours to read.
    let read = |path: &str| std::fs::read_to_string(root().join(path)).ok();
    let files = paths
        .split_terminator('\0')
        .filter_map(|path| Some(File { path: path.to_owned(), text: read(path)? }))
        .collect::<Vec<_>>();
    assert!(files.iter().any(File::is_rust), "git lists no sources");
    Some(files)
}

/// The Rust sources among them.
pub(crate) fn sources() -> Option<Vec<File>> {
    Some(files()?.into_iter().filter(File::is_rust).collect())
}
