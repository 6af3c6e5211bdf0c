//! Completions in a real shell, and manual pages that a real `man` formats.

use crate::installation::{nightshift, run};
use std::process::Command;

/// What bash offers for this line, whose last word is being written.
fn completed(folder: &std::path::Path, line: &str) -> Vec<String> {
    let script = folder.join("nightshift.bash");
    if !script.exists() {
        let said = run(nightshift(folder, &["completions", "bash"]));
        assert_eq!(said.code, 0, "{said:?}");
        std::fs::write(&script, said.out).unwrap();
    }
    // As readline asks: the function that the script registered, with the words of the line.
    let asks = r#"
        set -e
        source "$1"; shift
        function=$(complete -p nightshift | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        previous="${COMP_WORDS[COMP_CWORD-1]}"
        "$function" nightshift "${COMP_WORDS[COMP_CWORD]}" "$previous" || true
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", asks, "bash"]).arg(&script).args(line.split(' '));
    let output = bash.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_their_options() {
    let folder = tempfile::tempdir().unwrap();
    let of = |line: &str| completed(folder.path(), line);
    assert_eq!(of("nightshift rol"), ["rollout"]);
    assert_eq!(of("nightshift rollout wat"), ["watch"]);
    assert!(of("nightshift rollout start --rea").contains(&"--reason".to_owned()));
    assert_eq!(of("nightshift vm list --output y"), ["yaml"]);
    assert!(of("nightshift ").contains(&"context".to_owned()));
}

#[test]
fn every_shell_has_its_script() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, clue) in [
        ("bash", "complete -F _nightshift"),
        ("zsh", "#compdef nightshift"),
        ("fish", "complete -c nightshift"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[nightshift]"),
    ] {
        let said = run(nightshift(folder.path(), &["completions", shell]));
        assert!(said.code == 0 && said.out.contains(clue) && said.out.contains("rollout"), "{shell}");
    }
}

#[test]
fn man_formats_every_page_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(nightshift(folder.path(), &["man", "pages", "--json"]));
    assert_eq!(said.code, 0, "{said:?}");
    let pages: Vec<String> = serde_json::from_str(&said.out).unwrap();
    for wanted in
        ["nightshift.1", "nightshift-rollout-watch.1", "nightshift-context-add.1", "nightshift-vm-put.1"]
    {
        assert!(pages.iter().any(|page| page == wanted), "{wanted}: {pages:?}");
    }
    assert!(!pages.iter().any(|page| page.starts_with("nightshift-agent")), "{pages:?}");
    for page in &pages {
        let path = folder.path().join("pages").join(page);
        let mut man = Command::new("man");
        man.args(["--warnings=w", "--local-file"]).arg(&path).env("MANWIDTH", "100").env("LC_ALL", "C.UTF-8");
        let output = man.env("PAGER", "cat").env("MANPAGER", "cat").output().unwrap();
        let (text, warnings) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && warnings.trim().is_empty(), "{page}: {warnings}");
        let name = page.trim_end_matches(".1").to_uppercase();
        let plain: String = text.chars().collect();
        assert!(plain.to_uppercase().contains(&name) || plain.contains("SYNOPSIS"), "{page}: {plain}");
    }
    let top = std::fs::read_to_string(folder.path().join("pages/nightshift.1")).unwrap();
    assert!(top.contains("Exit codes"), "{top}");
}
