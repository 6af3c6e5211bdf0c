//! `nightshift-agent doctor`: what would stop this machine from being patched, in plain words.

use crate::back_end::BackEnd;
use crate::config::Config;
use crate::requirements::{native_updates_off, of_machine, of_package_manager, requirement};
use crate::welcomed::Welcomed;
use nightshift_domain::agent::RequirementState::{AtRisk, Met, Unmet};
use nightshift_domain::agent::{Requirement, RequirementState};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long the gateway may take to take up a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Looks at everything; changes nothing but the package manager's lists of what the sources have.
pub async fn examine(back_end: &dyn BackEnd, config: Option<&Config>) -> Vec<Requirement> {
    let holder = back_end.lock_holder().await;
    let warnings = match &holder {
        None => back_end.refresh().await,
        // A package manager that waits for another's lock would keep whoever asks waiting.
        Some(holder) => vec![format!("not asked while {holder} holds the package database")],
    };
    let assessed = back_end.assess().await;
    let state_dir = config.and_then(Config::state_folder);
    let mut found = of_package_manager(back_end, &warnings, assessed.as_ref());
    found.extend(of_machine(back_end, state_dir.as_deref(), &Welcomed::default()));
    found.push(native_updates_off(back_end.native_updates().await));
    found.push(lock_free(holder));
    found.push(database_sound(back_end).await);
    found.push(no_reboot_due(back_end).await);
    if let Some(config) = config {
        found.push(authority(config));
        found.push(gateway(config).await);
        found.push(enrolled(config, state_dir.as_deref()));
    }
    found
}

/// For people, the worst first.
pub fn print(found: &[Requirement]) {
    let mut sorted: Vec<&Requirement> = found.iter().collect();
    sorted.sort_by_key(|requirement| std::cmp::Reverse(requirement.state));
    for Requirement { code, state, sentence } in sorted {
        println!("{:<8} {code:<20} {sentence}", word(*state));
    }
    let unmet = found.iter().filter(|requirement| requirement.state == Unmet).count();
    match unmet {
        0 => println!("nothing stops this machine from being patched"),
        1 => println!("one thing stops this machine from being patched"),
        many => println!("{many} things stop this machine from being patched"),
    }
}

fn word(state: RequirementState) -> &'static str {
    match state {
        Met => "ok",
        AtRisk => "look at",
        Unmet => "STOPS",
    }
}

fn lock_free(holder: Option<String>) -> Requirement {
    match holder {
        None => requirement("LockFree", Met, "no other program works with the package database"),
        Some(holder) => {
            let why =
                format!("{holder} holds the package database: an order waits for it until its deadline");
            requirement("LockFree", AtRisk, why)
        }
    }
}

async fn database_sound(back_end: &dyn BackEnd) -> Requirement {
    let code = "DatabaseSound";
    match back_end.half_done().await {
        Ok(none) if none.is_empty() => requirement(code, Met, "no package is half-installed"),
        Ok(some) => {
            let why = format!("left half-done: {}; the next order repairs what can be", some.join(", "));
            requirement(code, AtRisk, why)
        }
        Err(error) => requirement(code, Unmet, format!("the package database cannot be read: {error}")),
    }
}

async fn no_reboot_due(back_end: &dyn BackEnd) -> Requirement {
    let code = "NoRebootDue";
    match back_end.reboot_required().await {
        Ok(false) => requirement(code, Met, "the machine waits for no reboot"),
        Ok(true) => requirement(code, AtRisk, "a reboot is due: the next order that may makes it first"),
        Err(error) => requirement(code, AtRisk, error.to_string()),
    }
}

fn authority(config: &Config) -> Requirement {
    match config.authority_pem() {
        Ok(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => {
            requirement("AuthorityKnown", Met, "the gateway's authority is known")
        }
        Ok(_) => requirement("AuthorityKnown", Unmet, "`authority` holds no certificate in PEM"),
        Err(error) => requirement("AuthorityKnown", Unmet, error),
    }
}

async fn gateway(config: &Config) -> Requirement {
    let code = "GatewayAnswers";
    let address = config.gateway.trim_start_matches("https://").trim_end_matches('/');
    let address = if address.contains(':') { address.to_owned() } else { format!("{address}:443") };
    match tokio::time::timeout(CONNECT, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => requirement(code, Met, format!("{address} takes connections")),
        Ok(Err(error)) => requirement(code, Unmet, format!("`gateway`: {address}: {error}")),
        Err(_) => {
            let why = format!("`gateway`: {address} did not answer within {} s", CONNECT.as_secs());
            requirement(code, Unmet, why)
        }
    }
}

fn enrolled(config: &Config, state_dir: Option<&Path>) -> Requirement {
    let code = "Enrolled";
    if state_dir.is_some_and(|folder| folder.join("identity/enrolment.json").exists()) {
        return requirement(code, Met, format!("this machine is enrolled as {}", config.vm));
    }
    match config.enrolment_token() {
        Ok(Some(_)) => {
            requirement(code, AtRisk, "not enrolled yet: the agent does it with its token when it runs")
        }
        Ok(None) => {
            let why = format!("not enrolled, and no token: `nightshift vm token {}` issues one", config.vm);
            requirement(code, Unmet, why)
        }
        Err(error) => requirement(code, Unmet, error),
    }
}
