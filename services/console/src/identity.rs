//! A managed identity as Azure's clients ask for one (App Service, api-version 2019-08-01), for those that know no other way
//! to a token: `IDENTITY_ENDPOINT` names this door, `IDENTITY_HEADER` is the caller's own token. It comes back as it is, with
//! its end; nothing is issued here.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use nightshift_runtime::access::{Access, Denied};
use serde_json::json;

pub(crate) async fn show(State(access): State<Access>, headers: HeaderMap) -> Response {
    let given = headers.get("x-identity-header").and_then(|value| value.to_str().ok());
    let told = access.caller(given).await.and_then(|caller| {
        let (token, expires) = caller.token().ok_or(Denied::NoToken)?;
        Ok(json!({ "access_token": token, "expires_on": expires.to_string(), "token_type": "Bearer" }))
    });
    match told {
        Ok(body) => Json(body).into_response(),
        Err(denied) => {
            let body = json!({ "statusCode": 401, "message": format!("X-IDENTITY-HEADER: {denied}") });
            (StatusCode::UNAUTHORIZED, Json(body)).into_response()
        }
    }
}
