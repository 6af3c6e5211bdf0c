//! What every answer carries, and what every request is asked for.

use super::error::{ArmError, Result};
use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-ms-correlation-request-id");
const CLIENT_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const RETURN_CLIENT_ID: &str = "x-ms-return-client-request-id";

/// A layer: the request's own identity, and the one by which its caller follows a chain of them.
pub(super) async fn mark(request: Request, next: Next) -> Response {
    let marks = marks(request.headers());
    let mut response = next.run(request).await;
    response.headers_mut().extend(marks);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn marks(given: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let own = HeaderValue::from_str(&Uuid::new_v4().to_string()).ok();
    let correlation = given.get(&CORRELATION_ID).cloned().or_else(|| own.clone());
    let wants_back = given.get(RETURN_CLIENT_ID).is_some_and(|value| value == "true");
    let client = given.get(&CLIENT_ID).filter(|_| wants_back).cloned();
    let all = [(REQUEST_ID, own), (CORRELATION_ID, correlation), (CLIENT_ID, client)];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// A JSON answer.
pub(super) fn answer(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

/// A JSON answer with the version of what it shows.
pub(super) fn answer_with_etag(status: StatusCode, body: Value, etag: &str) -> Response {
    let mut response = answer(status, body);
    if let Ok(etag) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// The parameters of a request's query.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Result<Self> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let unreadable = |error| ArmError::bad("InvalidQueryParameter", format!("the query: {error}"));
        pairs.map(|pairs| Self(pairs.0)).map_err(unreadable)
    }

    /// Names have no case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// How the caller reaches this door: `https://host:port`. Behind a proxy, as the proxy says it.
pub(super) fn base(headers: &HeaderMap, secure: bool) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text("x-forwarded-proto").unwrap_or(if secure { "https" } else { "http" });
    let host = text("x-forwarded-host").or(text("host")).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// Whether a condition on the version holds: `If-Match` on what is there, `If-None-Match: *` on there being nothing.
pub(super) fn check_conditions(headers: &HeaderMap, etag: Option<&str>) -> Result<()> {
    let names = |name: HeaderName| {
        let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut wanted = lines.flat_map(|line| line.split(',')).map(str::trim).peekable();
        let given = wanted.peek().is_some();
        given.then(|| wanted.any(|one| etag.is_some_and(|etag| one == "*" || one == etag)))
    };
    let failed = names(header::IF_MATCH) == Some(false) || names(header::IF_NONE_MATCH) == Some(true);
    if failed {
        let sentence = "the resource is not in the state that If-Match or If-None-Match asks for";
        return Err(ArmError::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", sentence));
    }
    Ok(())
}
