//! The layer: who asks is found out, and whether they may, before anything else is done.

use super::calls::{Door, Need, Reach, need};
use super::limits::Limits;
use super::{Access, Caller, Denied, Role};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use tonic::Status;

/// Puts the layer in front of everything that this router has so far.
pub fn guard(router: Router, door: Door, access: Access) -> Router {
    router.layer(from_fn_with_state((door, access), let_in))
}

async fn let_in(State((door, access)): State<(Door, Access)>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    match allowed(door, &access, request.method(), path, request.headers()).await {
        Ok(caller) => {
            let limits = Limits::of(door, request.headers(), &caller);
            request.extensions_mut().insert(caller);
            if let Some(deadline) = limits.work {
                request.extensions_mut().insert(deadline);
            }
            let answer = limits.wait(next.run(request)).await;
            limits.hold(answer)
        }
        Err(denied) => {
            tracing::info!(path, denied = %denied, "refused");
            refusal(door, denied)
        }
    }
}

async fn allowed(
    door: Door,
    access: &Access,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Caller, Denied> {
    let needed = need(door, method.as_str(), path);
    if needed == Need::Nothing {
        return Ok(Caller::nobody());
    }
    let caller = access.caller(bearer(headers)?).await?;
    match needed {
        Need::Nothing => {}
        Need::Role(role, reach) => caller.check_reach(role, reach == Reach::All)?,
        Need::In(role, subscription) => caller.check(role, &subscription)?,
        // Nothing is served there, or somebody forgot its row.
        Need::Unknown => caller.check_reach(Role::Admin, true)?,
    }
    Ok(caller)
}

/// RFC 6750, section 2.1. Two headers are one too many: whom the next one believes is anybody's guess.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| given.next().is_none());
    let parts = text.and_then(|text| text.split_once(' '));
    match parts {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Denied::Invalid("the header Authorization must be one `Bearer` and a token".into())),
    }
}

fn refusal(door: Door, denied: Denied) -> Response {
    if door == Door::Grpc {
        return Status::from(denied).into_http();
    }
    let status = match denied {
        Denied::NoToken | Denied::Invalid(_) => StatusCode::UNAUTHORIZED,
        Denied::Role(_) => StatusCode::FORBIDDEN,
        Denied::Unchecked(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = json!({ "error": { "code": denied.code(), "message": denied.to_string() } });
    let mut response = (status, Json(body)).into_response();
    let told = match &denied {
        Denied::NoToken => Some("Bearer realm=\"nightshift\"".to_owned()),
        // What a token says of itself is not to end the header's text.
        Denied::Invalid(why) => {
            let why = why.replace(['"', '\\'], "'");
            Some(format!("Bearer realm=\"nightshift\", error=\"invalid_token\", error_description=\"{why}\""))
        }
        Denied::Role(_) => Some("Bearer realm=\"nightshift\", error=\"insufficient_scope\"".to_owned()),
        Denied::Unchecked(_) => None,
    };
    if let Some(value) = told.and_then(|told| HeaderValue::from_str(&told).ok()) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}
