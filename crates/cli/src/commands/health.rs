//! `nightshift health …`

use crate::arguments::{Health, Servers};
use crate::color::Tone;
use crate::output::{Format, print, table, toned};
use crate::{clients, exit, pages, times};
use anyhow::Context as _;
use nightshift_protocol::api::v1 as api;
use std::process::ExitCode;

pub(crate) async fn run(health: Health, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    match (health.vm, health.region) {
        (Some(vm), _) => of_vm(servers, vm, output).await?,
        (None, Some(region)) => of_region(servers, region, output).await?,
        // The command line asks for one of them.
        (None, None) => anyhow::bail!("name a VM, or a region with --region"),
    }
    Ok(exit::DONE)
}

async fn of_vm(servers: &Servers, vm: String, output: Format) -> anyhow::Result<()> {
    let health =
        clients::health(servers).await?.get_vm_health(api::GetVmHealthRequest { vm }).await?.into_inner();
    if output.is_for_programs() {
        return output.print(&health);
    }
    let line = |name: &str, value: &str| print(format_args!("{name:<12} {value}"));
    line("VM", &format!("{} in {}", health.vm, health.region))?;
    line("health", &in_a_word(&health))?;
    if let Some(watch) = &health.watch {
        let due = watch.verdict_due.map(|due| format!("; verdict from {}", times::second(Some(due))));
        let due = due.unwrap_or_default();
        line("watched", &format!("for rollout {}: {}{due}", watch.rollout, watch.state))?;
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
        let (need, heard, says) = source_row(source, health.watched);
        rows.add_row([source.source.clone(), need.to_owned(), heard, says]);
    }
    print(format_args!("\n{rows}"))
}

fn source_row(source: &api::SourceHealth, watched: bool) -> (&'static str, String, String) {
    let need = match (watched, source.required) {
        (false, _) => "-",
        (true, true) => "required",
        (true, false) => "advisory",
    };
    let says = match (source.last_signal, source.ailment.is_empty()) {
        (None, _) => "-",
        (Some(_), true) => "well",
        (Some(_), false) => &source.ailment,
    };
    (need, heard(source.last_signal), says.to_owned())
}

fn heard(at: Option<pbjson_types::Timestamp>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| times::second(Some(at)))
}

async fn of_region(servers: &Servers, region: String, output: Format) -> anyhow::Result<()> {
    let mut monitor = clients::health(servers).await?;
    let vms = pages::all(async |page_token| {
        let request =
            api::ListRegionHealthRequest { region: region.clone(), page_token, ..Default::default() };
        let page = monitor.list_region_health(request).await?.into_inner();
        Ok((page.vms, page.next_page_token))
    });
    let vms = vms.await?;
    if output.is_for_programs() {
        return output.print(&vms);
    }
    let mut rows = table(&["VM", "HEALTH", "LAST HEARD", "WATCH", "BASELINE", "VERDICT"]);
    for vm in &vms {
        let what = |said: &Option<api::Said>| said.as_ref().map_or("-", |said| &said.what).to_owned();
        let heard = heard(vm.last_signal);
        let watch = vm.watch.as_ref().map_or("-", |watch| &watch.state).to_owned();
        let word = in_a_word(vm);
        let tone = match word.as_str() {
            "well" => Some(Tone::Good),
            "unknown" => Some(Tone::Warn),
            _ => Some(Tone::Bad),
        };
        rows.add_row([
            toned(None, &vm.vm),
            toned(tone, word),
            toned(None, heard),
            toned(None, watch),
            toned(None, what(&vm.baseline)),
            toned(None, what(&vm.verdict)),
        ]);
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
    let at = times::second(Some(said.at.context("the monitor sent a word without its time")?));
    let why = if said.why.is_empty() { String::new() } else { format!(": {}", said.why) };
    Ok(format!("{} at {at}{why}", said.what))
}
