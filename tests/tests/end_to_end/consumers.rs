//! Consumers of the event stream as others write them, with what we show them: killed again and again, and at the end they
//! have the log, nothing less and nothing twice.

use crate::demo::binary;
use crate::five::{Five, broker};
use crate::fleet;
use crate::real_run::{alone, runtime};
use nightshift_cli::arguments::Servers;
use nightshift_cli::{clients, fleet_file};
use nightshift_domain::policy::Policy;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::events::v1 as wire;
use nightshift_protocol::json::event_json;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How often each is killed.
const DEATHS: usize = 8;
/// Machines that are declared together, again and again while consumers read and die: then a death finds one with some
/// events stored, some only fetched, and new ones coming before those are sent again.
const LOT: usize = 5;
const BETWEEN_LOTS: Duration = Duration::from_millis(15);
/// How long after an event was stored a consumer is killed at most.
const MOMENT: u64 = 30;
/// Everything a consumer is waited for comes within this time, or the test fails.
const LONGEST: Duration = Duration::from_secs(60);

/// An event as a consumer has it: stream, position, id, type, and its data as JSON.
type Row = (String, u64, String, String, Value);

struct Consumer {
    name: &'static str,
    command: Box<dyn Fn() -> Command>,
    rows: Box<dyn Fn() -> Vec<Row>>,
    process: Child,
    /// What it says: the streams and how far it is in them.
    lines: Receiver<(String, u64)>,
    seen: BTreeMap<String, u64>,
}

#[test]
fn consumers_in_python_and_rust_that_are_killed_have_every_event_once() {
    let _alone = alone();
    let seed = std::env::var("NIGHTSHIFT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| rand::rng().random());
    println!("NIGHTSHIFT_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let (nats, users) = broker(folder.path(), &["warehouse", "archive"]);
    let five = Five::start(folder.path(), &nats.url(), &users);
    runtime().block_on(async {
        five.ready().await;
        let servers = &five.servers;
        declare(servers, 0, 1).await;
        let mut consumers =
            [in_python(folder.path(), &nats.url(), &users), in_rust(folder.path(), &nats.url(), &users)];
        let over = Arc::new(AtomicBool::new(false));
        let (asked, told) = (servers.clone(), over.clone());
        let written = tokio::spawn(async move {
            let mut lots = 0;
            while !told.load(Ordering::Relaxed) {
                lots += 1;
                declare(&asked, lots, LOT).await;
                tokio::time::sleep(BETWEEN_LOTS).await;
            }
            lots * LOT
        });
        for _ in 0..DEATHS {
            for consumer in &mut consumers {
                consumer.until(consumer.seen.values().sum::<u64>() + rng.random_range(1..60));
                std::thread::sleep(Duration::from_millis(rng.random_range(0..MOMENT)));
                consumer.kill9_and_start();
            }
        }
        over.store(true, Ordering::Relaxed);
        let written = written.await.unwrap();
        start_rollout(servers).await;
        let log = log(servers).await;
        println!("{} events", log.len());
        assert!(log.len() > written);
        for consumer in &mut consumers {
            consumer.until_it_has(&log);
            let mut rows = (consumer.rows)();
            rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
            assert_eq!(rows.len(), log.len(), "{}: nothing lost, nothing twice", consumer.name);
            for (has, is) in rows.into_iter().zip(&log) {
                let has = (has.0, has.1, has.2, has.3, with_moments_alike(has.4));
                let is = (is.0.clone(), is.1, is.2.clone(), is.3.clone(), with_moments_alike(is.4.clone()));
                assert_eq!(has, is, "{}", consumer.name);
            }
        }
        let (whole, said) = chains(&folder.path().join("warehouse.sqlite"));
        assert!(whole && said.starts_with(&format!("{} events in ", log.len())), "{said}");
    });
    let (whole, said) = chains(&tampered(&folder.path().join("warehouse.sqlite")));
    assert!(!whole && said.starts_with("nightshift_fleet 5: the one before it"), "{said}");
}

/// What the example says that proves the kept chains.
fn chains(table: &Path) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python/chains.py");
    let output = Command::new(python()).arg(script).arg(table).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// The table, in which somebody moved an event by a nanosecond.
fn tampered(table: &Path) -> PathBuf {
    let altered = "import sqlite3, sys\n\
                   with sqlite3.connect(sys.argv[1]) as table:\n\
                   \x20   where = \"WHERE stream = 'nightshift_fleet' AND position = 4\"\n\
                   \x20   [(time,)] = table.execute(f'SELECT time FROM events {where}')\n\
                   \x20   last = str((int(time[-2]) + 1) % 10)\n\
                   \x20   table.execute(f'UPDATE events SET time = ? {where}', [time[:-2] + last + 'Z'])";
    let output = Command::new(python()).args(["-c", altered]).arg(table).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    table.to_owned()
}

/// So many more VMs in two regions, each with the number of its round.
pub async fn declare(servers: &Servers, round: usize, count: usize) {
    let mut file = String::new();
    for region in ["west", "east"] {
        let _infallible = write!(file, "[[region]]\nname = \"{region}\"\ntime_zone = \"Europe/Berlin\"\n");
    }
    file += "[[subscription]]\nname = \"web\"\nfeatures = [\"InGuestAutoPatchVMPreview\", \"InGuestPatchVMPreview\"]\n";
    let mut request = fleet_file::parse(&file).unwrap().request();
    request.vms = (0..count).map(|number| vm(round, number)).collect();
    clients::fleet(servers).await.unwrap().declare_fleet(request).await.unwrap();
}

fn vm(round: usize, number: usize) -> wire::Vm {
    let region = ["west", "east"][number % 2];
    (&fleet::vm(format!("vm-{round}-{number}"), "web".into(), "group".into(), region)).into()
}

/// The partitions of rollouts and of a region get their streams only now, while the consumers run.
async fn start_rollout(servers: &Servers) {
    let actor = wire::Actor { name: "test".into(), reason: "something to read about".into() };
    let request = api::StartRolloutRequest {
        rollout: "november".into(),
        idempotency_key: "so-that-an-event-has-one".into(),
        policy: Some((&Policy::default()).into()),
        actor: Some(actor),
    };
    clients::rollouts(servers).await.unwrap().start_rollout(request).await.unwrap();
    let token = api::IssueEnrolmentTokensRequest {
        vms: vec!["vm-1-0".into(), "vm-1-1".into()],
        ..Default::default()
    };
    clients::agents(servers).await.unwrap().issue_enrolment_tokens(token).await.unwrap();
}

/// The log as the console has it, once nothing more comes.
async fn log(servers: &Servers) -> Vec<Row> {
    let mut rows = read(servers).await;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let again = read(servers).await;
        if again.len() == rows.len() {
            return again;
        }
        rows = again;
    }
}

async fn read(servers: &Servers) -> Vec<Row> {
    let mut console = clients::console(servers).await.unwrap();
    let listed = console.list_partitions(api::ListPartitionsRequest::default()).await.unwrap().into_inner();
    let mut rows = Vec::new();
    for partition in listed.partitions {
        let stream = format!("nightshift_{}", partition.replace('.', "_"));
        let request = api::ReadEventsRequest { partition, after: 0, follow: false, from: None };
        let mut events = console.read_events(request).await.unwrap().into_inner();
        while let Some(event) = events.message().await.unwrap() {
            let envelope = Envelope::try_from(event.envelope.unwrap()).unwrap();
            let data = event_json(&envelope).unwrap()["data"].clone();
            rows.push((stream.clone(), event.position, envelope.id, envelope.event_type, data));
        }
    }
    rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    rows
}

/// Our JSON ends a moment with +00:00, Python's protobuf with Z: both are RFC 3339.
fn with_moments_alike(value: Value) -> Value {
    match value {
        Value::String(text) => match text.strip_suffix("+00:00") {
            Some(moment) if moment.contains('T') => format!("{moment}Z").into(),
            _ => text.into(),
        },
        Value::Array(values) => values.into_iter().map(with_moments_alike).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, with_moments_alike(value))).collect()
        }
        other => other,
    }
}

/// Python with what the consumer needs, of `cargo xtask tools`.
fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/event-stream/bin/python")
}

fn in_python(folder: &Path, nats: &str, users: &Path) -> Consumer {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = python();
    let generated = folder.join("generated");
    std::fs::create_dir_all(&generated).unwrap();
    let contract = std::fs::read_dir(root.join("proto/nightshift/events/v1")).unwrap();
    let mut protoc = Command::new(&python);
    protoc.args(["-m", "grpc_tools.protoc", "-I"]).arg(root.join("proto"));
    protoc.arg(format!("--python_out={}", generated.display()));
    let made = protoc.args(contract.map(|file| file.unwrap().path())).output();
    let made = made.unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask tools`", python.display()));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let database = folder.join("warehouse.sqlite");
    let (nats, seed) = (nats.to_owned(), users.join("warehouse.nk"));
    let (script, table) = (root.join("examples/python/consumer.py"), database.clone());
    let interpreter = python.clone();
    let command = move || {
        let mut command = Command::new(&interpreter);
        command.env("PYTHONPATH", &generated).arg(&script).arg(&nats).arg("warehouse");
        command.arg(&seed).arg(&database);
        command
    };
    Consumer::start("python", Box::new(command), Box::new(move || rows_of_table(&python, &table)))
}

fn rows_of_table(python: &Path, table: &Path) -> Vec<Row> {
    let dump = "import json, sqlite3, sys\n\
                for row in sqlite3.connect(sys.argv[1]).execute('SELECT stream, position, id, type, data FROM events'):\n\
                \x20   print(json.dumps(row))";
    let output = Command::new(python).args(["-c", dump]).arg(table).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |line: &str| {
        let (stream, position, id, kind, data): (String, u64, String, String, String) =
            serde_json::from_str(line).unwrap();
        (stream, position, id, kind, serde_json::from_str(&data).unwrap())
    };
    text.lines().map(row).collect()
}

fn in_rust(folder: &Path, nats: &str, users: &Path) -> Consumer {
    let program = binary("examples/consumer");
    let file = folder.join("archive.jsonl");
    let (nats, seed, archive) = (nats.to_owned(), users.join("archive.nk"), file.clone());
    let command = move || {
        let mut command = Command::new(&program);
        command.arg(&nats).arg("archive").arg(&seed).arg(&file);
        command
    };
    Consumer::start("rust", Box::new(command), Box::new(move || rows_of_file(&archive)))
}

fn rows_of_file(file: &PathBuf) -> Vec<Row> {
    let text = std::fs::read_to_string(file).unwrap();
    let row = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let event = &line["event"];
        let position = line["position"].as_u64().unwrap();
        (word(&line["stream"]), position, word(&event["id"]), word(&event["type"]), event["data"].clone())
    };
    text.lines().map(row).collect()
}

impl Consumer {
    fn start(name: &'static str, command: Box<dyn Fn() -> Command>, rows: Box<dyn Fn() -> Vec<Row>>) -> Self {
        let (process, lines) = spawn(&command);
        Self { name, command, rows, process, lines, seen: BTreeMap::new() }
    }

    fn kill9_and_start(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        // What it had said before it was killed.
        while let Ok((stream, position)) = self.lines.recv() {
            self.seen.insert(stream, position);
        }
        (self.process, self.lines) = spawn(&self.command);
    }

    /// Listens until it has so many events.
    fn until(&mut self, enough: u64) {
        let end = Instant::now() + LONGEST;
        while self.seen.values().sum::<u64>() < enough {
            let left = end.saturating_duration_since(Instant::now());
            let said = self.lines.recv_timeout(left);
            let (stream, position) =
                said.unwrap_or_else(|_| panic!("{} is silent or dead after {:?}", self.name, self.seen));
            self.seen.insert(stream, position);
        }
    }

    fn until_it_has(&mut self, log: &[Row]) {
        let mut wanted = BTreeMap::new();
        for (stream, position, ..) in log {
            wanted.insert(stream.clone(), *position);
        }
        let end = Instant::now() + LONGEST;
        while self.seen != wanted {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok((stream, position)) => drop(self.seen.insert(stream, position)),
                // What it wrote just before it was killed it did not say.
                Err(_) => break,
            }
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(command: &dyn Fn() -> Command) -> (Child, Receiver<(String, u64)>) {
    let mut process = command().stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let (says, lines) = channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let (stream, position) = line.split_once(' ').unwrap();
            if says.send((stream.to_owned(), position.parse().unwrap())).is_err() {
                return;
            }
        }
    });
    (process, lines)
}
