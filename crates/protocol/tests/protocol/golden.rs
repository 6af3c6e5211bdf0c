//! Golden files of version 1: what was written once is read for ever. `NIGHTSHIFT_BLESS=1` writes them anew,
//! which is right for a new event and wrong for one that is in anybody's log.

use crate::examples::examples;
use crate::{name, seal};
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::json::event_json;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// The hash of each golden envelope. They were first computed by another program, from [`Envelope::hash`]'s
/// description.
const HASHES: &str = "hashes.txt";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/v1")
}

fn view(envelope: &Envelope) -> String {
    serde_json::to_string_pretty(&event_json(envelope).unwrap()).unwrap() + "\n"
}

fn hash_line(envelope: &Envelope) -> String {
    let hash: String = envelope.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}  {}.bin\n", name(envelope))
}

#[test]
fn every_golden_file_is_read_for_ever() {
    let mut sealed: Vec<Envelope> = examples().iter().map(|(p, e)| seal(p, e)).collect();
    sealed.sort_by_key(|envelope| name(envelope).to_owned());
    if std::env::var_os("NIGHTSHIFT_BLESS").is_some_and(|value| value == "1") {
        bless(&sealed);
    }
    let mut hashes = String::new();
    for example in &sealed {
        let name = name(example);
        let read = |ending| {
            let file = folder().join(format!("{name}.{ending}"));
            fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; see golden.rs", file.display()))
        };
        let golden = Envelope::decode(&read("bin")).unwrap();
        assert_eq!(golden.fact().unwrap(), example.fact().unwrap(), "{name}");
        assert_eq!(golden, *example, "{name}");
        assert_eq!(String::from_utf8(read("json")).unwrap(), view(&golden), "{name}");
        hashes += &hash_line(&golden);
    }
    assert_eq!(fs::read_to_string(folder().join(HASHES)).unwrap(), hashes);
}

#[test]
fn no_golden_file_is_left_unread() {
    let expected = examples().into_iter().flat_map(|(p, e)| {
        let sealed = seal(&p, &e);
        ["bin", "json"].map(|ending| format!("{}.{ending}", name(&sealed)))
    });
    let expected: BTreeSet<String> = expected.chain([HASHES.to_owned()]).collect();
    let there = fs::read_dir(folder()).unwrap();
    let there: BTreeSet<String> =
        there.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, expected);
}

fn bless(sealed: &[Envelope]) {
    fs::create_dir_all(folder()).unwrap();
    for envelope in sealed {
        fs::write(folder().join(format!("{}.bin", name(envelope))), envelope.encode()).unwrap();
        fs::write(folder().join(format!("{}.json", name(envelope))), view(envelope)).unwrap();
    }
    fs::write(folder().join(HASHES), sealed.iter().map(hash_line).collect::<String>()).unwrap();
}
