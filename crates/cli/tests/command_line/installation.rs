//! An installation in this process, and the program `nightshift` that asks it.

use nightshift_cli::arguments::Servers;
use nightshift_cli::demo::simulated::EXAMPLE;
use nightshift_cli::stack::{Extras, Listen, Stack};
use nightshift_cli::{clients, fleet_file};
use nightshift_runtime::Clock;
use nightshift_runtime::access::{Role, Wanted};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Longer than anything takes on a machine that has other work.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until it is so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// The program, in a folder of its own, without what this machine's user has configured.
pub fn nightshift(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightshift"));
    command.args(words).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let decides_colors = name.starts_with("CLICOLOR") || name == "NO_COLOR" || name == "CI";
        if name.starts_with("NIGHTSHIFT_") || decides_colors {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", folder.join("config")).env("USER", "tester").env("TERM", "xterm");
    command
}

/// What it said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs it to its end.
pub fn run(mut command: Command) -> Said {
    command.output().unwrap().into()
}

/// Everything of `nightshift up`, with the example's fleet.
pub struct Installation {
    pub folder: tempfile::TempDir,
    pub runtime: Runtime,
    stack: Option<Stack>,
    listen: Listen,
}

impl Installation {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let stack = runtime.block_on(stack(folder.path(), Listen::free()));
        // The same addresses again, should it be started again.
        let at = |url: &str| -> SocketAddr { url.trim_start_matches("http://").parse().unwrap() };
        let servers = &stack.servers;
        let services =
            [&servers.console, &servers.planner, &servers.coordinators[0], &servers.health, &servers.gateway];
        let listen = Listen { services: services.map(|url| at(url)), agents: stack.agents, http: stack.http };
        let this = Self { folder, runtime, stack: Some(stack), listen };
        this.declare();
        this
    }

    fn declare(&self) {
        let fleet = fleet_file::parse(EXAMPLE).unwrap();
        self.runtime.block_on(async {
            clients::fleet(self.servers()).await.unwrap().declare_fleet(fleet.request()).await.unwrap();
        });
        wait_until("the console reads of the fleet", || self.said(&["vm", "show", "weu-web-01"]).code == 0);
    }

    pub fn servers(&self) -> &Servers {
        &self.stack.as_ref().unwrap().servers
    }

    /// Ends all services, as SIGTERM would.
    pub fn stop(&mut self) {
        let stack = self.stack.take().unwrap();
        stack.shutdown.cancel();
        self.runtime.block_on(stack.ended()).unwrap();
    }

    /// Starts them again at the same addresses, with the same data.
    pub fn start_again(&mut self) {
        self.stack = Some(self.runtime.block_on(stack(self.folder.path(), self.listen)));
    }

    /// A file with a token for one of these roles.
    pub fn token(&self, name: &str, role: Role) -> PathBuf {
        let issuer = &self.stack.as_ref().unwrap().issuer;
        let path = self.folder.path().join(format!("{name}.token"));
        std::fs::write(&path, issuer.issue(&Wanted::new(name, role, Duration::from_secs(3_600))).unwrap())
            .unwrap();
        path
    }

    /// The program, told by its environment where everything is.
    pub fn command(&self, words: &[&str]) -> Command {
        let servers = self.servers();
        let mut command = nightshift(self.folder.path(), words);
        command
            .env("NIGHTSHIFT_CONSOLE", &servers.console)
            .env("NIGHTSHIFT_PLANNER", &servers.planner)
            .env("NIGHTSHIFT_COORDINATORS", servers.coordinators.join(","))
            .env("NIGHTSHIFT_GATEWAY", &servers.gateway)
            .env("NIGHTSHIFT_HEALTH", &servers.health)
            .env("NIGHTSHIFT_TOKEN_FILE", servers.token_file.as_ref().unwrap());
        command
    }

    pub fn said(&self, words: &[&str]) -> Said {
        run(self.command(words))
    }

    /// What it said when it ended well.
    pub fn out(&self, words: &[&str]) -> String {
        let said = self.said(words);
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
        said.out
    }

    pub fn json(&self, words: &[&str]) -> Value {
        let text = self.out(&[words, &["--output", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}: {text}"))
    }

    /// A rollout that has not got far: there are no agents.
    pub fn begin(&self, rollout: &str) {
        self.out(&["rollout", "start", rollout, "--reason", "monthly"]);
        wait_until("the console reads of the rollout", || self.said(&["rollout", "show", rollout]).code == 0);
    }
}

async fn stack(folder: &Path, listen: Listen) -> Stack {
    Stack::start_with(folder.join("data"), Clock::system(), listen, Extras::default()).await.unwrap()
}

impl Drop for Installation {
    fn drop(&mut self) {
        if let Some(stack) = self.stack.take() {
            stack.shutdown.cancel();
            let _ = self.runtime.block_on(stack.ended());
        }
    }
}
