//! A service's configuration: one TOML file, each value of which the environment may override.
//!
//! `NIGHTSHIFT_LISTEN=0.0.0.0:7701` overrides `listen`; a double underscore goes into a table
//! (`NIGHTSHIFT_LOG__STORE=nats`).

use crate::access;
use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format, Toml};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The prefix of the environment's overrides.
const ENVIRONMENT: &str = "NIGHTSHIFT_";

/// Variables of the same prefix that are for the command line or the tests. Any other that fits no field is an error.
const NOT_OURS: [&str; 13] = [
    "config",
    "context",
    "console",
    "planner",
    "coordinators",
    "gateway",
    "health",
    "token",
    "token_file",
    "ca",
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
#[serde(
    deny_unknown_fields,
    tag = "store",
    rename_all = "lowercase",
    expecting = "a table, for example { store = \"nats\", servers = [\"nats://127.0.0.1:4222\"] }"
)]
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
#[serde(
    deny_unknown_fields,
    rename_all = "snake_case",
    expecting = "{ nkey_seed = \"…\" } or { credentials = \"…\" }, each with a file's path"
)]
pub enum Login {
    /// A file with the seed of its nkey, as `nightshift nats-users` writes it.
    NkeySeed(PathBuf),
    /// A credentials file (JWT and seed), as operators of decentralised NATS accounts hand out.
    Credentials(PathBuf),
}

/// How the connection to NATS is protected.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: { authorities = \"…\", identity = { certificate = \"…\", key = \"…\" } }, each a PEM file"
)]
pub struct Tls {
    /// The authorities that may vouch for the server, in PEM; the system's if absent.
    pub authorities: Option<PathBuf>,
    /// The service's certificate with its key, where the server asks for one.
    pub identity: Option<TlsIdentity>,
}

/// A certificate and its key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table: { certificate = \"…\", key = \"…\" }, both PEM files")]
pub struct TlsIdentity {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// What a service tells of itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a table: { filter = \"info\", json = true, otlp = \"…\" }"
)]
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
    /// The file, or the environment.
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
    let figment = Figment::new().merge(Toml::file_exact(path)).merge(environment.clone());
    figment.extract().map_err(|error| invalid(from, &figment, &environment, error))
}

/// All that is wrong, one clause each: the field, what is wrong, what was found there, and which variables say so.
fn invalid(file: String, figment: &Figment, environment: &Env, errors: figment::Error) -> InvalidConfig {
    let mut all_of_environment = true;
    let clauses = errors.into_iter().map(|error| {
        let field = error.path.join(".");
        let found = figment.find_value(&field).ok().and_then(figment::value::Value::into_string);
        let found = found.map(|value| format!(" = \"{value}\"")).unwrap_or_default();
        let place = if field.is_empty() { String::new() } else { format!("`{field}`{found}: ") };
        let variables = variables(environment, &error);
        all_of_environment &= !variables.is_empty();
        let variables = variables.into_iter().map(|name| format!("{name}: ")).collect::<String>();
        format!("{variables}{place}{}", wrong(error.kind))
    });
    let what = clauses.collect::<Vec<_>>().join("; ");
    InvalidConfig { from: if all_of_environment { "the environment".into() } else { file }, what }
}

/// What is wrong, in words for whoever writes the file.
fn wrong(kind: Kind) -> String {
    let kind = match kind {
        // Our types' names say nothing to them.
        Kind::InvalidType(found, wanted) if wanted.starts_with("struct ") => {
            Kind::InvalidType(found, "a table".into())
        }
        kind => kind,
    };
    // Figment marks what is marked already.
    kind.to_string().replace("``", "`")
}

/// The variables that say something of the field that is wrong, or of what is in it.
fn variables(environment: &Env, error: &figment::Error) -> Vec<String> {
    let mut path = error.path.clone();
    if let Kind::UnknownField(name, _) = &error.kind
        && path.last() != Some(name)
    {
        path.push(name.clone());
    }
    let about = |variable: &str| {
        // Whichever is shorter: a variable may be a whole table, and a table may be wrong for what one variable says.
        let mut parts = path.iter().map(String::as_str).zip(variable.split('.'));
        !path.is_empty() && parts.all(|(field, part)| field == part)
    };
    let named = environment.iter().filter(|(key, _)| about(key.as_str()));
    let mut names: Vec<String> = named
        .map(|(key, _)| format!("{ENVIRONMENT}{}", key.as_str().replace('.', "__").to_ascii_uppercase()))
        .collect();
    names.sort();
    names
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

    /// Where the file is whose reading another process of this test is to tell of.
    const TOLD_FILE: &str = "CONFIG_OF_THIS_TEST";

    /// What becomes of the file in an environment with these variables: in a process of its own, because it is the whole
    /// process's.
    fn read_with(text: &str, variables: &[(&str, &str)]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "config::tests::another_process_tells_what_it_reads", "--nocapture"]);
        command.env(TOLD_FILE, file.path()).envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8(output.stdout).unwrap();
        told.lines().find_map(|line| Some(line.split_once("TOLD: ")?.1.to_owned())).unwrap()
    }

    #[test]
    fn another_process_tells_what_it_reads() {
        let Some(path) = std::env::var_os(TOLD_FILE) else { return };
        match load::<Own>(Path::new(&path)) {
            Ok(config) => println!("TOLD: {} {:?}", config.listen, config.service.regions),
            Err(error) => println!("TOLD: {error}"),
        }
    }

    #[test]
    fn variables_of_the_command_line_stop_no_service() {
        let variables = [
            "NIGHTSHIFT_CONFIG",
            "NIGHTSHIFT_CONTEXT",
            "NIGHTSHIFT_CONSOLE",
            "NIGHTSHIFT_PLANNER",
            "NIGHTSHIFT_COORDINATORS",
            "NIGHTSHIFT_GATEWAY",
            "NIGHTSHIFT_HEALTH",
            "NIGHTSHIFT_TOKEN",
            "NIGHTSHIFT_TOKEN_FILE",
            "NIGHTSHIFT_CA",
        ];
        assert_eq!(read_with(GOOD, &variables.map(|name| (name, "somewhere"))), "127.0.0.1:7701 [\"west\"]");
    }

    #[test]
    fn what_the_environment_says_wrong_is_told_of_the_variable() {
        let cases = [
            (("NIGHTSHIFT_LISTEN", "somewhere"), "NIGHTSHIFT_LISTEN: `listen` = \"somewhere\": "),
            (("NIGHTSHIFT_LISTENS", "somewhere"), "NIGHTSHIFT_LISTENS: "),
            (("NIGHTSHIFT_LOG__STORE", "kafka"), "NIGHTSHIFT_LOG__STORE: `log.store` = \"kafka\": "),
            (("NIGHTSHIFT_TLS__KEYS", "x"), "NIGHTSHIFT_TLS__KEYS: "),
            (
                ("NIGHTSHIFT_SERVICE", "x"),
                "NIGHTSHIFT_SERVICE: `service` = \"x\": invalid type: found string \"x\", expected a table",
            ),
            (
                ("NIGHTSHIFT_SERVICE__REGIONS", "west"),
                "NIGHTSHIFT_SERVICE__REGIONS: `service.regions` = \"west\": ",
            ),
        ];
        for ((name, value), told) in cases {
            let error = read_with(GOOD, &[(name, value)]);
            assert!(error.starts_with(&format!("the environment: {told}")), "{error}");
        }
        // What the file says wrong is still the file's.
        let error = read_with(&GOOD.replace("127.0.0.1:7701", "somewhere"), &[("NIGHTSHIFT_DATA", "/x")]);
        assert!(!error.contains("environment") && error.contains("`listen` = \"somewhere\""), "{error}");
    }

    #[test]
    fn a_value_in_a_table_s_place_is_told_what_to_be() {
        let of_file = |line: &str| read(&format!("{line}\n{GOOD}")).unwrap_err();
        for (line, told) in [
            ("tls = \"x\"", "`tls` = \"x\""),
            ("telemetry = true", "`telemetry`"),
            ("access = \"x\"", "`access` = \"x\""),
        ] {
            let error = of_file(line);
            assert!(error.contains(told) && error.contains("expected a table: {"), "{error}");
        }
        let error = read(&GOOD.replace("[service]", "tls = \"x\"\n[service]")).unwrap_err();
        assert!(error.contains("authorities") && !error.contains("struct"), "{error}");
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
