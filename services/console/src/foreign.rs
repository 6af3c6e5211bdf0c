//! A browser on the operator's machine reaches the loopback address too, whatever page it shows. What such a page could
//! bring about in its visitor's name is refused here: where callers have no tokens, nothing else would.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;

/// Where a request comes from, as the browser says (Fetch Metadata, W3C).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The layer, with the names under which the door is known beside `localhost` and its addresses.
pub(crate) async fn refuse(State(names): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    match objection(request.method(), request.headers(), &names) {
        None => next.run(request).await,
        Some(why) => {
            let body = json!({ "error": { "code": "AuthorizationFailed", "message": why } });
            (StatusCode::FORBIDDEN, Json(body)).into_response()
        }
    }
}

fn objection(method: &Method, headers: &HeaderMap, names: &[String]) -> Option<String> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(&header::HOST).unwrap_or_default();
    if !is_ours(host, names) {
        // A name that its owner lets point here (DNS rebinding) makes any page one of ours.
        return Some(format!(
            "Host \"{host}\" is no name of this door: name it in the console's service.host_names"
        ));
    }
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let from_elsewhere = text(&SITE).is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let origin = text(&header::ORIGIN).filter(|origin| origin.split("://").nth(1) != Some(host));
    if changes && (from_elsewhere || origin.is_some()) {
        return Some(format!("a page of {} may wish nothing here", origin.unwrap_or("another site")));
    }
    None
}

fn is_ours(host: &str, names: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        // An address of IPv6 has colons of its own, within brackets.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    // Programs that name no host are no browsers.
    name.is_empty()
        || name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok()
        || names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, headers: &[(&'static str, &'static str)]) -> Option<String> {
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), axum::http::HeaderValue::from_static(value))
        });
        objection(&method, &headers.collect(), &["console.example".to_owned()])
    }

    #[test]
    fn programs_and_our_own_pages_are_served() {
        for headers in [
            &[("host", "127.0.0.1:7780")] as &[_],
            &[("host", "localhost:7780")],
            &[("host", "[::1]:7780")],
            &[("host", "console.example")],
            &[],
            &[
                ("host", "localhost:7780"),
                ("origin", "http://localhost:7780"),
                ("sec-fetch-site", "same-origin"),
            ],
        ] {
            assert_eq!(asked(Method::POST, headers), None, "{headers:?}");
        }
    }

    #[test]
    fn a_foreign_page_wishes_nothing() {
        for headers in [
            &[("host", "127.0.0.1:7780"), ("origin", "http://evil.example")] as &[_],
            &[("host", "127.0.0.1:7780"), ("origin", "null")],
            &[("host", "127.0.0.1:7780"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost:7780"), ("origin", "http://localhost:3000")],
            &[("host", "evil.example:7780")],
            &[
                ("host", "evil.example:7780"),
                ("origin", "http://evil.example:7780"),
                ("sec-fetch-site", "same-origin"),
            ],
        ] {
            assert!(asked(Method::POST, headers).is_some(), "{headers:?}");
        }
        // What a name that points here could read is as foreign.
        assert!(asked(Method::GET, &[("host", "evil.example")]).unwrap().contains("host_names"));
    }
}
