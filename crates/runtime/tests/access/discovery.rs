//! An OpenID Connect issuer: its keys are found, and found again when it has new ones.

use crate::{claims, installation, signed};
use axum::routing::get;
use axum::{Json, Router};
use nightshift_runtime::access::{Access, Denied, Issuer, Settings};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// Serves discovery and whatever keys it has at the moment.
async fn serve(says: impl Fn(&str) -> String) -> (String, Arc<Mutex<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let keys = Arc::new(Mutex::new(json!({ "keys": [] })));
    let (discovered, served) =
        (json!({ "issuer": says(&at), "jwks_uri": format!("{at}/keys") }), keys.clone());
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(async move || Json(discovered)))
        .route("/keys", get(async move || Json(served.lock().unwrap().clone())));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (at, keys)
}

fn of(issuer: &Issuer) -> Value {
    serde_json::to_value(issuer.public_keys()).unwrap()
}

fn access(at: &str) -> Access {
    Access::of(&Settings { issuer: Some(at.to_owned()), ..Settings::default() }).unwrap()
}

#[tokio::test]
async fn an_issuers_keys_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, _) = installation(folder.path());
    let (at, keys) = serve(str::to_owned).await;
    *keys.lock().unwrap() = of(&issuer);
    let access = access(&at);
    let mut claims = claims();
    claims["iss"] = json!(at);
    let token = signed(&issuer, folder.path(), &claims);
    assert_eq!(access.caller(Some(&token)).await.unwrap().name(), "ada");
    // Some issuers write their name with a slash behind it.
    claims["iss"] = json!(format!("{at}/"));
    access.caller(Some(&signed(&issuer, folder.path(), &claims))).await.unwrap();
    claims["iss"] = json!("nightshift");
    let refused = access.caller(Some(&signed(&issuer, folder.path(), &claims))).await.unwrap_err();
    assert!(matches!(refused, Denied::Invalid(_)), "{refused}");
    // Keys that are known stay good while nobody asks for others; an unknown one is asked for once in a while only.
    let elsewhere = tempfile::tempdir().unwrap();
    let (stranger, _) = installation(elsewhere.path());
    let refused = access.caller(Some(&signed(&stranger, elsewhere.path(), &claims))).await.unwrap_err();
    assert!(refused.to_string().contains("none of the issuer's"), "{refused}");
}

#[tokio::test]
async fn an_issuer_that_gives_no_keys_is_said_to() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, _) = installation(folder.path());
    let token = signed(&issuer, folder.path(), &claims());
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (posing, _) = serve(|_| "https://another.example".to_owned()).await;
    let (empty, _) = serve(str::to_owned).await;
    for (at, clue) in [(format!("http://{gone}"), "request"), (posing, "another issuer"), (empty, "no key")] {
        let refused = access(&at).caller(Some(&token)).await.unwrap_err();
        assert!(matches!(refused, Denied::Unchecked(_)) && refused.to_string().contains(clue), "{refused}");
    }
}
