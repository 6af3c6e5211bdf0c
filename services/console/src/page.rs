//! The page, which is in the binary: no build of a front end, no request to any other host.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

/// Its files; `page/vendor/README.md` says where those that are not ours come from.
#[derive(RustEmbed)]
#[folder = "page"]
struct Files;

/// Only what this door serves itself, no code in the document, nowhere to be framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves the page at `/` and its files under `/page/`.
pub(crate) fn router() -> Router {
    Router::new().route("/", get(async |headers: HeaderMap| serve("index.html", &headers))).route(
        "/page/{*file}",
        get(async |Path(file): Path<String>, headers: HeaderMap| serve(&file, &headers)),
    )
}

fn serve(name: &str, headers: &HeaderMap) -> Response {
    let kind = name.rsplit_once('.').and_then(|(_, kind)| media_type(kind));
    let Some((file, kind)) = Files::get(name).zip(kind) else {
        return (StatusCode::NOT_FOUND, format!("the page has no file \"{name}\"\n")).into_response();
    };
    let tag = tag(&file);
    let fixed = [
        (header::ETAG, tag.as_str()),
        // A newer binary has newer files: each is asked for again, and seldom sent again.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    if known {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    (fixed, file.data).into_response()
}

fn tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let text: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{text}\"")
}

fn media_type(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_ours_to_serve_and_all_of_them_are_small() {
        let mut bytes = 0;
        for name in Files::iter().filter(|name| !name.ends_with(".md") && !name.ends_with(".txt")) {
            let response = serve(&name, &HeaderMap::new());
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
            bytes += Files::get(&name).unwrap().data.len();
        }
        assert!(bytes < 300 * 1024, "the page has {bytes} bytes");
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        let first = serve("index.html", &HeaderMap::new());
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(serve("index.html", &headers).status(), StatusCode::NOT_MODIFIED);
        headers.insert(header::IF_NONE_MATCH, header::HeaderValue::from_static("\"other\""));
        assert_eq!(serve("index.html", &headers).status(), StatusCode::OK);
        assert_eq!(serve("../Cargo.toml", &headers).status(), StatusCode::NOT_FOUND);
    }

    /// What is not under our eyes is under theirs.
    #[test]
    fn no_file_names_another_host() {
        for name in Files::iter().filter(|name| !name.starts_with("vendor/")) {
            let text = String::from_utf8(Files::get(&name).unwrap().data.into_owned()).unwrap();
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("http://") && !foreign.contains("https://"), "{name}");
        }
    }
}
