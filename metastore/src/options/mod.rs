//! THE option table: every option this program knows, once.
//!
//! ```text
//!                 ┌► command line   --name, -name, aliases
//! OptionSpec rows ┼► environment    METASTORE_NAME, ETCD_NAME
//!                 ┼► files          server.path (ours), path (etcd's)
//!                 ┼► --help, --print-config
//!                 └► the reference test
//! ```
//!
//! Invariants: a name, alias, environment name or file path belongs to one row; every default is a
//! valid value of its row's kind; only rows with [`Effect::Works`] change what the program does.

mod clustering;
mod durability;
mod legacy;
mod member;
mod observability;
mod product;
mod retired;
mod security;

use crate::value::Kind;

/// Whose vocabulary an option belongs to; decides its environment names and files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// One of etcd's flags: also read from `ETCD_*` and from etcd's own file.
    Etcd,
    /// This project's own.
    Product,
}

/// What setting an option does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What its doc says.
    Works,
    /// Accepted with a warning: it tunes a part that does not exist here.
    NoMeaning,
    /// Accepted with a warning: the feature comes later.
    Later,
    /// Accepted with a warning, as etcd does: it lost its meaning long ago.
    Retired,
    /// Refused unless it keeps its default: ignoring this promise of security would be unsafe.
    RefusedSecurity(&'static str),
    /// Refused unless it keeps its default: it forms a cluster in a way that is not built in, and
    /// ignoring it would start a cluster of its own.
    RefusedCluster,
}

/// Where `--help` shows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// What to do instead of serving, and where settings come from.
    Program,
    /// This member: its data, its ports, its limits.
    Member,
    /// How members find each other.
    Clustering,
    /// TLS and origins.
    Security,
    /// Users and tokens.
    Auth,
    /// Metrics, profiling, tracing.
    Monitoring,
    /// Log lines.
    Logging,
    /// Checks and background work.
    Features,
    /// What may lose data.
    Unsafe,
    /// Names of the earlier product.
    Legacy,
    /// Names etcd itself ignores.
    Retired,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The flag without dashes.
    pub name: &'static str,
    /// Other flags that mean the same.
    pub aliases: &'static [&'static str],
    /// Whose vocabulary it is.
    pub family: Family,
    /// Its place in `--help`.
    pub section: Section,
    /// Its path below `server:` in this project's file; empty: `etcd.` and the name.
    pub path: &'static str,
    /// An older path below `server:` that means the same; empty: none.
    pub old_path: &'static str,
    /// Its path in etcd's file; empty: the name.
    pub etcd_path: &'static str,
    /// What values look like.
    pub kind: Kind,
    /// The value when nothing sets it.
    pub default: &'static str,
    /// What setting it does.
    pub effect: Effect,
    /// One line for people.
    pub doc: &'static str,
}

impl OptionSpec {
    const fn new(family: Family, section: Section, name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            aliases: &[],
            family,
            section,
            path: "",
            old_path: "",
            etcd_path: "",
            kind,
            default: "",
            effect: Effect::Works,
            doc: "",
        }
    }

    const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    const fn path(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    const fn old_path(mut self, path: &'static str) -> Self {
        self.old_path = path;
        self
    }

    const fn etcd_path(mut self, path: &'static str) -> Self {
        self.etcd_path = path;
        self
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    const fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// The environment variables that set it, the strongest first.
    pub fn environment_names(&self) -> Vec<String> {
        let upper = self.name.to_ascii_uppercase().replace('-', "_");
        match self.family {
            Family::Etcd => vec![format!("METASTORE_{upper}"), format!("ETCD_{upper}")],
            Family::Product => vec![format!("METASTORE_{upper}")],
        }
    }

    /// Its paths in this project's file, the usual one first.
    pub fn product_file_paths(&self) -> Vec<String> {
        let usual = match (self.path, self.family) {
            ("", Family::Etcd) => format!("etcd.{}", self.name.replace('-', "_")),
            ("", Family::Product) => self.name.replace('-', "_"),
            (path, _) => path.to_owned(),
        };
        let old = Some(self.old_path.to_owned()).filter(|path| !path.is_empty());
        [usual].into_iter().chain(old).map(|path| format!("server.{path}")).collect()
    }

    /// Its path in etcd's file.
    pub fn etcd_file_path(&self) -> &'static str {
        if self.etcd_path.is_empty() { self.name } else { self.etcd_path }
    }

    /// Whether a file may set it: a file cannot name a file or ask for `--help`.
    pub fn allowed_in_files(&self) -> bool {
        self.section != Section::Program && self.section != Section::Retired
    }
}

/// Every row, in the order of `--help`.
pub fn all() -> impl Iterator<Item = &'static OptionSpec> {
    [
        product::OPTIONS,
        member::OPTIONS,
        clustering::OPTIONS,
        security::OPTIONS,
        observability::OPTIONS,
        durability::OPTIONS,
        legacy::OPTIONS,
        retired::OPTIONS,
    ]
    .into_iter()
    .flatten()
}

/// The row a flag (without dashes) or one of its aliases belongs to.
pub fn by_flag(flag: &str) -> Option<&'static OptionSpec> {
    all().find(|spec| spec.name == flag || spec.aliases.contains(&flag))
}

/// The row of that name.
///
/// # Panics
/// When there is none: names are written in the source, and the reference test covers them.
pub fn named(name: &str) -> &'static OptionSpec {
    by_flag(name).expect("the source names only options of the table")
}
