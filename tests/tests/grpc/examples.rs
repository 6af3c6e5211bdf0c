//! The examples for clients, run as people run them, over connections that break.

use crate::world::{World, actor, until};
use nightshift_cli::clients;
use nightshift_protocol::api::v1 as api;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Python with gRPC, of `cargo xtask tools`.
pub fn python() -> PathBuf {
    let python = root().join("target/tools/grpc/bin/python");
    assert!(python.is_file(), "{} is missing: run `cargo xtask tools`", python.display());
    python
}

/// What is between the example and a service: a wire that can be cut.
struct Wire {
    listener: TcpListener,
    service: String,
}

impl Wire {
    async fn to(service: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, service: service.trim_start_matches("https://").to_owned() }
    }

    fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// Carries whatever comes, until it is dropped.
    async fn carry(&self) {
        let mut connections = JoinSet::new();
        loop {
            let (mut client, _) = self.listener.accept().await.unwrap();
            let mut service = TcpStream::connect(&self.service).await.unwrap();
            connections.spawn(async move {
                tokio::io::copy_bidirectional(&mut client, &mut service).await.ok();
            });
        }
    }
}

/// An example that runs.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn of(mut command: Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{error}: run `cargo xtask test`"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that has this word.
    async fn line(&mut self, word: &str) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            told.push(line);
            if told.last().unwrap().contains(word) {
                return told;
            }
        }
        panic!("{word} never came, but {told:?}; {}", self.said().await);
    }

    async fn said(&mut self) -> String {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        said
    }
}

/// Runs an example through everything, over TLS: `command` is given the planner, the console, the token's file and the rollout.
async fn goes_through_it_all(command: impl Fn(&World, &str, &str, &str) -> Command) {
    let world = World::over_tls().await;
    let servers = world.stack.servers.clone();
    let (planner, console) = (Wire::to(&servers.planner).await, Wire::to(&servers.console).await);
    let run = |rollout: &str| command(&world, &planner.address(), &console.address(), rollout);
    let example = async {
        // The planner does not answer the first try.
        let mut running = Running::of(run("nightly"));
        drop(planner.listener.accept().await.unwrap());
        let carried = async {
            let mut told = running.line("ROLLOUT_STATE_RUNNING").await;
            (told.remove(0), running)
        };
        let (first, mut running) = tokio::select! {
            told = carried => told,
            () = planner.carry() => unreachable!(),
            () = console.carry() => unreachable!(),
        };
        assert!(first.starts_with("phase 1: "), "{first}");
        // Now the wires are cut, and the rollout goes on without the example.
        let mut rollouts = clients::rollouts(&servers).await.unwrap();
        let (rollout, actor) = ("nightly".to_owned(), actor());
        let cancel = api::CancelRolloutRequest { rollout, actor, ..Default::default() };
        rollouts.cancel_rollout(cancel).await.unwrap();
        let ended = async {
            running.line("ROLLOUT_STATE_CANCELLED").await;
            let status = running.child.wait().await.unwrap();
            (status, running.said().await)
        };
        let (status, said) = tokio::select! {
            ended = ended => ended,
            () = console.carry() => unreachable!(),
        };
        assert!(status.success() && said.contains("resuming: "), "{said}");
        // A field that is wrong is named.
        let mut running = Running::of(run("A B"));
        let refused = async { (running.child.wait().await.unwrap(), running.said().await) };
        let (status, said) = tokio::select! {
            refused = refused => refused,
            () = planner.carry() => unreachable!(),
        };
        assert!(!status.success() && said.contains("refused: INVALID_FIELD\nrollout: "), "{said}");
    };
    tokio::time::timeout(std::time::Duration::from_secs(120), example).await.expect("it never ended");
    // It was started once, however often it was asked for.
    let mut console = clients::console(&world.stack.servers).await.unwrap();
    let listed = until(async || console.list_rollouts(api::ListRolloutsRequest::default()).await.ok()).await;
    assert_eq!(listed.into_inner().rollouts.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_python() {
    let stubs = tempfile::tempdir().unwrap();
    let protos = root().join("proto");
    // As docs/grpc.md says.
    let script = "find nightshift -name '*.proto' | xargs \"$PYTHON\" -m grpc_tools.protoc -I . --python_out=\"$OUT\" --grpc_python_out=\"$OUT\"";
    let mut made = Command::new("sh");
    made.args(["-c", script]).current_dir(protos).env("PYTHON", python()).env("OUT", stubs.path());
    assert!(made.status().await.unwrap().success());
    goes_through_it_all(|world, planner, console, rollout| {
        let mut command = Command::new(python());
        command.arg(root().join("examples/python/rollout.py")).env("PYTHONPATH", stubs.path());
        command.args(["--planner", planner, "--console", console, rollout, "--token-file"]);
        command.arg(world.stack.servers.token_file.as_ref().unwrap());
        command.arg("--ca").arg(world.stack.servers.ca.as_ref().unwrap());
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_rust() {
    let own = std::env::current_exe().unwrap();
    let example = own.parent().and_then(Path::parent).unwrap().join("nightshift-example");
    goes_through_it_all(|world, planner, console, rollout| {
        let mut command = Command::new(&example);
        command.args([
            "--planner",
            &format!("https://{planner}"),
            "--console",
            &format!("https://{console}"),
        ]);
        command.args([rollout, "--token-file"]).arg(world.stack.servers.token_file.as_ref().unwrap());
        command.arg("--ca").arg(world.stack.servers.ca.as_ref().unwrap());
        command
    })
    .await;
}
