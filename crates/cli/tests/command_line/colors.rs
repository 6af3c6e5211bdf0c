//! Colours: on a terminal or where they are asked for, and nowhere else.

use crate::installation::{nightshift, run};
use crate::pty::Terminal;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

const PAINT: char = '\u{1b}';

/// Whether standard error of a command that is refused, and standard output of one that prints a table, are painted.
fn painted(words: &[&str], environment: &[(&str, &str)]) -> (bool, bool) {
    let folder = tempfile::tempdir().unwrap();
    let of = |command: &[&str]| {
        let mut command = nightshift(folder.path(), &[command, words].concat());
        command.envs(environment.iter().copied());
        run(command)
    };
    let refused = of(&["vm", "list", "--console", "http://127.0.0.1:9"]);
    let table = of(&["context", "list"]);
    let help = of(&["--help"]);
    assert_eq!(table.out.contains(PAINT), help.out.contains(PAINT), "{words:?} {environment:?}");
    let json = of(&["context", "show", "--json"]);
    assert!(!json.out.contains(PAINT), "{words:?} {environment:?}");
    (refused.err.contains(PAINT), table.out.contains(PAINT))
}

#[test]
fn in_a_pipe_the_environment_and_the_option_decide() {
    let (no, yes) = ((false, false), (true, true));
    for (words, environment, expected) in [
        ([].as_slice(), [].as_slice(), no),
        (&[], &[("CLICOLOR_FORCE", "1")], yes),
        (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], no),
        (&["--color", "always"], &[], yes),
        (&["--color=always"], &[("NO_COLOR", "1")], yes),
        (&["--color", "never"], &[("CLICOLOR_FORCE", "1")], no),
        (&["--color", "auto"], &[], no),
    ] {
        assert_eq!(painted(words, environment), expected, "{words:?} {environment:?}");
    }
}

/// What is written to a file, or to a journal, is read there by no terminal.
#[test]
fn the_log_of_up_is_painted_like_everything_else() {
    for (number, environment, is_painted) in
        [(1, [].as_slice(), false), (2, &[("CLICOLOR_FORCE", "1")], true)]
    {
        let folder = tempfile::tempdir().unwrap();
        // Its ports are fixed, and the loopback network has many addresses.
        let mut up = nightshift(folder.path(), &["up", "--address", &format!("127.0.77.{number}")]);
        up.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut up = up.spawn().unwrap();
        let mut lines = BufReader::new(up.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("serving"));
        up.kill().unwrap();
        up.wait().unwrap();
        assert_eq!(line.unwrap().contains(PAINT), is_painted, "{environment:?}");
    }
}

#[test]
fn on_a_terminal_there_are_colours_unless_somebody_does_not_want_them() {
    let folder = tempfile::tempdir().unwrap();
    for (before, is_painted) in [
        ("", true),
        ("NO_COLOR=1", false),
        ("TERM=dumb", false),
        ("CLICOLOR=0", false),
        // The logs of a CI that gives its commands a terminal show colours, whatever TERM says.
        ("TERM=dumb CI=true", true),
        ("CI=true NO_COLOR=1", false),
    ] {
        let command = nightshift(folder.path(), &["context", "list"]);
        let terminal = Terminal::run(command, before, 24, 80);
        terminal
            .wait_for("the table", |screen| screen.contains("CONSOLE") && screen.contains("ENDED WITH 0"));
        let raw = terminal.raw();
        let table = raw.split("ENDED").next().unwrap();
        assert_eq!(table.contains("\u{1b}["), is_painted, "{before}: {raw:?}");
    }
}
