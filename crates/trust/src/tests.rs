use super::*;
use nightshift_domain::Time;
use nightshift_domain::event::Signature;
use nightshift_domain::patch::{Classification, RebootSetting};
use nightshift_domain::selection::{Mask, PackageVersion, Selection};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// RFC 8032, 7.1, test 1, as PKCS #8: the secret key 9d61b19d…, the public key d75a9801….
const KNOWN: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

fn key(text: &str) -> OrderKey {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    OrderKey::read(&path).unwrap()
}

fn new_key() -> OrderKey {
    let folder = tempfile::tempdir().unwrap();
    OrderKey::open(&folder.path().join("key.pem")).unwrap()
}

fn package(name: &str) -> PackageVersion {
    PackageVersion { name: name.into(), version: "1.1".into() }
}

fn order() -> Order {
    let at = |text: &str| -> Time { text.parse().unwrap() };
    Order {
        id: "order-1".parse().unwrap(),
        rollout: "2026-01".parse().unwrap(),
        vm: "vm-1".parse().unwrap(),
        not_after: at("2026-01-13T22:15:00Z"),
        deadline: at("2026-01-13T23:45:00Z"),
        reboot: RebootSetting::IfRequired,
        selection: Selection {
            classifications: vec![Classification::Critical, Classification::Security],
            include: vec![Mask::new("lib*").unwrap()],
            exclude: vec![Mask::new("*-dev").unwrap()],
            certified: Some(vec![package("openssl")]),
            barred: vec![package("zlib")],
        },
        signature: None,
    }
}

fn trusted(keys: &[&OrderKey]) -> TrustedKeys {
    TrustedKeys::parse(&keys.iter().map(|key| key.public_pem()).collect::<String>()).unwrap()
}

#[test]
fn a_signed_order_is_believed_and_only_by_who_trusts_its_key() {
    let (ours, second, stranger) = (new_key(), new_key(), new_key());
    let keys = trusted(&[&ours, &second]);
    for key in [&ours, &second] {
        keys.verify(&key.sign(order())).unwrap();
    }
    let foreign = keys.verify(&stranger.sign(order())).unwrap_err();
    assert_eq!(foreign.code(), "UnknownKey");
    assert!(foreign.to_string().contains(&stranger.sign(order()).signature.unwrap().key), "{foreign}");
    assert_eq!(keys.verify(&order()), Err(Distrust::Unsigned));
}

#[test]
fn a_name_that_is_trusted_does_not_help_another_key_s_signature() {
    let (ours, stranger) = (new_key(), new_key());
    let mut forged = stranger.sign(order());
    forged.signature.as_mut().unwrap().key = ours.sign(order()).signature.unwrap().key;
    assert_eq!(trusted(&[&ours]).verify(&forged), Err(Distrust::Forged));
}

#[test]
fn an_order_that_is_altered_in_any_field_is_not_believed() {
    let ours = new_key();
    let keys = trusted(&[&ours]);
    let signed = ours.sign(order());
    type Alter = fn(&mut Order);
    let alterations: [(&str, Alter); 17] = [
        ("id", |order| order.id = "order-2".parse().unwrap()),
        ("rollout", |order| order.rollout = "2026-02".parse().unwrap()),
        ("vm: replayed to another machine", |order| order.vm = "vm-2".parse().unwrap()),
        ("not_after, by a nanosecond", |order| order.not_after += chrono_nanosecond()),
        ("deadline", |order| order.deadline += chrono_nanosecond()),
        ("reboot", |order| order.reboot = RebootSetting::Always),
        ("reboot", |order| order.reboot = RebootSetting::Never),
        ("classifications: one more", |order| order.selection.classifications.push(Classification::Other)),
        ("classifications: one less", |order| order.selection.classifications.truncate(1)),
        ("classifications: order", |order| order.selection.classifications.reverse()),
        ("include", |order| order.selection.include.clear()),
        ("exclude", |order| order.selection.exclude.clear()),
        ("include and exclude", |order| {
            std::mem::swap(&mut order.selection.include, &mut order.selection.exclude);
        }),
        ("certified: none", |order| order.selection.certified = None),
        ("certified: nothing", |order| order.selection.certified = Some(Vec::new())),
        ("certified and barred", |order| order.selection.barred = vec![package("openssl"), package("zlib")]),
        ("barred", |order| order.selection.barred.clear()),
    ];
    for (what, alter) in alterations {
        let mut altered = signed.clone();
        alter(&mut altered);
        assert_ne!(altered, signed, "{what}");
        assert_eq!(keys.verify(&altered), Err(Distrust::Forged), "{what}");
    }
}

fn chrono_nanosecond() -> std::time::Duration {
    std::time::Duration::from_nanos(1)
}

/// Every field that the message has, by its descriptor: one that is added and not signed fails here.
#[test]
fn every_field_of_the_message_but_the_signature_is_signed() {
    let encoded = signed_bytes(&order());
    let message = wire::Order::decode(&encoded[CONTEXT.len()..]).unwrap();
    assert_eq!(message, wire::Order::from(&order()));
    let json = serde_json::to_value(&message).unwrap();
    for (field, value) in json.as_object().unwrap() {
        let mut other = json.clone();
        other.as_object_mut().unwrap().remove(field);
        assert!(!value.is_null(), "{field} is not set in this test's example: set it");
        let other: wire::Order = serde_json::from_value(other).unwrap();
        assert_ne!(other.encode_to_vec(), message.encode_to_vec(), "{field}");
    }
}

#[test]
fn a_damaged_signature_is_an_answer_not_a_panic() {
    let ours = new_key();
    let keys = trusted(&[&ours]);
    let good = ours.sign(order()).signature.unwrap();
    for length in [0, 1, 63, 65, 10_000] {
        let mut value = good.value.clone();
        value.resize(length, 0);
        let signature = Some(Signature { key: good.key.clone(), value });
        assert_eq!(keys.verify(&Order { signature, ..order() }), Err(Distrust::Forged));
    }
    let signature = Some(Signature { key: "x".repeat(1_000_000), value: good.value });
    assert!(keys.verify(&Order { signature, ..order() }).unwrap_err().to_string().len() < 1_000);
}

/// The contract: what is signed here must be verified by every later version. Computed by another program
/// (OpenSSL's Ed25519 over the bytes as `events/v1/run.proto` describes them, written by Google's protobuf).
#[test]
fn the_signature_of_a_known_key_over_a_known_order() {
    let signed = key(KNOWN).sign(order()).signature.unwrap();
    assert_eq!(hex::encode(signed_bytes(&order())), BYTES);
    assert_eq!(signed.key, NAME);
    assert_eq!(hex::encode(signed.value), SIGNATURE);
}

const BYTES: &str = "6e696768747368696674206f7264657220310a0a076f726465722d311207323032362d30311a04766d2d31220608e4879bcb062a06\
    08fcb19bcb0630013a300a02010212046c69622a1a052a2d64657622100a0e0a076f70656e73736c1203312e312a0b0a047a6c69621203312e31";
const NAME: &str = "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9";
const SIGNATURE: &str = "53ed16c4538bbec14637713bb4202abf4f7689e8e2705f45d74f714df45717f2\
    ed4db3b364005d1d23f2262a0bc54e18495dd7e83e1c4c53b38e396c2f5e2301";

#[test]
fn a_key_is_made_once_for_its_owner_alone_and_stays_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("order-key.pem");
    let first = OrderKey::open(&path).unwrap().public_pem();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(OrderKey::open(&path).unwrap().public_pem(), first);
    assert_ne!(new_key().public_pem(), first);
}

#[test]
fn a_key_that_others_may_read_or_that_is_none_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("order-key.pem");
    OrderKey::open(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = OrderKey::open(&path).err().unwrap().to_string();
    assert!(error.contains("order-key.pem") && error.contains("chmod 600"), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for text in ["", "no PEM", &new_key().public_pem()] {
        fs::write(&path, text).unwrap();
        assert!(OrderKey::open(&path).is_err(), "{text}");
    }
    assert!(OrderKey::read(&folder.path().join("none")).is_err());
}

#[test]
fn what_is_no_public_key_is_an_error_that_says_so() {
    let (public, private) = (new_key().public_pem(), KNOWN);
    for text in ["", "no PEM", private, &format!("{public}{private}"), &public.replace("PUBLIC", "PRIVATE")] {
        assert!(TrustedKeys::parse(text).is_err(), "{text}");
    }
    let commented = format!("# coordinator west\n{public}\n# coordinator east\n{}", new_key().public_pem());
    assert_eq!(TrustedKeys::parse(&commented).unwrap().names().count(), 2);
}
