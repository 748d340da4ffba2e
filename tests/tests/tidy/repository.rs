//! The files of the repository: those git tracks or would, or all of them where there is no git.

use std::path::{Path, PathBuf};
use std::process::Command;

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

/// All text files.
pub(crate) fn files() -> Vec<File> {
    let paths = listed_by_git().unwrap_or_else(|| walked(&root(), ""));
    // A file may be deleted and still tracked; what is not text is not ours to read.
    let read = |path: String| Some(File { text: std::fs::read_to_string(root().join(&path)).ok()?, path });
    let files = paths.into_iter().filter_map(read).collect::<Vec<_>>();
    assert!(files.iter().any(File::is_rust), "the repository has no sources");
    files
}

/// `None` without git, or where the sources came without its directory.
fn listed_by_git() -> Option<Vec<String>> {
    // Whoever owns the checkout: only its list of files is read.
    let arguments = ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
    let paths = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| paths.split_terminator('\0').map(str::to_owned).collect())
}

/// Every file below `directory`, except where builds and servers write.
fn walked(directory: &Path, prefix: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        let is_written = name == "target" || name == ".git" || name.ends_with(".data") || name.ends_with(".etcd");
        if !entry.file_type().unwrap().is_dir() {
            paths.push(path);
        } else if !is_written {
            paths.extend(walked(&entry.path(), &format!("{path}/")));
        }
    }
    paths
}

#[test]
fn walking_finds_what_git_lists() {
    let walked = walked(&root(), "");
    let missed = listed_by_git().unwrap_or_default();
    let missed = missed.iter().filter(|path| root().join(path).is_file() && !walked.contains(path));
    assert_eq!(missed.collect::<Vec<_>>(), [""; 0]);
}

/// The Rust sources among them.
pub(crate) fn sources() -> Vec<File> {
    files().into_iter().filter(File::is_rust).collect()
}
