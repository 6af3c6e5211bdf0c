//! `nightshift vm …`

mod install;
mod model;
mod past;
mod report;

use super::rollout::actor;
use crate::arguments::{Servers, Vm, Wish};
use crate::failure::Failure;
use crate::output::{Format, print, remark, table, toned};
use crate::summary::{progress, progress_tone};
use crate::{clients, enrolment, exit, pages};
use anyhow::Context as _;
use nightshift_domain::fleet::{Image, Placement, Vm as Model};
use nightshift_domain::patch::{Assessment, PatchState};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::time;
use nightshift_protocol::events::v1 as wire;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How often it is looked whether an assessment has ended.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

pub(crate) async fn run(command: Vm, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    match command {
        Vm::List { region, filter } => list(servers, region.unwrap_or_default(), filter, output).await?,
        Vm::Show { vm } => show(servers, vm, output).await?,
        Vm::Assess { vm, no_wait, wish } => assess(servers, vm, wish, no_wait, output).await?,
        Vm::Install(install) => return install::run(install, servers, output).await,
        Vm::Token { vm, out } => token(servers, vm, out.as_deref(), output).await?,
        Vm::Put { file, any_update_domain, seen } => {
            model::put(servers, &file, any_update_domain, seen.as_deref(), output).await?
        }
        Vm::Change { vm, model } => model::change(servers, vm, &model, output).await?,
        Vm::Remove { vm } => model::remove(servers, vm, output).await?,
        Vm::Agents => agents(servers, output).await?,
        Vm::History { vm } => past::history(servers, vm, output).await?,
        Vm::Signals { vm } => past::signals(servers, vm, output).await?,
        Vm::Report(report) => return report::run(servers, report, output).await,
    }
    Ok(exit::DONE)
}

async fn list(servers: &Servers, region: String, filter: String, output: Format) -> anyhow::Result<()> {
    let mut console = clients::console(servers).await?;
    let vms = pages::all(async |page_token| {
        let (region, filter) = (region.clone(), filter.clone());
        let request = api::ListVmsRequest { region, filter, page_token, ..Default::default() };
        let page = console.list_vms(request).await?.into_inner();
        Ok((page.vms, page.next_page_token))
    });
    let vms = vms.await?;
    if output.is_for_programs() {
        return output.print(&vms);
    }
    let mut rows = table(&["VM", "REGION", "PLACE", "PATCHED", "LACKS", "WHY"]);
    for view in vms {
        let model = model(&view)?;
        let lacks = assessment(&view)?.map(|a| a.critical_and_security().to_string()).unwrap_or_default();
        let why = if view.ineligible.is_empty() { view.why.clone() } else { view.ineligible.clone() };
        let (patched, tone) = match view.ineligible.is_empty() {
            true => (progress(view.progress()), progress_tone(view.progress())),
            false => ("left alone", None),
        };
        rows.add_row([
            toned(None, &model.id),
            toned(None, &model.region),
            toned(None, place(&model)),
            toned(tone, patched),
            toned(None, lacks),
            toned(None, why),
        ]);
    }
    print(&rows)
}

async fn show(servers: &Servers, vm: String, output: Format) -> anyhow::Result<()> {
    let response = clients::console(servers).await?.get_vm(api::GetVmRequest { vm }).await?.into_inner();
    let view = response.vm.context("the console sent no VM")?;
    if output.is_for_programs() {
        return output.print(&view);
    }
    let model = model(&view)?;
    let line = |name: &str, value: &str| print(format_args!("{name:<14}{value}"));
    line("VM", model.id.as_str())?;
    line("subscription", &format!("{} / {}", model.subscription, model.resource_group))?;
    line("place", &format!("{} {}", model.region, place(&model)))?;
    let Image { publisher, offer, sku, .. } = &model.image;
    line("image", &format!("{:?}: {publisher} {offer} {sku}", model.os))?;
    line("mode", &format!("{:?}", model.patch_mode))?;
    line("assessment", &format!("{:?}", model.assessment_mode))?;
    line("reboot", &model.reboot.map_or_else(|| "as each policy says".to_owned(), |own| format!("{own:?}")))?;
    line("window", &view.window)?;
    if !view.ineligible.is_empty() {
        line("left alone", &view.ineligible)?;
    }
    line("rollout", format!("{} {}", view.rollout, progress(view.progress())).trim_start())?;
    if !view.why.is_empty() {
        line("why", &view.why)?;
    }
    if let Some(agent) = &view.agent {
        line("agent", &format!("{} with {} on {}", agent.agent_version, agent.back_end, agent.os))?;
    }
    if let Some(assessment) = assessment(&view)? {
        line(
            "lacks",
            &format!(
                "{} critical or security, {} other",
                assessment.critical_and_security(),
                assessment.other()
            ),
        )?;
    }
    if !view.assessment_error.is_empty() {
        line("not assessed", &view.assessment_error)?;
    }
    for requirement in &view.requirements {
        if requirement.state != i32::from(wire::RequirementState::Met) {
            line(&requirement.code, &requirement.sentence)?;
        }
    }
    if let Some(report) = view.last_installation {
        let report = nightshift_domain::agent::InstallReport::try_from(report)?;
        let count = |state| report.count(state);
        line(
            "last order",
            &format!(
                "{} installed, {} failed, {} pending, {} excluded, {} not selected",
                count(PatchState::Installed),
                count(PatchState::Failed),
                count(PatchState::Pending),
                count(PatchState::Excluded),
                count(PatchState::NotSelected),
            ),
        )?;
        for patch in &report.patches {
            line("", &format!("{:?} {} {} {}", patch.state, patch.name, patch.version, patch.detail))?;
        }
    }
    Ok(())
}

/// Wishes an assessment and, unless told otherwise, waits for its end.
async fn assess(
    servers: &Servers,
    vm: String,
    wish: Wish,
    no_wait: bool,
    output: Format,
) -> anyhow::Result<()> {
    let request = api::AssessVmRequest {
        vm: vm.clone(),
        idempotency_key: wish.key.clone(),
        actor: Some(actor(wish)),
        ttl_seconds: 0,
    };
    let asked = clients::agents(servers).await?.assess_vm(request).await?.into_inner();
    if no_wait {
        return output.answer(&asked, format_args!("asked; `nightshift vm show {vm}`"));
    }
    let (asked, not_after) = (time(asked.asked, "asked")?, time(asked.not_after, "not_after")?);
    let mut console = clients::console(servers).await?;
    // Read anew rather than followed: an assessment takes seconds to minutes, and nothing is lost by a look too late.
    let patience = (not_after - asked).to_std()?;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < patience {
        let view = console.get_vm(api::GetVmRequest { vm: vm.clone() }).await?.into_inner().vm;
        let view = view.context("the console sent no VM")?;
        let later = |at: &Option<_>| at.is_some() && time(*at, "at").is_ok_and(|at| at > asked);
        if later(&view.assessment_failed_at) {
            let sentence = format!("{vm} could not be assessed: {}", view.assessment_error);
            return Err(Failure::new(exit::FAILED, sentence).next(format!("nightshift explain {vm}")).into());
        }
        if later(&view.assessed_at) {
            let assessment = assessment(&view)?.context("the console sent no assessment")?;
            return match output.is_for_programs() {
                true => output.print(&view.assessment),
                false => print_assessment(&assessment),
            };
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
    }
    let sentence =
        format!("{vm} did not answer: its agent is not in session with the gateway, or the machine is off");
    Err(Failure::new(exit::FAILED, sentence)
        .next("nightshift vm agents")
        .next(format!("nightshift health {vm}"))
        .into())
}

fn print_assessment(assessment: &Assessment) -> anyhow::Result<()> {
    for patch in &assessment.patches {
        let obstacle = patch.obstacle.as_ref().map(|why| format!("  ({why})")).unwrap_or_default();
        let class = format!("{:?}", patch.classification);
        print(format_args!("{class:<10}{} {}{obstacle}", patch.name, patch.version))?;
    }
    let (urgent, other) = (assessment.critical_and_security(), assessment.other());
    let reboot = if assessment.reboot_pending { "; a reboot is pending" } else { "" };
    print(format_args!("{urgent} critical or security, {other} other{reboot}"))?;
    assessment.warnings.iter().try_for_each(|warning| print(format_args!("warning: {warning}")))
}

async fn token(servers: &Servers, vm: String, out: Option<&Path>, output: Format) -> anyhow::Result<()> {
    let request = api::IssueEnrolmentTokensRequest { vms: vec![vm], ..Default::default() };
    let response = clients::agents(servers).await?.issue_enrolment_tokens(request).await?.into_inner();
    let issued = response.tokens.into_iter().next().context("the gateway issued no token")?;
    let order_keys = enrolment::order_keys(servers).await?;
    if let Some(folder) = out {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        write_secret(&folder.join("token"), &issued.token)?;
        fs::write(folder.join("authority.pem"), &issued.authority_pem)?;
        fs::write(folder.join("order-keys.pem"), &order_keys)?;
        // The secret is in the file, and nowhere else.
        let told = serde_json::json!({ "vm": issued.vm, "folder": folder, "expires": issued.expires });
        if output.is_for_programs() {
            return output.print(&told);
        }
        remark(format_args!("wrote token, authority.pem and order-keys.pem to {}", folder.display()));
        return Ok(());
    }
    let mut told = serde_json::to_value(&issued)?;
    told["orderKeysPem"] = order_keys.clone().into();
    output.answer(&told, format_args!("{}\n{}{order_keys}", issued.token, issued.authority_pem))
}

/// The agents that the gateway knows.
async fn agents(servers: &Servers, output: Format) -> anyhow::Result<()> {
    let mut gateway = clients::agents(servers).await?;
    let agents = pages::all(async |page_token| {
        let request = api::ListAgentsRequest { page_token, ..Default::default() };
        let page = gateway.list_agents(request).await?.into_inner();
        Ok((page.agents, page.next_page_token))
    });
    let agents = agents.await?;
    if output.is_for_programs() {
        return output.print(&agents);
    }
    let mut rows = table(&["VM", "ENROLLED", "AGENT", "BOOT"]);
    for agent in agents {
        let enrolled = if agent.enrolled { "yes" } else { "no" };
        rows.add_row([agent.vm, enrolled.into(), agent.agent_version, agent.boot_id]);
    }
    print(rows)
}

fn write_secret(path: &Path, secret: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(secret.as_bytes()).with_context(|| path.display().to_string())
}

fn model(view: &api::VmView) -> anyhow::Result<Model> {
    Ok(Model::try_from(view.vm.clone().context("the console sent a VM without its model")?)?)
}

fn assessment(view: &api::VmView) -> anyhow::Result<Option<Assessment>> {
    Ok(view.assessment.clone().map(Assessment::try_from).transpose()?)
}

fn place(vm: &Model) -> String {
    match &vm.placement {
        Placement::Zone(zone) => format!("zone {zone}"),
        Placement::AvailabilitySet { set, update_domain } => format!("{set}/{update_domain}"),
        Placement::Standalone => "-".to_owned(),
    }
}
