//! The five services as processes of their own, on a real nats-server.

use crate::demo::binary;
use nightshift_cli::arguments::Servers;
use nightshift_cli::clients;
use nightshift_event_log::nats_server::NatsServer;
use nightshift_runtime::access::{Issuer, Role, Wanted};
use nightshift_runtime::config::TlsIdentity;
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
        Self::begin(folder, nats, users, console, None)
    }

    /// The same, over TLS: the certificate that all of them show, and whose clients are to trust.
    pub fn start_over_tls(folder: &Path, nats: &str, users: &Path, tls: (TlsIdentity, PathBuf)) -> Self {
        Self::begin(folder, nats, users, "", Some(tls))
    }

    fn begin(
        folder: &Path,
        nats: &str,
        users: &Path,
        console: &str,
        tls: Option<(TlsIdentity, PathBuf)>,
    ) -> Self {
        // One issuer, whose public keys all of them have.
        let issuer = Issuer::open(folder).unwrap();
        let keys = folder.join("keys.json");
        fs::write(&keys, serde_json::to_string(&issuer.public_keys()).unwrap()).unwrap();
        let token_file = folder.join("admin.token");
        let admin = Wanted::new("tester", Role::Admin, Duration::from_secs(3_600));
        fs::write(&token_file, issuer.issue(&admin).unwrap()).unwrap();
        let ports = free_ports(7);
        let at = |index: usize| SocketAddr::from(([127, 0, 0, 1], ports[index]));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = |index: usize| format!("{scheme}://{}", at(index));
        let (tls, ca) = tls.unzip();
        let tls = tls.map_or_else(String::new, |TlsIdentity { certificate, key }| {
            format!("tls = {{ certificate = \"{}\", key = \"{}\" }}\n", certificate.display(), key.display())
        });
        let services = (0..).zip(NAMES).map(|(index, name)| {
            let own = match name {
                "agent-gateway" => format!("[service]\nagents_listen = \"{}\"\n", at(5)),
                "console" => {
                    let (http, planner, gateway) = (at(6), url(1), url(4));
                    let authority = ca.as_ref().map_or_else(String::new, |path| {
                        format!("owners.authority = \"{}\"\n", path.display())
                    });
                    format!(
                        "[service]\nhttp_listen = \"{http}\"\nowners.planner = \"{planner}\"\n\
                         owners.gateway = \"{gateway}\"\n{authority}{console}"
                    )
                }
                _ => String::new(),
            };
            let data = folder.join(name);
            fs::create_dir_all(&data).unwrap();
            let text = format!(
                "listen = \"{}\"\ndata = \"{}\"\n{tls}[access]\nkeys = \"{}\"\n[log]\nstore = \"nats\"\nservers = [\"{nats}\"]\n\
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
        let services = services.collect();
        let servers = Servers {
            console: url(0),
            planner: url(1),
            coordinators: vec![url(2)],
            gateway: url(4),
            health: url(3),
            token_file: Some(token_file),
            ca,
            ..Servers::default()
        };
        Self { services, servers, agents: at(5), http: at(6) }
    }

    /// Waits until every service answers.
    pub async fn ready(&self) {
        let mut tries = 0;
        while let Err(error) = self.answer().await {
            tries += 1;
            assert!(tries < 600, "{error:#}:\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn answer(&self) -> anyhow::Result<()> {
        let servers = &self.servers;
        clients::console(servers).await?;
        clients::rollouts(servers).await?;
        clients::coordinator(servers, &servers.coordinators[0]).await?;
        clients::agents(servers).await?;
        Ok(())
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
