//! The agent's configuration: one TOML file, each value of which the environment may override.
//!
//! `NIGHTSHIFT_AGENT_GATEWAY=https://gateway:7709` overrides `gateway`; a double underscore goes into a table
//! (`NIGHTSHIFT_AGENT_TIMINGS__LONGEST_PACKAGE_SECONDS=600`).

use crate::simulated;
use chrono::Duration;
use figment::Figment;
use figment::providers::{Env, Format, Toml};
use nightshift_domain::VmId;
use nightshift_trust::TrustedKeys;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration as RealDuration;

const ENVIRONMENT: &str = "NIGHTSHIFT_AGENT_";
const DEFAULT_STATE_DIR: &str = "/var/lib/nightshift-agent";

/// What the agent is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The machine's identity in the fleet.
    pub vm: VmId,
    /// Where agent-gateway is: an https URL.
    pub gateway: String,
    /// The one-time token for the enrolment. A new one here makes the agent enrol anew.
    #[serde(default)]
    pub token: Option<String>,
    /// A file with the token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The only authority that is trusted to sign the gateway's certificate: a PEM file, or the PEM text itself.
    pub authority: String,
    /// The public keys of the coordinators whose orders are carried out: a PEM file, or the PEM text itself. The file is
    /// read anew for every order, so that keys can be replaced under a running agent.
    pub order_keys: String,
    /// What must not be forgotten. Absent, a simulated machine keeps it in memory.
    #[serde(default)]
    pub state_dir: Option<PathBuf>,
    /// The package manager.
    #[serde(default)]
    pub back_end: BackEndChoice,
    /// The folder that stands for the machine's `/`.
    #[serde(default = "slash")]
    pub root: PathBuf,
    /// `APT_CONFIG` for everything of apt (apt.conf(5)).
    #[serde(default)]
    pub apt_config: Option<PathBuf>,
    /// The command, with its arguments, that reboots the machine.
    #[serde(default = "shutdown")]
    pub reboot_command: Vec<String>,
    /// How often the gateway hears of the machine's health.
    #[serde(default = "a_minute")]
    pub heartbeat_seconds: u32,
    /// Commands that end with 0 if the machine is well; what the first other one says is the machine's ailment.
    #[serde(default)]
    pub health_commands: Vec<Vec<String>>,
    /// How long one health command may take.
    #[serde(default = "ten")]
    pub health_command_seconds: u32,
    /// Commands that a policy's probes may have run, by the names that policies know them by. No policy can run another.
    #[serde(default)]
    pub probe_commands: BTreeMap<String, Vec<String>>,
    /// Hosts that a policy's probes may reach besides the machine itself, by the names or addresses that probes give them.
    #[serde(default)]
    pub probe_targets: Vec<String>,
    /// With less space than that on its disk the machine is ill.
    #[serde(default = "sixty_four")]
    pub least_free_mebibytes: u32,
    /// The longest wait between two tries to reach the gateway, by the machine's own clock.
    #[serde(default = "five_minutes")]
    pub reconnect_at_most_milliseconds: u32,
    /// How long things take.
    #[serde(default)]
    pub timings: Timings,
    /// What a simulated machine is like.
    #[serde(default)]
    pub simulated: simulated::Settings,
}

/// Which package manager the agent works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackEndChoice {
    /// The one that is found.
    #[default]
    Auto,
    /// Debian's.
    Apt,
    /// Red Hat's; yum where there is no dnf.
    Dnf,
    /// SUSE's.
    Zypper,
    /// Windows Update.
    Windows,
    /// None: a machine that only seems to be one.
    Simulated,
}

/// How long things take: an install starts only where it can end in time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timings {
    /// The average install of one package.
    pub average_package_seconds: u32,
    /// The longest install of one package; so much time must be left for the first of a batch.
    pub longest_package_seconds: u32,
    /// What is kept back for a reboot, and how long the machine may take for it.
    pub reboot_seconds: u32,
    /// An install that is silent for so long is told as stuck.
    pub stuck_seconds: u32,
}

impl Default for Timings {
    /// What Azure's agent found by telemetry for apt.
    fn default() -> Self {
        Self {
            average_package_seconds: 90,
            longest_package_seconds: 300,
            reboot_seconds: 900,
            stuck_seconds: 1_800,
        }
    }
}

impl Timings {
    pub(crate) fn longest_package(&self) -> Duration {
        Duration::seconds(self.longest_package_seconds.into())
    }

    pub(crate) fn reboot(&self) -> Duration {
        Duration::seconds(self.reboot_seconds.into())
    }

    pub(crate) fn stuck(&self) -> Duration {
        Duration::seconds(self.stuck_seconds.into())
    }
}

/// A configuration that cannot be used; the sentence names the field and its value.
#[derive(Debug, thiserror::Error)]
#[error("{from}: {what}")]
pub struct InvalidConfig {
    from: String,
    what: String,
}

impl Config {
    /// For a simulated machine that keeps everything in memory.
    pub fn simulated(
        vm: VmId,
        gateway: impl Into<String>,
        token: impl Into<String>,
        authority_pem: impl Into<String>,
        order_keys_pem: impl Into<String>,
    ) -> Self {
        Self {
            vm,
            gateway: gateway.into(),
            token: Some(token.into()),
            token_file: None,
            authority: authority_pem.into(),
            order_keys: order_keys_pem.into(),
            state_dir: None,
            back_end: BackEndChoice::Simulated,
            root: slash(),
            apt_config: None,
            reboot_command: shutdown(),
            heartbeat_seconds: a_minute(),
            health_commands: Vec::new(),
            health_command_seconds: ten(),
            probe_commands: BTreeMap::new(),
            probe_targets: Vec::new(),
            least_free_mebibytes: sixty_four(),
            reconnect_at_most_milliseconds: five_minutes(),
            timings: Timings::default(),
            simulated: simulated::Settings::default(),
        }
    }

    /// For a machine that is only to be looked at: no server, no identity, and what is needed for a moment in this
    /// folder.
    pub fn local(folder: &Path) -> Result<Self, InvalidConfig> {
        let vm = VmId::new("local")
            .map_err(|error| InvalidConfig { from: "local".into(), what: error.to_string() })?;
        let mut config = Self::simulated(vm, "https://localhost", "", "", "");
        config.back_end = BackEndChoice::Auto;
        config.state_dir = Some(folder.to_owned());
        Ok(config)
    }

    /// Reads the file and the environment's overrides.
    pub fn load(path: &Path) -> Result<Self, InvalidConfig> {
        let from = path.display().to_string();
        if !path.is_file() {
            return Err(InvalidConfig { from, what: "there is no such file".into() });
        }
        let figment =
            Figment::new().merge(Toml::file_exact(path)).merge(Env::prefixed(ENVIRONMENT).split("__"));
        let config: Self =
            figment.extract().map_err(|error| InvalidConfig { from: from.clone(), what: sentence(error) })?;
        config.validate().map_err(|what| InvalidConfig { from, what })?;
        Ok(config)
    }

    /// Checks what the types alone cannot; the sentence names the field and its value.
    pub fn validate(&self) -> Result<(), String> {
        if !self.gateway.starts_with("https://") || self.gateway.parse::<tonic::transport::Uri>().is_err() {
            return Err(format!("`gateway`: \"{}\" is not an https URL", self.gateway));
        }
        if self.token.is_some() && self.token_file.is_some() {
            return Err("`token`, `token_file`: give one of them, not both".into());
        }
        let commands = std::iter::once(("reboot_command", &self.reboot_command))
            .chain(self.health_commands.iter().map(|argv| ("health_commands", argv)))
            .chain(self.probe_commands.values().map(|argv| ("probe_commands", argv)));
        for (field, argv) in commands {
            if argv.first().is_none_or(|program| program.is_empty()) {
                return Err(format!("`{field}`: {argv:?} names no program"));
            }
        }
        let times = [
            ("heartbeat_seconds", self.heartbeat_seconds),
            ("health_command_seconds", self.health_command_seconds),
            ("reconnect_at_most_milliseconds", self.reconnect_at_most_milliseconds),
            ("timings.longest_package_seconds", self.timings.longest_package_seconds),
            ("timings.stuck_seconds", self.timings.stuck_seconds),
        ];
        match times.iter().find(|(_, value)| *value == 0) {
            Some((field, value)) => Err(format!("`{field}`: {value}: must be 1 or more")),
            None => Ok(()),
        }
    }

    /// The token for the enrolment, if one was given.
    pub(crate) fn enrolment_token(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.token_file else { return Ok(self.token.clone()) };
        match fs::read_to_string(path) {
            Ok(token) => Ok(Some(token.trim().to_owned())),
            // Whoever enrolled may remove the token: it is used up.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("`token_file`: {}: {error}", path.display())),
        }
    }

    /// The authority's certificate.
    pub(crate) fn authority_pem(&self) -> Result<String, String> {
        if self.authority.contains("-----BEGIN CERTIFICATE-----") {
            return Ok(self.authority.clone());
        }
        fs::read_to_string(&self.authority)
            .map_err(|error| format!("`authority`: {}: {error}", self.authority))
    }

    /// The keys of the coordinators whose orders are carried out.
    pub(crate) fn order_keys(&self) -> Result<TrustedKeys, String> {
        let failed = |error: &dyn std::fmt::Display| format!("`order_keys`: {}: {error}", self.order_keys);
        if self.order_keys.contains("-----BEGIN") {
            return TrustedKeys::parse(&self.order_keys).map_err(|error| format!("`order_keys`: {error}"));
        }
        let text = fs::read_to_string(&self.order_keys).map_err(|error| failed(&error))?;
        TrustedKeys::parse(&text).map_err(|error| failed(&error))
    }

    /// The folder of what must not be forgotten; `None` for a simulated machine without one.
    pub(crate) fn state_folder(&self) -> Option<PathBuf> {
        match (&self.state_dir, self.back_end) {
            (Some(folder), _) => Some(folder.clone()),
            (None, BackEndChoice::Simulated) => None,
            (None, _) => Some(PathBuf::from(DEFAULT_STATE_DIR)),
        }
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::seconds(self.heartbeat_seconds.into())
    }

    pub(crate) fn longest_backoff(&self) -> RealDuration {
        RealDuration::from_millis(self.reconnect_at_most_milliseconds.into())
    }
}

/// All that is wrong, one clause each: the field, and what was found there.
fn sentence(errors: figment::Error) -> String {
    let clauses = errors.into_iter().map(|error| {
        let field = error.path.join(".");
        let place = if field.is_empty() { String::new() } else { format!("`{field}`: ") };
        format!("{place}{}", error.kind)
    });
    clauses.collect::<Vec<_>>().join("; ")
}

fn slash() -> PathBuf {
    PathBuf::from("/")
}

fn shutdown() -> Vec<String> {
    ["/sbin/shutdown", "-r", "now"].map(str::to_owned).to_vec()
}

fn a_minute() -> u32 {
    60
}

fn ten() -> u32 {
    10
}

fn sixty_four() -> u32 {
    64
}

fn five_minutes() -> u32 {
    300_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        vm = "web-1"
        gateway = "https://gateway:7709"
        token = "secret"
        authority = "/etc/nightshift/authority.pem"
        order_keys = "/etc/nightshift/order-keys.pem"
        back_end = "apt"
        health_commands = [["systemctl", "is-active", "nginx"]]
        [timings]
        longest_package_seconds = 600
    "#;

    fn read(text: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Config::load(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_good_file_is_read_and_the_rest_has_defaults() {
        let config = read(GOOD).unwrap();
        assert_eq!(config.timings.longest_package_seconds, 600);
        assert_eq!(config.timings.average_package_seconds, 90);
        assert_eq!(config.reboot_command, ["/sbin/shutdown", "-r", "now"]);
        assert_eq!(config.state_folder().unwrap(), Path::new(DEFAULT_STATE_DIR));
    }

    #[test]
    fn each_wrong_field_is_named_with_its_value() {
        let cases = [
            (GOOD.replace("web-1", "Web 1"), "vm", "Web 1"),
            (GOOD.replace("https://gateway", "http://gateway"), "gateway", "http://gateway:7709"),
            (GOOD.replace("\"apt\"", "\"yum\""), "back_end", "yum"),
            (GOOD.replace("token =", "tocen ="), "tocen", "token"),
            (GOOD.replace("[[\"systemctl\", \"is-active\", \"nginx\"]]", "[[]]"), "health_commands", "[]"),
            (GOOD.replace("= 600", "= 0"), "longest_package_seconds", "0"),
            (GOOD.replace("back_end", "token_file = \"/x\"\nback_end"), "token_file", "both"),
        ];
        for (text, field, value) in cases {
            let error = read(&text).unwrap_err();
            assert!(error.contains(field) && error.contains(value), "{error}");
        }
    }
}
