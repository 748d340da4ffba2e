//! A range in pages, all of the revision that the first one saw.
//!
//! ```text
//!  limit 10 ─► page ─► 20 ─► page ─► 40 ─► page …     until a page's size suits the limit for requests
//!                                            └─ the last one has header, more and count
//! ```
//!
//! Invariant: merged, the pages are what one range would have answered; only one page is in memory at a time. Of keys
//! sorted by something else no part is known before the last key is read: they are one page.

use std::pin::Pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::{once, try_unfold};
use internal_proto::{KeyValue, RangeRequest, RangeResponse, Request, Response, Revision, Stamp};
use prost::Message;
use proto::etcdserverpb as wire;
use tonic::Status;
use wire::range_request::SortTarget;

use super::caller::Caller;
use super::{answer, convert, error};
use crate::call::Context;
use crate::stack::Handle;

/// The answer of RangeStream.
pub(super) type RangeStream = Pin<Box<dyn Stream<Item = Result<wire::RangeStreamResponse, Status>> + Send>>;

/// Keys of the first page; as etcd asks.
const FIRST_PAGE_KEYS: u64 = 10;

/// Streams the answer to a checked request.
pub(super) fn stream<S: Handle>(caller: Caller<S>, context: Context, request: wire::RangeRequest) -> RangeStream {
    if request.sort_target() != SortTarget::Key {
        return Box::pin(once(whole(caller, context, request)));
    }
    let asked = convert::range(&request);
    let left = if asked.limit == 0 { u64::MAX } else { asked.limit };
    let page_keys = FIRST_PAGE_KEYS.min(left);
    let pages = Pages { caller, context, asked, left, page_keys, first: None };
    Box::pin(try_unfold(Some(pages), |pages| async {
        match pages {
            Some(pages) => pages.next().await.map(Some),
            None => Ok(None),
        }
    }))
}

/// The answer as one page.
async fn whole<S: Handle>(
    caller: Caller<S>,
    context: Context,
    request: wire::RangeRequest,
) -> Result<wire::RangeStreamResponse, Status> {
    let answer = caller.call(context, Request::Range(convert::range(&request))).await?;
    let Response::Range(page) = answer.response else { return Err(error::mismatched(answer.stamp)) };
    let header = caller.header(&answer.stamp, page.revision);
    Ok(wire::RangeStreamResponse { range_response: Some(answer::range(header, &request, page)) })
}

/// What is still to read.
struct Pages<S> {
    caller: Caller<S>,
    context: Context,
    asked: RangeRequest,
    left: u64,
    page_keys: u64,
    first: Option<FirstPage>,
}

/// What the first page says about the whole range.
#[derive(Clone, Copy)]
struct FirstPage {
    revision: Revision,
    count: u64,
}

impl<S: Handle> Pages<S> {
    /// The next page, and what follows it.
    async fn next(mut self) -> Result<(wire::RangeStreamResponse, Option<Self>), Status> {
        if !self.asked.count_only {
            self.asked.limit = self.page_keys;
        }
        let answer = self.caller.call(self.context, Request::Range(self.asked.clone())).await?;
        let Response::Range(page) = answer.response else { return Err(error::mismatched(answer.stamp)) };
        let first = *self.first.get_or_insert(FirstPage { revision: page.revision, count: page.count });
        // What follows must not see later writes, and needs no barrier of its own.
        if self.asked.revision.is_none_or(|revision| revision <= Revision(0)) {
            self.asked.revision = Some(page.revision);
        }
        self.asked.serializable = true;
        self.left -= (page.kvs.len() as u64).min(self.left);
        let next_key = page.kvs.last().map(following_key);
        match next_key {
            Some(next_key) if page.more && self.left > 0 => {
                self.asked.range.start = next_key;
                let message = wire::RangeResponse { kvs: page.kvs, ..wire::RangeResponse::default() };
                let bytes_target = self.caller.config().max_request_bytes;
                self.page_keys = adjusted(self.page_keys, message.encoded_len(), bytes_target).min(self.left);
                Ok((wire::RangeStreamResponse { range_response: Some(message) }, Some(self)))
            }
            _ => Ok((self.last(&answer.stamp, first, page), None)),
        }
    }

    fn last(&self, stamp: &Stamp, first: FirstPage, page: RangeResponse) -> wire::RangeStreamResponse {
        let range_response = Some(wire::RangeResponse {
            header: Some(self.caller.header(stamp, first.revision)),
            kvs: page.kvs,
            more: page.more,
            count: answer::signed(first.count),
        });
        wire::RangeStreamResponse { range_response }
    }
}

/// The smallest key after this one.
fn following_key(kv: &KeyValue) -> Bytes {
    let mut key = BytesMut::with_capacity(kv.key().len() + 1);
    key.put_slice(kv.key());
    key.put_u8(0);
    key.freeze()
}

/// Doubles small pages and halves large ones, and leaves those near the target alone.
const fn adjusted(keys: u64, page_bytes: usize, target_bytes: usize) -> u64 {
    if page_bytes < target_bytes / 2 {
        keys.saturating_mul(2)
    } else if page_bytes > target_bytes.saturating_mul(2) && keys > 1 {
        keys / 2
    } else {
        keys
    }
}
