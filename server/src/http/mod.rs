//! HTTP as the operations see it, without a type of warp or hyper in their way.
//!
//! - `call`: one request, its origin and its body
//! - `etag`: answers that a browser may hold already
//! - `fields`: the members of a JSON body, with an error for each that is missing or malformed
//! - `idempotency_key`: what tells a repeated request from a second one
//! - `problem`: problem details (RFC 9457) with the error codes of the contract
//! - `rate_limit`: how much of its bucket a client has left
//! - `refusals`: the one place where a refusal of core becomes a problem
//! - `reply`: answers
//! - `time`: times as the contract writes them

mod call;
mod etag;
mod fields;
mod idempotency_key;
mod problem;
mod rate_limit;
mod refusals;
mod reply;
mod time;
pub(crate) mod user_agent;

pub use call::{BODY_MAX, BodyStream, Call};
pub(crate) use etag::{entity_tag, is_held};
pub use fields::Fields;
pub use idempotency_key::{FIELD as IDEMPOTENCY_KEY, IdempotencyKey};
pub use problem::{Code, Problem};
pub use rate_limit::rate_limit;
pub use reply::{BrokenOff, Chunks, Reply};
pub use time::rfc3339;
