//! A service's configuration: one TOML file, each value of which the environment may override.
//!
//! `NIGHTSHIFT_LISTEN=0.0.0.0:7701` overrides `listen`; a double underscore goes into a table
//! (`NIGHTSHIFT_LOG__STORE=nats`).

use crate::access;
use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The prefix of the environment's overrides.
const ENVIRONMENT: &str = "NIGHTSHIFT_";

/// Variables of the same prefix that are for the command line or the tests. Any other that fits no field is an error.
const NOT_OURS: [&str; 10] = [
    "config",
    "console",
    "planner",
    "gateway",
    "health",
    "token",
    "token_file",
    "nats_server",
    "seed",
    "bless",
];

/// What every service is told; `S` is what only this one is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config<S> {
    /// Where people's and programs' gRPC is served.
    pub listen: SocketAddr,
    /// With what certificate the doors for people and programs are served over TLS, HTTP as well as gRPC; in the clear if
    /// absent. The files may be renewed at any time.
    pub tls: Option<TlsIdentity>,
    /// The service's own folder: its snapshot, and its keys if it has any.
    pub data: PathBuf,
    /// The event log.
    pub log: Log,
    /// Whose tokens are believed; without, nobody is told from anybody and the service keeps to the loopback address.
    #[serde(default)]
    pub access: access::Settings,
    /// What the service tells of itself.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// What only this service is told.
    #[serde(default)]
    pub service: S,
}

/// Where the event log is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, tag = "store", rename_all = "lowercase")]
pub enum Log {
    /// NATS JetStream.
    Nats {
        /// For example `["nats://127.0.0.1:4222"]`.
        servers: Vec<String>,
        /// Copies of each partition: 3 where there are three servers.
        #[serde(default = "one")]
        replicas: usize,
        /// Who the service is to NATS; whom the servers' URLs name if absent.
        login: Option<Login>,
        /// How the connection is protected; as the servers' URLs say (`tls://`) if absent.
        tls: Option<Tls>,
    },
    /// A folder of this machine; for one process only (`nightshift up`).
    Sled {
        /// The folder.
        path: PathBuf,
    },
}

/// Who a service is to NATS: the server's configuration gives each its own subjects to write.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Login {
    /// A file with the seed of its nkey, as `nightshift nats-users` writes it.
    NkeySeed(PathBuf),
    /// A credentials file (JWT and seed), as operators of decentralised NATS accounts hand out.
    Credentials(PathBuf),
}

/// How the connection to NATS is protected.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The authorities that may vouch for the server, in PEM; the system's if absent.
    pub authorities: Option<PathBuf>,
    /// The service's certificate with its key, where the server asks for one.
    pub identity: Option<TlsIdentity>,
}

/// A certificate and its key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsIdentity {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// What a service tells of itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Which log lines are written, in the syntax of `RUST_LOG`; `info` if absent.
    pub filter: Option<String>,
    /// Whether lines are written as JSON.
    pub json: bool,
    /// An OTLP collector's gRPC address; traces are exported only if it is given.
    pub otlp: Option<String>,
}

fn one() -> usize {
    1
}

/// A configuration that cannot be used; the sentence names the field and its value.
#[derive(Debug, thiserror::Error)]
#[error("{from}: {what}")]
pub struct InvalidConfig {
    /// The file.
    pub from: String,
    /// What is wrong.
    pub what: String,
}

/// Reads the file and the environment's overrides.
pub fn load<S: DeserializeOwned + Default>(path: &Path) -> Result<Config<S>, InvalidConfig> {
    let from = path.display().to_string();
    if !path.is_file() {
        return Err(InvalidConfig { from, what: "there is no such file".into() });
    }
    let environment = Env::prefixed(ENVIRONMENT).ignore(&NOT_OURS).split("__");
    let figment = Figment::new().merge(Toml::file_exact(path)).merge(environment);
    figment.extract().map_err(|error| InvalidConfig { from, what: sentence(&figment, error) })
}

/// All that is wrong, one clause each: the field, what is wrong, and what was found there.
fn sentence(figment: &Figment, errors: figment::Error) -> String {
    let clauses = errors.into_iter().map(|error| {
        let field = error.path.join(".");
        let found = figment.find_value(&field).ok().and_then(figment::value::Value::into_string);
        let found = found.map(|value| format!(" = \"{value}\"")).unwrap_or_default();
        let place = if field.is_empty() { String::new() } else { format!("`{field}`{found}: ") };
        format!("{place}{}", error.kind)
    });
    clauses.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Own {
        regions: Vec<String>,
    }

    const GOOD: &str = r#"
        listen = "127.0.0.1:7701"
        data = "/tmp/x"
        [log]
        store = "nats"
        servers = ["nats://127.0.0.1:4222"]
        [service]
        regions = ["west"]
    "#;

    fn read(text: &str) -> Result<Config<Own>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_good_file_is_read() {
        let config = read(GOOD).unwrap();
        assert_eq!(config.service.regions, ["west"]);
        assert!(matches!(config.log, Log::Nats { replicas: 1, login: None, .. }));
    }

    #[test]
    fn a_service_may_be_somebody_to_nats() {
        let text = GOOD.replace(
            "[service]",
            "login = { nkey_seed = \"/k\" }\n[log.tls]\nauthorities = \"/a\"\n[service]",
        );
        let Log::Nats { login, tls, .. } = read(&text).unwrap().log else { panic!("no NATS") };
        assert!(matches!(login, Some(Login::NkeySeed(path)) if path == Path::new("/k")));
        assert_eq!(tls.unwrap().authorities, Some("/a".into()));
    }

    #[test]
    fn each_wrong_field_is_named_with_its_value() {
        let cases = [
            (GOOD.replace("127.0.0.1:7701", "somewhere"), "listen", "somewhere"),
            (GOOD.replace("\"nats\"", "\"kafka\""), "log", "kafka"),
            (GOOD.replace("regions = [\"west\"]", "regionz = 1"), "regionz", "regionz"),
            (GOOD.replace("data =", "date ="), "date", "data"),
            (GOOD.replace("[service]", "login = { password = \"x\" }\n[service]"), "password", "nkey_seed"),
        ];
        for (text, field, value) in cases {
            let error = read(&text).unwrap_err();
            assert!(error.contains(field) && error.contains(value), "{error}");
        }
    }
}
