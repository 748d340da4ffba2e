//! The file IDENTITY: whose data a directory holds, written once when the member is founded.
//!
//! It is JSON so that an operator can read it; `format` comes before everything else, so that a
//! newer file is told by name instead of misread.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use internal_proto::{ClusterId, Member, MemberId};
use serde::{Deserialize, Serialize};

use crate::bootstrap::{Bootstrap, Founding};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "IDENTITY";

/// The newest format of data directories that this program writes and reads.
pub const FORMAT: u32 = 1;

/// Whose data a directory holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The data directory's format.
    pub format: u32,
    /// The cluster's id in hexadecimal, as etcdctl prints it.
    pub cluster_id: String,
    /// The member's id in hexadecimal.
    pub member_id: String,
    /// The member's name.
    pub name: String,
    /// What set the cluster apart when it was founded.
    pub cluster_token: String,
    /// Where other members were told to reach this one.
    pub peer_urls: Vec<String>,
    /// The engine that wrote the data.
    pub engine: String,
    /// The members that founded the cluster, this one among them.
    #[serde(default)]
    pub first_members: Vec<FirstMember>,
}

/// One of the members that founded a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstMember {
    /// Its id in hexadecimal.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where other members were told to reach it.
    pub peer_urls: Vec<String>,
}

/// Only what every format begins with.
#[derive(Deserialize)]
struct Preamble {
    format: u32,
}

/// Why a record cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer version.
    #[error(
        "is of format {found}, written by a newer version of this program; this one reads up to {FORMAT}: \
         start the newer version"
    )]
    Newer {
        /// The format found.
        found: u32,
    },
    /// Not a record.
    #[error("holds a damaged file IDENTITY ({0}): restore it from a backup of this directory")]
    Damaged(String),
    /// Another member's data.
    #[error("holds the data of member {found:?}, not of {asked:?}: start it with --name {found}")]
    OtherMember {
        /// The name it was founded with.
        found: String,
        /// The name asked for.
        asked: String,
    },
    /// Another cluster's data.
    #[error(
        "holds the data of another cluster, founded with another --initial-cluster-token: start it with its own token"
    )]
    OtherCluster,
    /// Another engine's data.
    #[error("holds data of the {found} engine, not of {asked}: start it with --storage {found}")]
    OtherEngine {
        /// The engine that wrote it.
        found: String,
        /// The engine asked for.
        asked: String,
    },
}

impl Record {
    /// The record of a member about to be founded.
    pub fn of(founding: &Founding, bootstrap: &Bootstrap, engine: &str) -> Self {
        let own = founding.members.iter().find(|member| member.id == founding.member_id);
        Self {
            format: FORMAT,
            cluster_id: founding.cluster_id.to_string(),
            member_id: founding.member_id.to_string(),
            name: bootstrap.name.clone(),
            cluster_token: bootstrap.token.clone(),
            peer_urls: own.map(|member| member.peer_urls.clone()).unwrap_or_default(),
            engine: engine.to_owned(),
            first_members: founding.members.iter().map(FirstMember::of).collect(),
        }
    }

    /// Reads a record's text.
    ///
    /// # Errors
    /// When it is newer than this program, or no record.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let damaged = |error: serde_json::Error| RecordError::Damaged(error.to_string());
        let preamble: Preamble = serde_json::from_str(text).map_err(damaged)?;
        if preamble.format > FORMAT {
            return Err(RecordError::Newer { found: preamble.format });
        }
        let record: Self = serde_json::from_str(text).map_err(damaged)?;
        let readable = record.ids().is_some() && record.first_members.iter().all(|member| member.id().is_some());
        if !readable {
            return Err(RecordError::Damaged("its ids are not hexadecimal".to_owned()));
        }
        Ok(record)
    }

    /// The cluster's and the member's id.
    pub fn ids(&self) -> Option<(ClusterId, MemberId)> {
        let cluster = u64::from_str_radix(&self.cluster_id, 16).ok()?;
        let member = u64::from_str_radix(&self.member_id, 16).ok()?;
        Some((ClusterId(cluster), MemberId(member)))
    }

    /// The members that founded the cluster.
    pub fn members(&self) -> Vec<Member> {
        let member = |member: &FirstMember| {
            let (name, peer_urls) = (member.name.clone(), member.peer_urls.clone());
            Some(Member { id: member.id()?, name, peer_urls, ..Member::default() })
        };
        self.first_members.iter().filter_map(member).collect()
    }

    /// Refuses flags that somebody chose for another member, cluster or engine. The other
    /// `--initial-*` flags no longer count, as with etcd.
    ///
    /// # Errors
    /// What the flags ask for and the directory does not hold.
    pub fn check(&self, bootstrap: &Bootstrap, engine: &str) -> Result<(), RecordError> {
        if bootstrap.token_given && bootstrap.token != self.cluster_token {
            return Err(RecordError::OtherCluster);
        }
        if bootstrap.name_given && bootstrap.name != self.name {
            let (found, asked) = (self.name.clone(), bootstrap.name.clone());
            return Err(RecordError::OtherMember { found, asked });
        }
        if engine != self.engine {
            let (found, asked) = (self.engine.clone(), engine.to_owned());
            return Err(RecordError::OtherEngine { found, asked });
        }
        Ok(())
    }

    /// Writes the record so that a power loss leaves either all of it or nothing.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let temporary = directory.join("IDENTITY.tmp");
        let text = serde_json::to_string_pretty(self)? + "\n";
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, directory.join(FILE_NAME))?;
        File::open(directory)?.sync_all()
    }
}

impl FirstMember {
    fn of(member: &Member) -> Self {
        Self { id: member.id.to_string(), name: member.name.clone(), peer_urls: member.peer_urls.clone() }
    }

    fn id(&self) -> Option<MemberId> {
        u64::from_str_radix(&self.id, 16).ok().map(MemberId)
    }
}
