//! What a request to the JSON door brings, read: the query and the body. What cannot be read is refused as everything else
//! there is, with the field and what was found in it.

use crate::http::Refused;
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::Uri;
use axum::http::request::Parts;
use nightshift_domain::Time;
use nightshift_runtime::status::invalid;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer};
use tonic::Status;

/// The query's parameters.
pub(crate) struct Parameters<T>(pub(crate) T);

/// The JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let read = Query::try_from_uri(&parts.uri);
        read.map(|Query(parameters)| Self(parameters)).map_err(|error| of_query(&parts.uri, &error).into())
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let read = Json::from_request(request, state).await;
        read.map(|Json(body)| Self(body)).map_err(|error| of_body(&error))
    }
}

/// axum says `… query string: after: invalid digit`: the field, but not what it had.
fn of_query(uri: &Uri, error: &QueryRejection) -> Status {
    let said = error.body_text();
    let said = said.strip_prefix("Failed to deserialize query string: ").unwrap_or(&said);
    let given =
        Query::<Vec<(String, String)>>::try_from_uri(uri).map(|Query(given)| given).unwrap_or_default();
    let named = given.iter().find_map(|(name, value)| {
        let why = said.strip_prefix(name.as_str())?.strip_prefix(": ")?;
        Some((name, value, why))
    });
    match named {
        Some((name, value, why)) => invalid(name, format!("{name} = \"{value}\": {why}")),
        None => invalid("", format!("the query \"{}\": {said}", uri.query().unwrap_or_default())),
    }
}

/// What is no JSON keeps its own status; the rest is a wrong field, of which serde says what it had.
fn of_body(error: &JsonRejection) -> Refused {
    let said = error.body_text();
    let prefix = "Failed to deserialize the JSON body into the target type: ";
    match said.strip_prefix(prefix) {
        Some(why) => {
            let field = why.split_once(": ").map(|(field, _)| field).filter(|field| !field.contains(' '));
            invalid(field.unwrap_or_default(), format!("the body: {why}")).into()
        }
        None => Refused::new(error.status(), format!("the body: {said}")),
    }
}

/// A moment in a query, where there may be none.
pub(crate) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wanted = |_| D::Error::custom("it must be a moment (RFC 3339), for example 2026-03-01T08:00:00Z");
    text.parse().map(Some).map_err(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use serde::Deserialize;

    #[derive(Deserialize, Debug, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Begin {
        after: Option<u64>,
        #[serde(deserialize_with = "moment")]
        from: Option<Time>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        #[expect(dead_code)]
        reason: String,
    }

    async fn query(text: &str) -> Result<Begin, String> {
        let (mut parts, ()) = Request::builder().uri(format!("/?{text}")).body(()).unwrap().into_parts();
        let read = Parameters::<Begin>::from_request_parts(&mut parts, &()).await;
        read.map(|Parameters(begin)| begin).map_err(|refused| {
            assert_eq!(refused.status, StatusCode::BAD_REQUEST);
            refused.message
        })
    }

    #[tokio::test]
    async fn a_query_that_cannot_be_read_names_the_field_and_what_it_had() {
        let begin = query("after=7").await.unwrap();
        assert_eq!((begin.after, begin.from), (Some(7), None));
        assert!(query("from=2026-03-01T08:00:00Z").await.unwrap().from.is_some());
        for (asked, told) in [
            ("after=abc", "after = \"abc\": invalid digit"),
            ("after=-1", "after = \"-1\": invalid digit"),
            ("from=yesterday", "from = \"yesterday\": it must be a moment"),
            ("since=1", "since = \"1\": unknown field"),
            ("after=1&after=2", "the query \"after=1&after=2\": duplicate field `after`"),
        ] {
            let error = query(asked).await.unwrap_err();
            assert!(error.starts_with(told), "{asked}: {error}");
        }
    }

    #[tokio::test]
    async fn a_body_that_cannot_be_read_says_why() {
        for (kind, body, status, told) in [
            ("application/json", "{}", 400, "the body: missing field `reason`"),
            ("application/json", "{\"reason\":5}", 400, "the body: reason: invalid type: integer `5`"),
            ("application/json", "{\"reasons\":5}", 400, "unknown field `reasons`"),
            ("application/json", "{", 400, "EOF"),
            ("text/plain", "{\"reason\":\"x\"}", 415, "application/json"),
        ] {
            let request = Request::post("/").header("content-type", kind).body(body.into()).unwrap();
            let refused = Body::<Wish>::from_request(request, &()).await.err().unwrap();
            assert_eq!(refused.status.as_u16(), status, "{body}");
            assert!(refused.message.contains(told), "{body}: {}", refused.message);
        }
    }
}
