//! Who goes before whom, and what becomes of the file.

use super::*;
use crate::failure::Failure;
use std::os::unix::fs::PermissionsExt as _;

fn flags(words: &[&str]) -> Flags {
    use clap::Parser as _;
    let words = ["nightshift"].iter().chain(words).chain(&["compliance"]);
    crate::arguments::Arguments::try_parse_from(words).unwrap().installation
}

fn entry() -> Entry {
    Entry {
        console: Some("http://context:1".into()),
        planner: Some("http://context:2".into()),
        gateway: Some("http://context:3".into()),
        token_file: Some("/context/token".into()),
        ..Entry::default()
    }
}

#[test]
fn the_option_goes_before_the_environment_before_the_context_before_the_default() {
    let environment = |name: &str| match name {
        "NIGHTSHIFT_CONSOLE" => Some("http://variable:1".to_owned()),
        "NIGHTSHIFT_PLANNER" => Some("http://variable:2".to_owned()),
        "NIGHTSHIFT_COORDINATORS" => Some("http://one:1, http://two:2".to_owned()),
        _ => None,
    };
    let layer = Some((entry(), Origin::Context("prod".into())));
    let servers = resolve(&flags(&["--console", "http://option:1"]), &environment, layer).unwrap();
    let context = Origin::Context("prod".to_owned());
    for (setting, value, origin) in [
        (Setting::Console, servers.console.as_str(), ("http://option:1", Origin::Flag("--console"))),
        (Setting::Planner, &servers.planner, ("http://variable:2", Origin::Variable("NIGHTSHIFT_PLANNER"))),
        (Setting::Gateway, &servers.gateway, ("http://context:3", context.clone())),
        (Setting::Health, &servers.health, ("http://127.0.0.1:7703", Origin::Usual)),
    ] {
        assert_eq!((value, servers.origins.of(setting)), origin);
    }
    assert_eq!(servers.coordinators, ["http://one:1", "http://two:2"]);
    assert_eq!(servers.token_file, Some("/context/token".into()));
    assert_eq!(servers.origins.of(Setting::Token), context);
}

#[test]
fn one_token_counts_and_it_is_said_which() {
    let nothing = |_: &str| None;
    let by_variable = |name: &str| (name == "NIGHTSHIFT_TOKEN").then(|| "abc".to_owned());
    let both = |name: &str| match name {
        "NIGHTSHIFT_TOKEN" => Some("abc".to_owned()),
        "NIGHTSHIFT_TOKEN_FILE" => Some("/variable/token".to_owned()),
        _ => None,
    };
    let layer = || Some((entry(), Origin::Context("prod".into())));
    let of = |words: &[&str], variable: &dyn Fn(&str) -> Option<String>| {
        let servers = resolve(&flags(words), &variable, layer()).unwrap();
        (servers.token_file, servers.token, servers.origins.of(Setting::Token).to_string())
    };
    let file = |path: &str, from: &str| (Some(PathBuf::from(path)), None, from.to_owned());
    assert_eq!(of(&["--token-file", "/own"], &both), file("/own", "--token-file"));
    assert_eq!(of(&[], &both), file("/variable/token", "the variable NIGHTSHIFT_TOKEN_FILE"));
    assert_eq!(of(&[], &by_variable), (None, Some("abc".into()), "the variable NIGHTSHIFT_TOKEN".into()));
    assert_eq!(of(&[], &nothing), file("/context/token", "context \"prod\""));
}

#[test]
fn changes_at_the_same_moment_are_all_kept_and_the_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightshift/contexts.toml");
    std::thread::scope(|scope| {
        for number in 0..16 {
            let file = ContextFile::at(path.clone());
            scope.spawn(move || {
                file.change(|contexts| contexts.add(&format!("c{number}"), entry(), false)).unwrap();
            });
        }
    });
    let file = ContextFile::at(path.clone());
    assert_eq!(file.read().unwrap().all().count(), 16);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // What is refused changes nothing.
    let before = std::fs::read_to_string(&path).unwrap();
    let refused =
        |change: &dyn Fn(&mut Contexts) -> Result<(), Failure>| file.change(change).unwrap_err().to_string();
    assert!(refused(&|contexts| contexts.add("c1", Entry::default(), false)).contains("already"));
    assert!(refused(&|contexts| contexts.choose(Some("d"))).contains("there is no context \"d\""));
    assert!(refused(&|contexts| contexts.remove("d")).contains("known: c0, c1, c10"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    // The one that is forgotten is not used any more.
    file.change(|contexts| contexts.choose(Some("c3"))).unwrap();
    assert_eq!(file.read().unwrap().current(), Some("c3"));
    file.change(|contexts| contexts.remove("c3")).unwrap();
    assert_eq!(file.read().unwrap().current(), None);
}

#[test]
fn files_that_are_named_beside_the_file_are_found_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("contexts.toml");
    std::fs::write(&path, "[contexts.a]\ntoken_file = \"a.token\"\nca = \"/etc/ca.pem\"\n").unwrap();
    let entry = ContextFile::at(path).read().unwrap().entry("a").unwrap();
    assert_eq!(entry.token_file, Some(folder.path().join("a.token")));
    assert_eq!(entry.ca, Some("/etc/ca.pem".into()));
}

#[test]
fn addresses_are_addresses() {
    for good in ["http://a:1", "https://patch.example", "http://[::1]:7700"] {
        assert_eq!(check_address(good), Ok(()), "{good}");
    }
    for wrong in ["", "a:1", "patch.example", "ftp://a", "http://", "/tmp/socket", "http://a b"] {
        assert!(check_address(wrong).is_err(), "{wrong}");
    }
    assert!(is_name("prod-1_a") && !is_name("") && !is_name("a.b") && !is_name("a b") && !is_name("ä"));
}
