//! `nightshift health …`

use super::{print, print_json, table};
use crate::arguments::{Health, Servers};
use crate::{clients, exit, pages};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::time;
use std::process::ExitCode;

pub(crate) async fn run(health: Health, servers: &Servers, json: bool) -> anyhow::Result<ExitCode> {
    match (health.vm, health.region) {
        (Some(vm), _) => of_vm(servers, vm, json).await?,
        (None, Some(region)) => of_region(servers, region, json).await?,
        // The command line asks for one of them.
        (None, None) => anyhow::bail!("name a VM, or a region with --region"),
    }
    Ok(exit::DONE)
}

async fn of_vm(servers: &Servers, vm: String, json: bool) -> anyhow::Result<()> {
    let health =
        clients::health(servers).await?.get_vm_health(api::GetVmHealthRequest { vm }).await?.into_inner();
    if json {
        return print_json(&health);
    }
    let line = |name: &str, value: &str| print(format_args!("{name:<12} {value}"));
    line("VM", &format!("{} in {}", health.vm, health.region))?;
    line("health", &in_a_word(&health))?;
    if let Some(watch) = &health.watch {
        let due =
            watch.verdict_due.map(|due| Ok::<_, anyhow::Error>(format!("; verdict from {}", moment(due)?)));
        line(
            "watched",
            &format!(
                "for rollout {}: {}{}",
                watch.rollout,
                watch.state,
                due.transpose()?.unwrap_or_default()
            ),
        )?;
    }
    for (name, said) in [("baseline", &health.baseline), ("verdict", &health.verdict)] {
        line(name, &said.as_ref().map(in_full).transpose()?.unwrap_or_else(|| "-".to_owned()))?;
    }
    if !health.boot_id.is_empty() {
        line("boot", &health.boot_id)?;
    }
    for (place, finding) in health.findings.iter().enumerate() {
        line(if place == 0 { "found" } else { "" }, finding)?;
    }
    let mut rows = table(&["SOURCE", "NEED", "LAST HEARD", "SAYS"]);
    for source in &health.sources {
        let (need, heard, says) = source_row(source, health.watched)?;
        rows.add_row([source.source.clone(), need.to_owned(), heard, says]);
    }
    print(format_args!("\n{rows}"))
}

fn source_row(source: &api::SourceHealth, watched: bool) -> anyhow::Result<(&'static str, String, String)> {
    let need = match (watched, source.required) {
        (false, _) => "-",
        (true, true) => "required",
        (true, false) => "advisory",
    };
    let Some(heard) = source.last_signal else { return Ok((need, "never".to_owned(), "-".to_owned())) };
    let says = if source.ailment.is_empty() { "well" } else { &source.ailment };
    Ok((need, moment(heard)?, says.to_owned()))
}

async fn of_region(servers: &Servers, region: String, json: bool) -> anyhow::Result<()> {
    let mut monitor = clients::health(servers).await?;
    let vms = pages::all(async |page_token| {
        let request =
            api::ListRegionHealthRequest { region: region.clone(), page_token, ..Default::default() };
        let page = monitor.list_region_health(request).await?.into_inner();
        Ok((page.vms, page.next_page_token))
    });
    let vms = vms.await?;
    if json {
        return print_json(&vms);
    }
    let mut rows = table(&["VM", "HEALTH", "LAST HEARD", "WATCH", "BASELINE", "VERDICT"]);
    for vm in &vms {
        let what = |said: &Option<api::Said>| said.as_ref().map_or("-", |said| &said.what).to_owned();
        let heard = vm.last_signal.map(moment).transpose()?.unwrap_or_else(|| "never".to_owned());
        let watch = vm.watch.as_ref().map_or("-", |watch| &watch.state).to_owned();
        rows.add_row([vm.vm.clone(), in_a_word(vm), heard, watch, what(&vm.baseline), what(&vm.verdict)]);
    }
    print(&rows)
}

/// How the VM is by what was last heard of it: not heard is not well.
fn in_a_word(health: &api::GetVmHealthResponse) -> String {
    let ill = health.sources.iter().filter(|source| !source.ailment.is_empty());
    let ill: Vec<String> = ill.map(|source| format!("{}: {}", source.source, source.ailment)).collect();
    match (ill.is_empty(), health.last_signal.is_some()) {
        (false, _) => format!("ill: {}", ill.join("; ")),
        (true, true) => "well".to_owned(),
        (true, false) => "unknown".to_owned(),
    }
}

fn in_full(said: &api::Said) -> anyhow::Result<String> {
    let at = moment(said.at.context("the monitor sent a word without its time")?)?;
    let why = if said.why.is_empty() { String::new() } else { format!(": {}", said.why) };
    Ok(format!("{} at {at}{why}", said.what))
}

fn moment(at: pbjson_types::Timestamp) -> anyhow::Result<String> {
    let at: DateTime<Utc> = time(Some(at), "at")?;
    Ok(at.format("%Y-%m-%d %H:%M:%SZ").to_string())
}
