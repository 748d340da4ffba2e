//! Clients that read all the time: no read may be older than what anybody was told before it began.

use std::net::SocketAddr;
use std::sync::Arc;

use proto::etcdserverpb::RangeRequest;
use tonic::Status;

use super::load::Record;
use crate::client::Client;

/// One linearizable read.
///
/// # Errors
/// The server's, and a read that is too old.
pub async fn current(client: &Client, record: &Record) -> Result<i64, Status> {
    let told = record.revision();
    let request = RangeRequest { key: b"none".as_slice().into(), ..RangeRequest::default() };
    let answer = client.kv.clone().range(request).await?.into_inner();
    let read = answer.header.map_or(0, |header| header.revision);
    judge(record, read, told).map(|()| read)
}

fn judge(record: &Record, read: i64, told: i64) -> Result<(), Status> {
    if read >= told {
        return Ok(());
    }
    let stale = format!("a read at revision {read} began when {told} was acknowledged");
    record.found(&stale);
    Err(Status::data_loss(stale))
}

/// Reads until the record is stopped.
///
/// # Errors
/// The first that a read had.
pub async fn run(address: SocketAddr, record: Arc<Record>) -> Result<(), Status> {
    let connected = Client::connect(address).await;
    let client = connected.map_err(|error| Status::unavailable(error.to_string()))?;
    while !record.is_stopped() {
        current(&client, &record).await?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_is_too_old_is_found_and_not_forgotten() {
        let record = Record::default();
        judge(&record, 5, 5).unwrap();
        assert_eq!(record.stale(), None);
        judge(&record, 4, 5).unwrap_err();
        judge(&record, 9, 5).unwrap();
        assert_eq!(record.stale().unwrap(), "a read at revision 4 began when 5 was acknowledged");
    }
}
