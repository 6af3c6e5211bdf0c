//! What `nightshift-agent` does when it is called.

use crate::config::Config;
use crate::requirements::requirement;
use crate::tonight::Tonight;
use crate::{doctor, run};
use anyhow::Context as _;
use clap::Subcommand;
use nightshift_clock::Clock;
use nightshift_domain::agent::RequirementState;
use nightshift_domain::patch::Assessment;
use nix::sys::stat::{Mode, umask};
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// A command of the agent's program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent until SIGTERM. An install that runs then goes on, and the next start takes it over.
    Run {
        /// The configuration file (TOML). NIGHTSHIFT_AGENT_* variables override it.
        #[arg(long)]
        config: PathBuf,
    },
    /// Say in plain words what would stop this machine from being patched. Ends with 1 if anything would.
    Doctor {
        /// The configuration file (TOML). Without it only the machine is looked at, no gateway.
        #[arg(long)]
        config: Option<PathBuf>,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Say what the machine lacks; changes nothing.
    Assess {
        /// The configuration file (TOML). NIGHTSHIFT_AGENT_* variables override it.
        #[arg(long, required_unless_present = "local")]
        config: Option<PathBuf>,
        /// Say what would be installed tonight, without any configuration or server.
        #[arg(long, conflicts_with = "config")]
        local: bool,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Turn native automatic updates on again, as they were before; for a machine that leaves Nightshift.
    Restore {
        /// The configuration file (TOML). NIGHTSHIFT_AGENT_* variables override it.
        #[arg(long)]
        config: PathBuf,
    },
}

/// Does what the command says.
pub async fn run(command: Command) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // The journal keeps what it is given: there are colours on a terminal alone.
    let colors = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colors).init();
    // What packages install is for everyone to read, however strict the one who started the agent is.
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    match command {
        Command::Run { config } => work(&config).await,
        Command::Doctor { config, json } => doctor(config.as_deref(), json).await,
        Command::Assess { config: Some(config), json, .. } => assess(&config, json).await,
        Command::Assess { json, .. } => assess_local(json).await,
        Command::Restore { config } => restore(&config).await,
    }
}

async fn work(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let clock = Clock::system();
    let back_end = run::back_end(&config, &clock)?;
    let shutdown = CancellationToken::new();
    tokio::spawn(end_on_signal(shutdown.clone()));
    Ok(run::run(config, back_end, clock, shutdown).await?)
}

async fn assess(path: &Path, json: bool) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let assessment = run::back_end(&config, &Clock::system())?.assess().await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&assessment).context("the assessment as JSON")?);
    } else {
        print_for_people(&assessment);
    }
    Ok(())
}

async fn assess_local(json: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("a folder for the moment")?;
    let config = Config::local(folder.path())?;
    let tonight = Tonight::of(run::back_end(&config, &Clock::system())?.assess().await?);
    if json {
        println!("{}", serde_json::to_string_pretty(&tonight).context("tonight as JSON")?);
    } else {
        tonight.print();
    }
    Ok(())
}

async fn doctor(path: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("a folder for the moment")?;
    let given = path.map(Config::load).transpose()?;
    let config = given.clone().map_or_else(|| Config::local(folder.path()), Ok)?;
    let found = match run::back_end(&config, &Clock::system()) {
        Ok(back_end) => doctor::examine(back_end.as_ref(), given.as_ref()).await,
        Err(error) => {
            vec![requirement("PackageManagerWorks", RequirementState::Unmet, error.to_string())]
        }
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&found).context("the findings as JSON")?);
    } else {
        doctor::print(&found);
    }
    let unmet = found.iter().filter(|requirement| requirement.state == RequirementState::Unmet);
    let unmet: Vec<&str> = unmet.map(|requirement| requirement.code.as_str()).collect();
    anyhow::ensure!(unmet.is_empty(), "this machine cannot be patched: {}", unmet.join(", "));
    Ok(())
}

async fn restore(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    Ok(run::back_end(&config, &Clock::system())?.restore_native_updates().await?)
}

fn print_for_people(assessment: &Assessment) {
    for patch in &assessment.patches {
        let obstacle = patch.obstacle.as_ref().map(|why| format!("  ({why})")).unwrap_or_default();
        println!("{:<10} {} {}{obstacle}", format!("{:?}", patch.classification), patch.name, patch.version);
    }
    let (urgent, other) = (assessment.critical_and_security(), assessment.other());
    let reboot = if assessment.reboot_pending { "; a reboot is pending" } else { "" };
    println!("{urgent} critical and security, {other} other{reboot}");
    assessment.warnings.iter().for_each(|warning| println!("warning: {warning}"));
}

async fn end_on_signal(shutdown: CancellationToken) {
    let told = async |kind| match signal(kind) {
        Ok(mut stream) => {
            stream.recv().await;
        }
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = told(SignalKind::terminate()) => {}
        () = told(SignalKind::interrupt()) => {}
    }
    shutdown.cancel();
}
