//! The five services as processes of their own, on a real nats-server.

use crate::demo::binary;
use nightshift_cli::arguments::Servers;
use nightshift_event_log::nats_server::NatsServer;
use nightshift_runtime::access::{Issuer, Role, Wanted};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub const NAMES: [&str; 5] =
    ["console", "rollout-planner", "region-coordinator", "health-monitor", "agent-gateway"];

/// A nats-server that lets in the services and these consumers; and the folder with each one's key.
pub fn broker(folder: &Path, consumers: &[&str]) -> (NatsServer, PathBuf) {
    let users = folder.join("users");
    let mut command = Command::new(binary("nightshift"));
    command.arg("nats-users").arg(&users).args(consumers.iter().flat_map(|name| ["--consumer", name]));
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let may = fs::read_to_string(users.join("users.conf")).unwrap();
    (NatsServer::start_with(&folder.join("nats"), &may).unwrap(), users)
}

/// What is looked for, once it is there; it comes in time, or the test fails.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub struct Five {
    services: Vec<Service>,
    pub servers: Servers,
    pub agents: SocketAddr,
    pub http: SocketAddr,
}

struct Service {
    name: &'static str,
    config: PathBuf,
    log: PathBuf,
    process: Child,
}

impl Five {
    /// Each with the NATS user whose key is in this folder.
    pub fn start(folder: &Path, nats: &str, users: &Path) -> Self {
        Self::start_with(folder, nats, users, "")
    }

    /// The same; the console is told more.
    pub fn start_with(folder: &Path, nats: &str, users: &Path, console: &str) -> Self {
        // One issuer, whose public keys all of them have.
        let issuer = Issuer::open(folder).unwrap();
        let keys = folder.join("keys.json");
        fs::write(&keys, serde_json::to_string(&issuer.public_keys()).unwrap()).unwrap();
        let token_file = folder.join("admin.token");
        let admin = Wanted::new("tester", Role::Admin, Duration::from_secs(3_600));
        fs::write(&token_file, issuer.issue(&admin).unwrap()).unwrap();
        let ports = free_ports(7);
        let at = |index: usize| SocketAddr::from(([127, 0, 0, 1], ports[index]));
        let services = (0..).zip(NAMES).map(|(index, name)| {
            let own = match name {
                "agent-gateway" => format!("[service]\nagents_listen = \"{}\"\n", at(5)),
                "console" => {
                    let (http, planner, gateway) = (at(6), at(1), at(4));
                    format!(
                        "[service]\nhttp_listen = \"{http}\"\nowners.planner = \"http://{planner}\"\n\
                         owners.gateway = \"http://{gateway}\"\n{console}"
                    )
                }
                _ => String::new(),
            };
            let data = folder.join(name);
            fs::create_dir_all(&data).unwrap();
            let text = format!(
                "listen = \"{}\"\ndata = \"{}\"\n[access]\nkeys = \"{}\"\n[log]\nstore = \"nats\"\nservers = [\"{nats}\"]\n\
                 login = {{ nkey_seed = \"{}/{name}.nk\" }}\n{own}",
                at(index),
                data.display(),
                keys.display(),
                users.display()
            );
            let (config, log) = (data.join("config.toml"), data.join("output"));
            fs::write(&config, text).unwrap();
            let process = spawn(name, &config, &log);
            Service { name, config, log, process }
        });
        let url = |index: usize| format!("http://{}", at(index));
        let servers = Servers {
            console: url(0),
            planner: url(1),
            coordinators: vec![url(2)],
            gateway: url(4),
            health: url(3),
            token_file: Some(token_file),
            ..Servers::default()
        };
        Self { services: services.collect(), servers, agents: at(5), http: at(6) }
    }

    /// Waits until every service answers.
    pub async fn ready(&self) {
        let servers = &self.servers;
        for address in [&servers.console, &servers.planner, &servers.coordinators[0], &servers.gateway] {
            let mut tries = 0;
            while tonic::transport::Endpoint::from_shared(address.clone()).unwrap().connect().await.is_err() {
                tries += 1;
                assert!(tries < 600, "{address} does not answer:\n{}", self.said());
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }

    /// kill -9, and a new process in its place.
    pub fn kill(&mut self, name: &str) {
        let service = self.services.iter_mut().find(|service| service.name == name).unwrap();
        service.process.kill().unwrap();
        service.process.wait().unwrap();
        service.process = spawn(service.name, &service.config, &service.log);
    }

    /// What the services wrote, for the message of a test that fails.
    pub fn said(&self) -> String {
        let tail = |service: &Service| {
            let text = fs::read_to_string(&service.log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(15).collect();
            format!("--- {}\n{}", service.name, lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        self.services.iter().map(tail).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Five {
    fn drop(&mut self) {
        for service in &mut self.services {
            let _ = service.process.kill();
            let _ = service.process.wait();
        }
    }
}

fn spawn(name: &str, config: &Path, log: &Path) -> Child {
    let output = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(binary(&format!("nightshift-{name}")));
    command.arg("--config").arg(config).stdout(output.try_clone().unwrap()).stderr(output);
    command.spawn().unwrap()
}

/// Ports that are free now. Each is let go just before its service takes it.
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}
