//! docs/events.md has every event there is: its table is made of the contract's comments, of the golden files, and of what
//! each NATS user may write. `NIGHTSHIFT_BLESS=1` makes it anew.

use super::USERS;
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::{FILE_DESCRIPTOR_SET, kinds};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const BEGIN: &str =
    "<!-- made of the contract: NIGHTSHIFT_BLESS=1 cargo test -p nightshift-cli catalogue -->\n";
const END: &str = "<!-- end of what is made -->";

#[test]
fn the_page_has_every_event_with_its_subject_and_its_writer() {
    let path = root().join("docs/events.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (_, tail) = rest.split_once(END).expect("where the table ends");
    let wanted = format!("{head}{BEGIN}{}{END}{tail}", table());
    if std::env::var_os("NIGHTSHIFT_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, &wanted).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == wanted, "docs/events.md: {}", file!());
}

fn table() -> String {
    let sentences = sentences();
    let mut rows: Vec<String> = kinds::all()
        .unwrap()
        .into_iter()
        .map(|kind| {
            let subject = subject(&kind);
            let sentence = sentences.get(&kind).unwrap_or_else(|| panic!("{kind} has no comment"));
            format!("| `{subject}` | {} | `{kind}` | {sentence} |\n", writer(&subject))
        })
        .collect();
    rows.sort();
    format!("\n| subject | writer | type | what happened |\n| --- | --- | --- | --- |\n{}\n", rows.concat())
}

/// The subject of this kind, by its golden file: whatever differs from one event to the next in angle brackets.
fn subject(kind: &str) -> String {
    let golden = root().join(format!("crates/protocol/golden/v1/{kind}.bin"));
    let bytes = fs::read(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
    let envelope = Envelope::decode(&bytes).unwrap();
    let partition = envelope.partition().unwrap().to_string();
    let partition = if partition.starts_with("region.") { "region.<region>" } else { &partition };
    let aggregate = envelope.aggregate().unwrap();
    let id = match aggregate.kind.as_str() {
        "vm" | "agent" | "health" => "<vm>",
        "rollout" | "run" | "bake" => "<rollout>",
        "subscription" => "<subscription>",
        _ => &aggregate.id,
    };
    format!("nightshift.v1.{partition}.{}.{id}", aggregate.kind)
}

/// Whoever may write it, and nobody else does.
fn writer(subject: &str) -> &'static str {
    let may = |allowed: &&'static str| {
        let (mut allowed, mut tokens) = (allowed.split('.'), subject.split('.'));
        loop {
            match (allowed.next(), tokens.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(fixed), Some(token)) if fixed == token => {}
                _ => return false,
            }
        }
    };
    let writers: Vec<_> = USERS.iter().filter(|user| user.writes.iter().any(&may)).collect();
    let [one] = writers.as_slice() else { panic!("{subject} has {} writers", writers.len()) };
    one.name
}

/// The first sentence of each message's comment.
fn sentences() -> BTreeMap<String, String> {
    const MESSAGES: i32 = 4;
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut found = BTreeMap::new();
    for file in set.file.iter().filter(|file| file.package() == "nightshift.events.v1") {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        for location in locations {
            let [MESSAGES, index] = location.path[..] else { continue };
            let comment = location.leading_comments().split_whitespace().collect::<Vec<_>>().join(" ");
            let sentence =
                comment.split_inclusive(". ").next().unwrap_or_default().trim().replace('|', "\\|");
            if !sentence.is_empty() {
                found.insert(file.message_type[index as usize].name().to_owned(), sentence);
            }
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
