//! Colours: on a terminal or where they are asked for, and nowhere else.

use crate::installation::{nightshift, run};
use crate::pty::Terminal;

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
