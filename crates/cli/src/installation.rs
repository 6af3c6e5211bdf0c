//! Which installation is meant, and where each of its addresses is from: the command line, the environment, the context,
//! what `nightshift up` left in ./nightshift-data, or its usual addresses; the first that says something counts.

mod contexts;
#[cfg(test)]
mod tests;

pub(crate) use contexts::{ContextFile, Contexts, Entry, is_name};

use crate::arguments::{DATA, Flags, Servers};
use crate::failure::Failure;
use crate::fleet_file::Source;
use crate::stack::ADMIN_TOKEN;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The file in the data folder of `nightshift up` that says where it answers.
const LEFT_HERE: &str = "context.toml";

/// Something that has to be known of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// The console's address.
    Console,
    /// The rollout-planner's address.
    Planner,
    /// The region-coordinators' addresses.
    Coordinators,
    /// The agent-gateway's address.
    Gateway,
    /// The health-monitor's address.
    Health,
    /// The file with the caller's token, or the token itself.
    Token,
    /// The authority that vouches for https addresses.
    Ca,
}

impl Setting {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Console,
        Self::Planner,
        Self::Coordinators,
        Self::Gateway,
        Self::Health,
        Self::Token,
        Self::Ca,
    ];

    /// As the command line has it.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Console => "--console",
            Self::Planner => "--planner",
            Self::Coordinators => "--coordinators",
            Self::Gateway => "--gateway",
            Self::Health => "--health",
            Self::Token => "--token-file",
            Self::Ca => "--ca",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Console => "NIGHTSHIFT_CONSOLE",
            Self::Planner => "NIGHTSHIFT_PLANNER",
            Self::Coordinators => "NIGHTSHIFT_COORDINATORS",
            Self::Gateway => "NIGHTSHIFT_GATEWAY",
            Self::Health => "NIGHTSHIFT_HEALTH",
            Self::Token => "NIGHTSHIFT_TOKEN_FILE",
            Self::Ca => "NIGHTSHIFT_CA",
        }
    }
}

/// The environment's token itself, beside its file.
const TOKEN: &str = "NIGHTSHIFT_TOKEN";
/// The environment's context.
const CONTEXT: &str = "NIGHTSHIFT_CONTEXT";

/// Where a value is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origin {
    /// What `nightshift up` has if nobody says otherwise.
    #[default]
    Usual,
    /// An option of the command line.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// The context of this name.
    Context(String),
    /// This file: the contexts', or the one that `nightshift up` left.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("the default"),
            Self::Flag(flag) => f.write_str(flag),
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::Context(name) => write!(f, "context \"{name}\""),
            Self::File(path) => f.write_str(&path.display().to_string()),
        }
    }
}

/// Where each value is from; what is not in it is the default.
#[derive(Debug, Clone, Default)]
pub struct Origins(BTreeMap<Setting, Origin>);

impl Origins {
    /// Where this one is from.
    pub fn of(&self, setting: Setting) -> Origin {
        self.0.get(&setting).cloned().unwrap_or_default()
    }
}

/// The installation that is meant.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where it answers.
    pub(crate) servers: Servers,
    /// The context that counts, and who chose it; none if there is none.
    pub(crate) context: Option<(String, Origin)>,
}

/// Finds the installation that is meant here.
pub(crate) fn find(flags: &Flags) -> anyhow::Result<Found> {
    let file = ContextFile::usual();
    let contexts = file.as_ref().map(ContextFile::read).transpose()?.unwrap_or_default();
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let chosen = choose(flags, &variable, &contexts)?;
    let layer = match &chosen {
        Some((name, _)) => contexts.entry(name).map(|entry| (entry, Origin::Context(name.clone()))),
        // A context's installation is never asked with the token of another one that happens to be here.
        None => left_here(Path::new(DATA))?.map(|(entry, path)| (entry, Origin::File(path))),
    };
    Ok(Found { servers: resolve(flags, &variable, layer)?, context: chosen })
}

/// The context that counts, and who says so.
fn choose(
    flags: &Flags,
    variable: &impl Fn(&str) -> Option<String>,
    contexts: &Contexts,
) -> anyhow::Result<Option<(String, Origin)>> {
    let chosen = match (&flags.context, variable(CONTEXT), contexts.current()) {
        (Some(name), ..) => Some((name.clone(), Origin::Flag("--context"))),
        (None, Some(name), _) => Some((name, Origin::Variable(CONTEXT))),
        (None, None, Some(name)) => Some((name.to_owned(), Origin::File(contexts.file()))),
        (None, None, None) => None,
    };
    match chosen {
        Some((name, origin)) if contexts.entry(&name).is_none() => {
            Err(contexts.unknown(&name, &origin).into())
        }
        chosen => Ok(chosen),
    }
}

/// Puts the layers over each other.
fn resolve(
    flags: &Flags,
    variable: &impl Fn(&str) -> Option<String>,
    layer: Option<(Entry, Origin)>,
) -> anyhow::Result<Servers> {
    let (entry, origin) = layer.unwrap_or_default();
    let mut origins = Origins::default();
    let mut pick = |setting: Setting, said: Option<String>, remembered: Option<String>| {
        let asked = variable(setting.variable());
        let (value, from) = match (said, asked, remembered) {
            (Some(value), ..) => (value, Origin::Flag(setting.flag())),
            (None, Some(value), _) => (value, Origin::Variable(setting.variable())),
            (None, None, Some(value)) => (value, origin.clone()),
            (None, None, None) => return None,
        };
        origins.0.insert(setting, from);
        Some(value)
    };
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let list = |addresses: &[String]| (!addresses.is_empty()).then(|| addresses.join(","));
    let usual = Servers::default();
    let console = pick(Setting::Console, flags.console.clone(), entry.console).unwrap_or(usual.console);
    let planner = pick(Setting::Planner, flags.planner.clone(), entry.planner).unwrap_or(usual.planner);
    let coordinators = pick(Setting::Coordinators, list(&flags.coordinators), list(&entry.coordinators));
    let coordinators = coordinators.map(|list| list.split(',').map(|one| one.trim().to_owned()).collect());
    let gateway = pick(Setting::Gateway, flags.gateway.clone(), entry.gateway).unwrap_or(usual.gateway);
    let health = pick(Setting::Health, flags.health.clone(), entry.health).unwrap_or(usual.health);
    let ca = pick(Setting::Ca, path(&flags.ca), path(&entry.ca)).map(PathBuf::from);
    // The token itself, of the environment, comes after its file of the environment and before what is remembered.
    let own = pick(Setting::Token, path(&flags.token_file), None).map(PathBuf::from);
    let token = variable(TOKEN).filter(|_| own.is_none());
    let token_file = match (&own, &token) {
        (None, None) => pick(Setting::Token, None, path(&entry.token_file)).map(PathBuf::from),
        _ => own,
    };
    if token.is_some() {
        origins.0.insert(Setting::Token, Origin::Variable(TOKEN));
    }
    let coordinators = coordinators.unwrap_or(usual.coordinators);
    Ok(Servers { console, planner, coordinators, gateway, health, token_file, token, ca, origins })
}

/// What `nightshift up` left in its folder, and in which file; of an older one, its token alone.
pub(crate) fn left_here(data: &Path) -> anyhow::Result<Option<(Entry, PathBuf)>> {
    let (path, token) = (data.join(LEFT_HERE), data.join(ADMIN_TOKEN));
    if path.is_file() {
        let source = Source::read(&path)?;
        let entry: Entry = source.parse()?;
        entry.check(&source, "")?;
        return Ok(Some((entry.beside(data), path)));
    }
    let entry = Entry { token_file: Some(token.clone()), ..Entry::default() };
    Ok(token.is_file().then_some((entry, token)))
}

/// Leaves in the folder of `nightshift up` where it answers.
pub fn leave_here(data: &Path, servers: &Servers) -> anyhow::Result<()> {
    let beside =
        |path: &Option<PathBuf>| path.as_ref().map(|path| path.strip_prefix(data).unwrap_or(path).into());
    let entry = Entry {
        console: Some(servers.console.clone()),
        planner: Some(servers.planner.clone()),
        coordinators: servers.coordinators.clone(),
        gateway: Some(servers.gateway.clone()),
        health: Some(servers.health.clone()),
        token_file: beside(&servers.token_file),
        ca: beside(&servers.ca),
    };
    contexts::write_whole(&data.join(LEFT_HERE), &toml::to_string(&entry)?)
}

/// Refuses what is no address.
pub(crate) fn check_address(address: &str) -> Result<(), String> {
    let uri: Result<tonic::transport::Uri, _> = address.parse();
    let fits =
        uri.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if fits {
        Ok(())
    } else {
        Err(format!("\"{address}\" is no address: write http://host:port or https://host:port"))
    }
}

/// Refuses addresses of the command line or the environment that are none.
pub(crate) fn check(servers: &Servers, setting: Setting, address: &str) -> Result<(), Failure> {
    let from = servers.origins.of(setting);
    check_address(address)
        .map_err(|wrong| Failure::usage(format!("{wrong} (from {from})")).next("nightshift context show"))
}
