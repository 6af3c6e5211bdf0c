//! The agent starts programs by argument vectors only: no text ever reaches a shell, whatever a package is called.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// String literals that start a shell, or make a program start one.
const SHELLS: [&str; 12] =
    ["sh", "bash", "dash", "ksh", "zsh", "busybox", "env", "cmd", "cmd.exe", "xargs", "eval", "su"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.filter(|path| !path.ends_with("tests") && !path.ends_with("tests.rs")).flat_map(of).collect()
}

/// The code that is shipped: without comments, and up to the tests at a file's end.
fn shipped(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The string literals of a source, roughly: what lies between two quotation marks of a line.
fn literals(code: &str) -> impl Iterator<Item = &str> {
    code.lines().flat_map(|line| line.split('"').skip(1).step_by(2))
}

#[test]
fn no_shell_is_started_and_no_text_is_handed_to_one() {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut starts = 0;
    for path in files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs")) {
        let code = shipped(path);
        starts += code.matches("Command::new(").count();
        for literal in literals(&code) {
            let program = literal.rsplit('/').next().unwrap_or_default();
            assert!(!SHELLS.contains(&program), "{}: \"{literal}\" is a shell", path.display());
            assert!(literal != "-c" && literal != "/C", "{}: \"{literal}\" hands over text", path.display());
        }
    }
    assert!(starts > 0, "programs are started somewhere else now: look for them there");
}
