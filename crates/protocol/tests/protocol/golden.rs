//! Golden files of version 1: what was written once is read for ever. `NIGHTSHIFT_BLESS=1` writes them anew,
//! which is right for a new event and wrong for one that is in anybody's log.

use crate::examples::examples;
use crate::{command, name, seal};
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::json::event_json;
use std::collections::{BTreeMap, BTreeSet};
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

/// Each with its file's name: an event that was given more fields has another example of it, which is numbered.
fn named(envelopes: &[Envelope]) -> Vec<(String, &Envelope)> {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let numbered = envelopes.iter().map(|envelope| {
        let number = seen.entry(name(envelope)).and_modify(|number| *number += 1).or_insert(1);
        let file = if *number == 1 { String::new() } else { format!(".{number}") };
        (format!("{}{file}", name(envelope)), envelope)
    });
    numbered.collect()
}

fn sealed() -> Vec<Envelope> {
    let mut sealed: Vec<Envelope> = examples().iter().map(|(p, e)| seal(p, e)).collect();
    // What a command with an idempotency key made fact.
    let wished = sealed.iter().find(|envelope| name(envelope) == "RolloutPaused").cloned();
    sealed.extend(wished.map(|paused| paused.of_command(Some(command()))));
    sealed.sort_by_key(|envelope| name(envelope).to_owned());
    sealed
}

fn hash_line(file: &str, envelope: &Envelope) -> String {
    let hash: String = envelope.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}  {file}.bin\n")
}

#[test]
fn every_golden_file_is_read_for_ever() {
    let sealed = sealed();
    let named = named(&sealed);
    if std::env::var_os("NIGHTSHIFT_BLESS").is_some_and(|value| value == "1") {
        bless(&named);
    }
    let mut hashes = String::new();
    for (name, example) in named {
        let read = |ending| {
            let file = folder().join(format!("{name}.{ending}"));
            fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; see golden.rs", file.display()))
        };
        let golden = Envelope::decode(&read("bin")).unwrap();
        assert_eq!(golden.fact().unwrap(), example.fact().unwrap(), "{name}");
        assert_eq!(&golden, example, "{name}");
        assert_eq!(String::from_utf8(read("json")).unwrap(), view(&golden), "{name}");
        hashes += &hash_line(&name, &golden);
    }
    assert_eq!(fs::read_to_string(folder().join(HASHES)).unwrap(), hashes);
}

#[test]
fn no_golden_file_is_left_unread() {
    let sealed = sealed();
    let expected = named(&sealed)
        .into_iter()
        .flat_map(|(name, _)| ["bin", "json"].map(|ending| format!("{name}.{ending}")));
    let expected: BTreeSet<String> = expected.chain([HASHES.to_owned()]).collect();
    let there = fs::read_dir(folder()).unwrap();
    let there: BTreeSet<String> =
        there.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, expected);
}

/// What an older reader makes of a newer event: fields that it does not know, wherever they stand, are passed over.
#[test]
fn a_field_that_is_not_known_here_is_passed_over() {
    // Field 500,000, the text "new".
    let unknown = [0x82, 0x91, 0xf4, 0x01, 3, b'n', b'e', b'w'];
    for envelope in sealed() {
        let known = envelope.fact().unwrap();
        let beside = [&envelope.data[..], &unknown].concat();
        // The event is one field, whose length stands before it.
        let mut rest = &envelope.data[..];
        let key = prost::encoding::decode_varint(&mut rest).unwrap();
        prost::encoding::decode_varint(&mut rest).unwrap();
        let mut within = Vec::new();
        prost::encoding::encode_varint(key, &mut within);
        prost::encoding::encode_varint((rest.len() + unknown.len()) as u64, &mut within);
        within.extend([rest, &unknown].concat());
        for data in [beside, within] {
            assert_ne!(data, envelope.data);
            let newer = Envelope { data, ..envelope.clone() };
            assert_eq!(newer.fact().unwrap(), known, "{}", envelope.event_type);
            assert_eq!(newer.headers(), envelope.headers());
        }
    }
}

fn bless(named: &[(String, &Envelope)]) {
    fs::create_dir_all(folder()).unwrap();
    for (name, envelope) in named {
        fs::write(folder().join(format!("{name}.bin")), envelope.encode()).unwrap();
        fs::write(folder().join(format!("{name}.json")), view(envelope)).unwrap();
    }
    let hashes = named.iter().map(|(name, envelope)| hash_line(name, envelope));
    fs::write(folder().join(HASHES), hashes.collect::<String>()).unwrap();
}
