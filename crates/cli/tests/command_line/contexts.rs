//! Several installations, with the real program.

use crate::installation::{Installation, nightshift, run};
use crate::recorder::Recorder;
use nightshift_cli::stack::{Extras, Listen, Stack};
use nightshift_runtime::Clock;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_context_is_added_used_shown_and_removed() {
    let installation = Installation::start();
    let folder = installation.folder.path();
    let bare = |words: &[&str]| run(nightshift(folder, words));
    let servers = installation.servers();
    let token = servers.token_file.as_ref().unwrap().to_str().unwrap();
    let addresses = [
        "--console",
        &servers.console,
        "--planner",
        &servers.planner,
        "--gateway",
        &servers.gateway,
        "--health",
        &servers.health,
        "--coordinators",
        &servers.coordinators[0],
        "--token-file",
        token,
    ];
    let added = bare(&[["context", "add", "home"].as_slice(), &addresses].concat());
    assert!(added.code == 0 && added.out.contains("nightshift context use home"), "{added:?}");
    let file = folder.join("config/nightshift/contexts.toml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = bare(&[["context", "add", "home"].as_slice(), &addresses].concat());
    assert!(again.code == 6 && again.err.contains("--replace"), "{again:?}");

    // Named by the option, by the environment, and by the file.
    assert_eq!(bare(&["vm", "list"]).code, 5);
    assert_eq!(bare(&["vm", "list", "--context", "home"]).code, 0);
    let mut by_variable = nightshift(folder, &["vm", "list"]);
    by_variable.env("NIGHTSHIFT_CONTEXT", "home");
    assert_eq!(run(by_variable).code, 0);
    assert_eq!(bare(&["context", "use", "home"]).code, 0);
    assert_eq!(bare(&["vm", "list"]).code, 0);

    // What an option and the environment say goes before it, and is shown.
    let mut shown = nightshift(folder, &["context", "show", "--planner", "http://elsewhere:1", "--json"]);
    shown.env("NIGHTSHIFT_HEALTH", "http://monitor:2").env("NIGHTSHIFT_PLANNER", "http://passed-over:3");
    let shown: serde_json::Value = serde_json::from_str(&run(shown).out).unwrap();
    let of = |name: &str| {
        let setting = &shown["settings"][name];
        format!("{} from {}", setting["value"].as_str().unwrap(), setting["from"].as_str().unwrap())
    };
    assert_eq!(shown["context"], "home");
    assert_eq!(of("planner"), "http://elsewhere:1 from --planner");
    assert_eq!(of("health"), "http://monitor:2 from the variable NIGHTSHIFT_HEALTH");
    assert_eq!(of("console"), format!("{} from context \"home\"", servers.console));
    assert_eq!(of("token-file"), format!("{token} from context \"home\""));
    assert_eq!(of("ca"), "the system's from the default");

    let list = bare(&["context", "list"]);
    assert!(list.out.lines().any(|line| line.contains('*') && line.contains("home")), "{list:?}");
    assert_eq!(bare(&["context", "remove", "home"]).code, 0);
    assert_eq!(bare(&["vm", "list"]).code, 5);
    let unknown = bare(&["vm", "list", "--context", "home"]);
    assert!(
        unknown.code == 7 && unknown.err.contains("there is no context \"home\" (named by --context)"),
        "{unknown:?}"
    );
}

#[test]
fn a_host_with_an_authority_is_reached_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let of = |words: &[&str]| run(nightshift(folder.path(), words));
    let added = of(&["context", "add", "far", "--host", "patch.example", "--ca", "none.pem"]);
    assert!(added.code == 0 && added.err.contains("none.pem: there is no such file yet"), "{added:?}");
    let shown = of(&["context", "show", "far"]).out;
    assert_eq!(shown.matches("https://patch.example:77").count(), 5, "{shown}");
    assert_eq!(of(&["context", "add", "near", "--host", "patch.example"]).code, 0);
    let shown = of(&["context", "show", "near"]).out;
    assert_eq!(shown.matches("http://patch.example:77").count(), 5, "{shown}");
    assert_eq!(of(&["context", "add", "a.b", "--host", "patch.example"]).code, 2);
}

#[test]
fn what_up_left_in_its_folder_is_found_there_and_can_be_remembered() {
    let installation = Installation::start();
    let folder = installation.folder.path();
    // As `nightshift up` does, whose usual ports another test may have.
    nightshift_cli::installation::leave_here(&folder.join("data"), installation.servers()).unwrap();
    std::fs::rename(folder.join("data/context.toml"), folder.join("moved.toml")).unwrap();
    std::fs::create_dir_all(folder.join("nightshift-data")).unwrap();
    std::fs::copy(folder.join("moved.toml"), folder.join("nightshift-data/context.toml")).unwrap();
    std::fs::copy(folder.join("data/admin.token"), folder.join("nightshift-data/admin.token")).unwrap();
    let bare = |words: &[&str]| run(nightshift(folder, words));
    assert_eq!(bare(&["vm", "list"]).code, 0);
    let shown = bare(&["context", "show"]);
    assert!(
        shown.out.contains("no context") && shown.out.contains("nightshift-data/context.toml"),
        "{shown:?}"
    );
    let added = bare(&["context", "add", "here", "--from", "nightshift-data", "--use"]);
    assert_eq!(added.code, 0, "{added:?}");
    // From anywhere: the token's file is named in full.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = nightshift(elsewhere.path(), &["vm", "list"]);
    command.env("XDG_CONFIG_HOME", folder.join("config"));
    assert_eq!(run(command).code, 0);
    // Another installation is never shown the token of the one that happens to be here.
    let far = bare(&["context", "add", "far", "--console", &installation.servers().console]);
    assert_eq!(far.code, 0, "{far:?}");
    let refused = bare(&["vm", "list", "--context", "far"]);
    assert!(refused.code == 8 && refused.err.contains("AuthenticationFailed"), "{refused:?}");
}

#[test]
fn what_up_left_over_tls_names_its_authority_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("nightshift-data");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let extras = Extras { tls: true, ..Extras::default() };
    let started = Stack::start_with(data.clone(), Clock::system(), Listen::free(), extras);
    let stack = runtime.block_on(started).unwrap();
    nightshift_cli::installation::leave_here(&data, &stack.servers).unwrap();
    let bare = |words: &[&str]| run(nightshift(folder.path(), words));
    let listed = bare(&["vm", "list"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    let shown = bare(&["context", "show"]);
    assert!(shown.out.contains("nightshift-data/door-authority.pem"), "{shown:?}");
    let added = bare(&["context", "add", "here", "--from", "nightshift-data", "--use"]);
    assert_eq!(added.code, 0, "{added:?}");
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = nightshift(elsewhere.path(), &["rollout", "list"]);
    command.env("XDG_CONFIG_HOME", folder.path().join("config"));
    let from_elsewhere = run(command);
    assert_eq!(from_elsewhere.code, 0, "{from_elsewhere:?}");
}

#[test]
fn an_https_address_must_be_vouched_for() {
    let installation = Installation::start();
    let folder = installation.folder.path();
    let door = Recorder::start_tls(installation.servers(), folder);
    let (_, address, authority) = installation.runtime.block_on(door);
    let ca = authority.to_str().unwrap();
    let of = |words: &[&str]| {
        let mut command = installation.command(words);
        command.env("NIGHTSHIFT_CONSOLE", &address);
        run(command)
    };
    assert_eq!(of(&["vm", "list", "--ca", ca]).code, 0);
    // By nobody whom this machine trusts.
    let strange = of(&["vm", "list"]);
    assert!(strange.code == 5 && strange.err.contains("certificate"), "{strange:?}");
    assert!(
        strange.err.contains("next: or name the authority that vouches for it: --ca FILE"),
        "{strange:?}"
    );
    let clear = installation.servers().console.replace("http:", "https:");
    let clear = of(&["vm", "list", "--ca", ca, "--console", &clear]);
    assert!(clear.code == 5 && clear.err.contains("begins with http://"), "{clear:?}");
    let missing = of(&["vm", "list", "--ca", "nowhere.pem"]);
    assert!(missing.code == 2 && missing.err.contains("nowhere.pem (from --ca)"), "{missing:?}");
    std::fs::write(folder.join("no.pem"), "no certificate").unwrap();
    let none = of(&["vm", "list", "--ca", "no.pem"]);
    assert!(
        none.code == 2 && none.err.contains("no.pem (from --ca): there is no certificate in it"),
        "{none:?}"
    );
}

#[test]
fn a_damaged_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config/nightshift");
    std::fs::create_dir_all(&config).unwrap();
    for (text, clue) in [
        ("current = \"a\"\n", "contexts.toml, line 1: current = \"a\": there is no [contexts.a]"),
        ("[contexts.a]\nconsole = \"http://a:1\"\nplaner = \"x\"\n", "contexts.toml, line 3: planer = \"x\""),
        ("[contexts.a]\n\nhealth = \"a:1\"\n", "contexts.toml, line 3: health = \"a:1\" is no address"),
        ("[contexts.a\n", "contexts.toml, line 1"),
    ] {
        std::fs::write(config.join("contexts.toml"), text).unwrap();
        let said = run(nightshift(folder.path(), &["vm", "list"]));
        assert!(said.code == 2 && said.err.contains(clue), "{text}: {said:?}");
        // What asks no installation does not mind.
        assert_eq!(run(nightshift(folder.path(), &["completions", "bash"])).code, 0);
    }
}
