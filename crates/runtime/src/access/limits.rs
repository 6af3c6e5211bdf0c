//! How long an answer may take: until the caller's deadline, and as long as the token is good that it was asked for with.

use super::Caller;
use super::calls::Door;
use super::verifier::LEEWAY;
use crate::status::{token_ended, too_late};
use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

/// When a command is too late to be appended: a little before the caller's own deadline, so that they still hear of it.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Instant);

/// The share of the caller's time that is left for the answer's way back, and the most of it.
const WAY_BACK: u32 = 10;
const LONGEST_WAY_BACK: Duration = Duration::from_millis(100);

/// The limits of one call.
pub(super) struct Limits {
    door: Door,
    /// For the work itself.
    pub(super) work: Option<Deadline>,
    /// For what does not look at the time: half the way back later.
    answer: Option<Instant>,
    token: Option<Instant>,
}

impl Limits {
    pub(super) fn of(door: Door, headers: &HeaderMap, caller: &Caller) -> Self {
        let now = Instant::now();
        let timeout = headers.get("grpc-timeout").filter(|_| door == Door::Grpc);
        let timeout = timeout.and_then(|text| text.to_str().ok()).and_then(read_timeout);
        let way_back = timeout.map(|timeout| (timeout / WAY_BACK).min(LONGEST_WAY_BACK));
        let end = timeout.and_then(|timeout| now.checked_add(timeout));
        let work = end.zip(way_back).map(|(end, way_back)| Deadline(end - way_back));
        let answer = end.zip(way_back).map(|(end, way_back)| end - way_back / 2);
        let token = caller.token().and_then(|(_, expires)| now.checked_add(left(expires)));
        Self { door, work, answer, token }
    }

    /// The answer, if it comes in time.
    pub(super) async fn wait(&self, answer: impl Future<Output = Response>) -> Response {
        match self.answer {
            None => answer.await,
            Some(until) => match tokio::time::timeout_at(until, answer).await {
                Ok(answer) => answer,
                Err(_) => too_late().into_http(),
            },
        }
    }

    /// The answer, whose end comes with the first of these limits, if not before.
    pub(super) fn hold(self, response: Response) -> Response {
        let (until, status): (_, fn() -> Status) = match (self.answer, self.token) {
            (None, None) => return response,
            (Some(answer), Some(token)) if token < answer => (token, token_ended),
            (Some(answer), _) => (answer, too_late),
            (None, Some(token)) => (token, token_ended),
        };
        let status = (self.door == Door::Grpc).then_some(status);
        response
            .map(|inner| Body::new(Held { inner, until: Box::pin(sleep_until(until)), status, ended: false }))
    }
}

/// How long the token is good from now on. One that has ended, and is believed for the sake of clocks that differ, is
/// good until that ends.
fn left(expires: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_secs(expires).saturating_sub(now);
    if left.is_zero() { Duration::from_secs(expires + LEEWAY).saturating_sub(now) } else { left }
}

/// The header of gRPC over HTTP/2: at most eight digits, and a unit.
fn read_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = is_number.then(|| digits.parse().ok()).flatten()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// A body that ends in time, over gRPC with a status that says why.
struct Held {
    inner: Body,
    until: Pin<Box<Sleep>>,
    status: Option<fn() -> Status>,
    ended: bool,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // What said how long it is comes to that end; a stream that never pauses is ended too.
        let is_whole = self.inner.size_hint().exact().is_some();
        if is_whole || self.until.as_mut().poll(context).is_pending() {
            return Pin::new(&mut self.inner).poll_frame(context);
        }
        self.ended = true;
        let Some(status) = self.status else { return Poll::Ready(None) };
        let mut trailers = HeaderMap::new();
        match status().add_header(&mut trailers) {
            Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(Some(Err(axum::Error::new(error)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        for (text, read) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("99999999M", Some(Duration::from_secs(99_999_999 * 60))),
            ("30S", Some(Duration::from_secs(30))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("", None),
            ("S", None),
            ("1", None),
            ("123456789S", None),
            ("-1S", None),
            ("1é", None),
        ] {
            assert_eq!(read_timeout(text), read, "{text}");
        }
    }
}
