//! Tokens from a file's keys: which are good for what, and which are refused, each with its reason.

use crate::{claims, installation, key, signed};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use nightshift_domain::SubscriptionId;
use nightshift_domain::rollout::Actor;
use nightshift_runtime::access::{Access, Caller, Denied, GrantSettings, Issuer, Role, Settings, Wanted};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

fn sub(name: &str) -> SubscriptionId {
    SubscriptionId::new(name).unwrap()
}

async fn caller(access: &Access, token: &str) -> Caller {
    access.caller(Some(token)).await.unwrap()
}

#[tokio::test]
async fn a_token_says_who_somebody_is_and_what_they_may_where() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, settings) = installation(folder.path());
    let access = Access::of(&settings).unwrap();
    let wanted = Wanted {
        subscriptions: Some(vec![sub("a"), sub("b")]),
        ..Wanted::new("ada", Role::Operator, Duration::from_secs(60))
    };
    let ada = caller(&access, &issuer.issue(&wanted).unwrap()).await;
    assert_eq!(ada.name(), "ada");
    assert!(ada.may(Role::Operator, &sub("a")) && ada.sees(&sub("b")) && !ada.sees(&sub("c")));
    assert!(!ada.may(Role::Approver, &sub("a")) && !ada.may(Role::Admin, &sub("a")) && !ada.sees_all());
    let said = Actor { name: "somebody else".into(), reason: "why not".into() };
    assert_eq!(ada.acts(said), Actor { name: "ada".into(), reason: "why not".into() });
    assert!(!format!("{ada:?}").contains("eyJ"), "a token stays out of logs");
    // The same issuer, opened again, signs with the same key.
    let again =
        Issuer::open(folder.path()).unwrap().issue(&Wanted::new("ada", Role::Admin, Duration::from_secs(60)));
    let ada = caller(&access, &again.unwrap()).await;
    assert!(ada.may(Role::Approver, &sub("c")) && ada.sees_all());
}

#[tokio::test]
async fn groups_grant_what_the_configuration_says_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, settings) = installation(folder.path());
    let grant = |value: &str, role, subscriptions: Option<&[&str]>| GrantSettings {
        value: value.into(),
        role,
        subscriptions: subscriptions.map(|names| names.iter().map(|name| sub(name)).collect()),
    };
    let grants = vec![grant("g1", Role::Operator, Some(&["a", "b"])), grant("g1", Role::Reader, None)];
    let access = Access::of(&Settings { roles_claim: "groups".into(), grants, ..settings }).unwrap();
    let mut claims = claims();
    claims["groups"] = json!(["g1", "admin"]);
    let ada = caller(&access, &signed(&issuer, folder.path(), &claims)).await;
    assert!(ada.may(Role::Operator, &sub("a")) && !ada.may(Role::Operator, &sub("c")) && ada.sees_all());
    // A group that calls itself admin is none.
    assert!(!ada.may(Role::Admin, &sub("a")));
    // A narrower token is narrower.
    claims["subscriptions"] = json!(["b", "c"]);
    let ada = caller(&access, &signed(&issuer, folder.path(), &claims)).await;
    assert!(ada.may(Role::Operator, &sub("b")) && !ada.may(Role::Operator, &sub("a")));
    assert!(!ada.may(Role::Operator, &sub("c")) && !ada.sees(&sub("a")) && ada.sees(&sub("c")));
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[tokio::test]
async fn what_cannot_be_believed_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, settings) = installation(folder.path());
    let access = Access::of(&settings).unwrap();
    let now = get_current_timestamp();
    let own = |claims: Value| signed(&issuer, folder.path(), &claims);
    let kid = issuer.public_keys().keys[0].common.key_id.clone();
    let public =
        serde_json::to_value(issuer.public_keys()).unwrap()["keys"][0]["x"].as_str().unwrap().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    let (stranger, _) = installation(elsewhere.path());
    let strangers = Header { kid: kid.clone(), ..Header::new(Algorithm::EdDSA) };
    let good = own(claims());
    access.caller(Some(&good)).await.unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let other = own(with("roles", json!(["admin"])));
    let swapped = format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]);
    // {"alg":"none","typ":"JWT"}
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    let shared = Header { kid, ..Header::new(Algorithm::HS256) };
    for (what, token, reason) in [
        ("expired", own(with("exp", json!(now - 60))), "expired"),
        ("not yet good", own(with("nbf", json!(now + 600))), "nbf"),
        ("for ever", own(without("exp")), "exp"),
        ("an end that is no number", own(with("exp", json!("tomorrow"))), "exp"),
        ("another issuer", own(with("iss", json!("https://evil.example"))), "iss"),
        ("no issuer", own(without("iss")), "iss"),
        ("for somebody else", own(with("aud", json!("another-service"))), "aud"),
        ("for nobody", own(without("aud")), "aud"),
        ("nobody's", own(without("sub")), "names nobody"),
        ("a name with a line's end", own(with("sub", json!("a\nb"))), "names nobody"),
        ("subscriptions that are none", own(with("subscriptions", json!({ "all": true }))), "subscriptions"),
        ("unsigned", unsigned, "alg"),
        (
            "the public key as a shared secret",
            encode(&shared, &claims(), &EncodingKey::from_secret(public.as_bytes())).unwrap(),
            "HS256",
        ),
        ("a foreign key", signed(&stranger, elsewhere.path(), &claims()), "none of the issuer's"),
        (
            "a foreign key under our key's name",
            encode(&strangers, &claims(), &key(elsewhere.path())).unwrap(),
            "signature",
        ),
        ("other claims under a good signature", swapped, "signature"),
        ("no token at all", "admin".to_owned(), "no JSON Web Token"),
        ("a long one", "x".repeat(20_000), "longer"),
    ] {
        match access.caller(Some(&token)).await {
            Err(Denied::Invalid(why)) => assert!(why.contains(reason), "{what}: {why}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    assert_eq!(access.caller(None).await, Err(Denied::NoToken));
}

#[test]
fn keys_and_addresses_that_protect_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, settings) = installation(folder.path());
    let file = |text: &str| {
        let path = folder.path().join(format!("{}.json", text.len()));
        std::fs::write(&path, text).unwrap();
        Settings { keys: Some(path), ..Settings::default() }
    };
    let issuer = |at: &str| Settings { issuer: Some(at.into()), ..Settings::default() };
    for (settings, clue) in [
        (file("{}"), "JSON Web Key Set"),
        (file(r#"{"keys": []}"#), "no key"),
        // A secret that both sides know lets every service issue tokens.
        (file(r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "1"}]}"#), "no key"),
        (file(r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "EdDSA", "kid": "1"}]}"#), "no key"),
        (Settings { keys: Some("/nowhere".into()), ..Settings::default() }, "/nowhere"),
        (issuer("http://login.example"), "https"),
        (issuer("somebody"), "OpenID"),
    ] {
        let error = Access::of(&settings).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains(clue), "{settings:?}: {error}");
    }
    let (anywhere, here): (SocketAddr, SocketAddr) =
        ("0.0.0.0:1".parse().unwrap(), "127.0.0.1:1".parse().unwrap());
    let open = Access::of(&Settings::default()).unwrap();
    open.allow_listening("listen", here).unwrap();
    let error = open.allow_listening("listen", anywhere).unwrap_err().to_string();
    assert!(error.contains("listen = \"0.0.0.0:1\"") && error.contains("[access]"), "{error}");
    Access::of(&settings).unwrap().allow_listening("listen", anywhere).unwrap();
}

#[test]
fn the_issuers_key_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    Issuer::open(folder.path()).unwrap();
    let path = folder.path().join("issuer-key.pem");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = Issuer::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("issuer-key.pem") && error.contains("chmod 600"), "{error}");
}
