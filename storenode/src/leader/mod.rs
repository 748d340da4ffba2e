//! Duties of the leader only: born when its first entry of a term is applied, dropped on defeat.

pub(crate) mod lease_expiry;
pub(crate) mod session_expiry;
