//! A terminal that is none: util-linux's `script` gives the program one, and what it draws is read off a screen.

use crate::installation::PATIENCE;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A running program and its screen.
pub struct Terminal {
    script: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Seen>>,
    folder: tempfile::TempDir,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Terminal {
    /// Runs a command on a terminal of this size. When it has ended, its exit code and the terminal's modes are printed.
    pub fn run(command: Command, environment: &str, rows: u16, columns: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| format!("'{}'", word.to_str().unwrap()))
            .collect();
        let line = format!(
            "stty rows {rows} columns {columns}; tty > '{tty}'; echo $$ > '{tty}.pid'; env {environment} {words}; echo ENDED WITH $?; stty -a > '{tty}.modes'; echo ALL OVER",
            tty = folder.path().join("tty").display(),
            words = words.join(" "),
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script.current_dir(command.get_current_dir().unwrap()).env("SHELL", "/bin/sh");
        let mut script =
            script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let keys = script.stdin.take().unwrap();
        let mut output = script.stdout.take().unwrap();
        let seen = Seen { parser: vt100::Parser::new(size(rows), size(columns), 0), raw: Vec::new() };
        let screen = Arc::new(Mutex::new(seen));
        let shared = screen.clone();
        std::thread::spawn(move || {
            let mut some = [0; 8_192];
            while let Ok(count) = output.read(&mut some) {
                if count == 0 {
                    return;
                }
                let mut seen = shared.lock().unwrap();
                seen.parser.process(&some[..count]);
                seen.raw.extend_from_slice(&some[..count]);
            }
        });
        Self { script, keys, screen, folder }
    }

    /// What stands on the screen.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap().parser.screen().contents()
    }

    /// Everything that was ever written to it.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap().raw).into_owned()
    }

    /// Whether a program has it all to itself now.
    pub fn is_full_screen(&self) -> bool {
        self.screen.lock().unwrap().parser.screen().alternate_screen()
    }

    pub fn hides_cursor(&self) -> bool {
        self.screen.lock().unwrap().parser.screen().hide_cursor()
    }

    pub fn wait_for(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.text()) {
            assert!(begun.elapsed() < PATIENCE, "not seen: {what}\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Becomes larger or smaller, as a window does.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.screen.lock().unwrap().parser.screen_mut().set_size(size(rows), size(columns));
        let tty = std::fs::read_to_string(self.folder.path().join("tty")).unwrap();
        let wished = ["rows".to_owned(), rows.to_string(), "columns".to_owned(), columns.to_string()];
        assert!(Command::new("stty").args(["-F", tty.trim()]).args(wished).status().unwrap().success());
    }

    /// The program's own process.
    pub fn signal(&self, signal: &str) {
        let shell = std::fs::read_to_string(self.folder.path().join("tty.pid")).unwrap();
        let children = format!("/proc/{0}/task/{0}/children", shell.trim());
        let child = std::fs::read_to_string(children).unwrap();
        assert!(Command::new("kill").args([signal, child.trim()]).status().unwrap().success());
    }

    /// Waits until it has ended with this code, and has left the terminal as it was.
    pub fn ended(&self, code: i32) {
        self.wait_for("its end", |screen| screen.contains("ALL OVER"));
        assert!(self.text().contains(&format!("ENDED WITH {code}\n")), "{}", self.text());
        assert!(!self.is_full_screen() && !self.hides_cursor(), "{}", self.text());
        let modes = std::fs::read_to_string(self.folder.path().join("tty.modes")).unwrap();
        for mode in ["icanon", "echo", "isig", "opost"] {
            assert!(modes.split_whitespace().any(|one| one == mode), "{mode}: {modes}");
        }
    }
}

fn size(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).unwrap()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
