//! Scripts in `testscripts/checkpoint`, one behaviour a file; every single damage; power losses at every moment.

mod damage;
mod power_loss;
mod script;
mod state;
mod store;

use internal_proto::{ClusterId, MemberId};

use crate::identity::Identity;

const IDENTITY: Identity = Identity { cluster: ClusterId(0xc1), member: MemberId(0xa1) };

/// Small enough that a few records fill several chunks.
const TEST_CHUNK_BYTES: usize = 128;
