//! `nightshift context …`

use crate::arguments::{Context, Flags};
use crate::color::Tone;
use crate::exit;
use crate::failure::Failure;
use crate::installation::{self, ContextFile, Contexts, Entry, Found, Setting, is_name};
use crate::output::{Format, print, remark, table, toned};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) fn run(command: Context, flags: &Flags, output: Format) -> anyhow::Result<ExitCode> {
    let file = || {
        ContextFile::usual().ok_or_else(|| {
            Failure::usage("there is no folder for contexts: neither XDG_CONFIG_HOME nor HOME is set")
                .next("export HOME=…")
        })
    };
    match command {
        Context::Add { name, host, from, then_use, replace } => {
            let entry = entry(flags, host.as_deref(), from.as_deref())?;
            add(&file()?, &name, &entry, then_use, replace, output)?;
        }
        Context::List => list(&file()?, output)?,
        Context::Use { name, none: _ } => {
            let file = file()?;
            let contexts = file.change(|contexts| contexts.choose(name.as_deref()))?;
            let said = name.unwrap_or_else(|| "no context".to_owned());
            output.answer(&told(&file, &contexts), format_args!("{said} is used from now on"))?;
        }
        Context::Show { name } => {
            let mut flags = flags.clone();
            flags.context = name.or(flags.context);
            show(&installation::find(&flags)?, output)?;
        }
        Context::Remove { name } => {
            let file = file()?;
            let contexts = file.change(|contexts| contexts.remove(&name))?;
            output.answer(&told(&file, &contexts), format_args!("{name} is forgotten"))?;
        }
    }
    Ok(exit::DONE)
}

/// What is to be remembered: of a folder or a host, and over that what the options say.
fn entry(flags: &Flags, host: Option<&str>, from: Option<&Path>) -> anyhow::Result<Entry> {
    let mut entry = match (host, from) {
        (Some(host), _) => at_host(host, flags.ca.is_some())?,
        (None, Some(folder)) => {
            let left = installation::left_here(folder)?.ok_or_else(|| {
                Failure::new(
                    exit::NOT_FOUND,
                    format!("--from {}: no `nightshift up` left anything there", folder.display()),
                )
                .next(format!("nightshift up --data {}", folder.display()))
            })?;
            left.0
        }
        (None, None) => Entry::default(),
    };
    for (value, said) in [
        (&mut entry.console, &flags.console),
        (&mut entry.planner, &flags.planner),
        (&mut entry.gateway, &flags.gateway),
        (&mut entry.health, &flags.health),
    ] {
        if let Some(said) = said {
            *value = Some(said.clone());
        }
    }
    if !flags.coordinators.is_empty() {
        entry.coordinators.clone_from(&flags.coordinators);
    }
    entry.token_file = flags.token_file.clone().or(entry.token_file).map(whole).transpose()?;
    entry.ca = flags.ca.clone().or(entry.ca).map(whole).transpose()?;
    let addresses = [&entry.console, &entry.planner, &entry.gateway, &entry.health];
    for address in addresses.into_iter().flatten().chain(&entry.coordinators) {
        installation::check_address(address).map_err(Failure::usage)?;
    }
    if entry == Entry::default() {
        return Err(Failure::usage(
            "say where the installation answers: --host, --from, or --console and the others",
        )
        .next("nightshift context add NAME --host HOST --token-file FILE")
        .next("nightshift context add NAME --from nightshift-data")
        .into());
    }
    Ok(entry)
}

/// All services at one host, at the usual ports; over TLS if an authority is named, who vouches for nothing else.
fn at_host(host: &str, tls: bool) -> Result<Entry, Failure> {
    let wrong = host.is_empty() || host.contains(['/', ' ', '@', '?', '#']);
    if wrong {
        return Err(Failure::usage(format!(
            "--host \"{host}\": write a name or an address, such as patch.example"
        )));
    }
    // An IPv6 address has brackets in a URL.
    let host = if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() };
    let scheme = if tls { "https" } else { "http" };
    let at = |port: u16| format!("{scheme}://{host}:{port}");
    Ok(Entry {
        console: Some(at(7700)),
        planner: Some(at(7701)),
        coordinators: vec![at(7702)],
        health: Some(at(7703)),
        gateway: Some(at(7704)),
        ..Entry::default()
    })
}

/// Named from anywhere.
fn whole(path: PathBuf) -> anyhow::Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}

fn add(
    file: &ContextFile,
    name: &str,
    entry: &Entry,
    then_use: bool,
    replace: bool,
    output: Format,
) -> anyhow::Result<()> {
    if !is_name(name) {
        return Err(Failure::usage(format!(
            "\"{name}\": a context's name is letters, digits, dashes and underscores, at most 64"
        ))
        .into());
    }
    for path in [&entry.token_file, &entry.ca].into_iter().flatten().filter(|path| !path.is_file()) {
        remark(format_args!("{}: there is no such file yet", path.display()));
    }
    let contexts = file.change(|contexts| {
        contexts.add(name, entry.clone(), replace)?;
        if then_use { contexts.choose(Some(name)) } else { Ok(()) }
    })?;
    let hint = match contexts.current() == Some(name) {
        true => "it is used from now on".to_owned(),
        false => format!("`nightshift context use {name}`, or --context {name}"),
    };
    output.answer(&told(file, &contexts), format_args!("{name} is remembered; {hint}"))
}

/// The file as programs are told of it.
fn told(file: &ContextFile, contexts: &Contexts) -> Value {
    let all = contexts.all().map(|(name, entry)| {
        json!({
            "name": name,
            "current": contexts.current() == Some(name),
            "console": entry.console,
            "planner": entry.planner,
            "coordinators": entry.coordinators,
            "gateway": entry.gateway,
            "health": entry.health,
            "tokenFile": entry.token_file,
            "ca": entry.ca,
        })
    });
    json!({ "file": file.path(), "current": contexts.current(), "contexts": all.collect::<Vec<_>>() })
}

fn list(file: &ContextFile, output: Format) -> anyhow::Result<()> {
    let contexts = file.read()?;
    if output.is_for_programs() {
        return output.print(&told(file, &contexts));
    }
    let mut rows = table(&["", "NAME", "CONSOLE", "TOKEN FILE"]);
    for (name, entry) in contexts.all() {
        let current = contexts.current() == Some(name);
        let tone = current.then_some(Tone::Good);
        let token = entry.token_file.map_or_else(|| "-".to_owned(), |path| path.display().to_string());
        rows.add_row([
            toned(tone, if current { "*" } else { "" }),
            toned(tone, name),
            toned(None, entry.console.unwrap_or_else(|| "-".to_owned())),
            toned(None, token),
        ]);
    }
    print(rows)
}

/// What counts here; of the token only where it is, never the token itself.
fn show(found: &Found, output: Format) -> anyhow::Result<()> {
    let servers = &found.servers;
    let token = match (&servers.token_file, &servers.token) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(_)) => "(not shown)".to_owned(),
        (None, None) => "none".to_owned(),
    };
    let value = |setting| match setting {
        Setting::Console => servers.console.clone(),
        Setting::Planner => servers.planner.clone(),
        Setting::Coordinators => servers.coordinators.join(","),
        Setting::Gateway => servers.gateway.clone(),
        Setting::Health => servers.health.clone(),
        Setting::Token => token.clone(),
        Setting::Ca => {
            servers.ca.as_ref().map_or_else(|| "the system's".into(), |path| path.display().to_string())
        }
    };
    let name = |setting: Setting| setting.flag().trim_start_matches("--");
    if output.is_for_programs() {
        let settings: serde_json::Map<_, _> = Setting::ALL
            .into_iter()
            .map(|one| {
                (
                    name(one).to_owned(),
                    json!({ "value": value(one), "from": servers.origins.of(one).to_string() }),
                )
            })
            .collect();
        let context = found.context.as_ref().map(|(name, _)| name);
        return output.print(&json!({ "context": context, "settings": settings }));
    }
    print(match &found.context {
        Some((name, origin)) => format!("context {name} (named by {origin})"),
        None => "no context".to_owned(),
    })?;
    let mut rows = table(&["SETTING", "VALUE", "FROM"]);
    for one in Setting::ALL {
        rows.add_row([name(one).to_owned(), value(one), servers.origins.of(one).to_string()]);
    }
    print(rows)
}
