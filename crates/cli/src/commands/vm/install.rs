//! `nightshift vm install`: patches on one VM, now.

use crate::arguments::{Class, Install, Reboot, Servers};
use crate::commands::rollout::actor;
use crate::failure::Failure;
use crate::output::{Format, print};
use crate::{advice, clients, exit};
use anyhow::Context as _;
use nightshift_domain::agent::InstallReport;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::time;
use nightshift_protocol::events::v1 as wire;
use std::process::ExitCode;
use std::time::Duration;
use tonic::Status;

/// How often it is looked whether the work has ended.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How long the console may take to read in the log what the planner wrote.
const CONSOLE_READS: Duration = Duration::from_secs(60);

pub(crate) async fn run(install: Install, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let (vm, no_wait) = (install.vm.clone(), install.no_wait);
    let asked = clients::rollouts(servers).await?.install_patches(request(install)?).await;
    let asked = asked.map_err(refusal)?.into_inner();
    if no_wait {
        output.answer(&asked, format_args!("asked; `nightshift rollout show {}`", asked.rollout))?;
        return Ok(exit::DONE);
    }
    let report = ended(servers, &vm, &asked.rollout).await?;
    if output.is_for_programs() {
        output.print(&report)?;
    }
    let report = InstallReport::try_from(report)?;
    if !output.is_for_programs() {
        for patch in &report.patches {
            print(format_args!("{:?} {} {} {}", patch.state, patch.name, patch.version, patch.detail))?;
        }
        print(format_args!("its health is watched: `nightshift rollout show {}`", asked.rollout))?;
    }
    match report.failure() {
        Some(why) => Err(failure(&vm, why)),
        None => Ok(exit::DONE),
    }
}

fn request(install: Install) -> anyhow::Result<api::InstallPatchesRequest> {
    let seconds = |name: &str, given: Duration| {
        u32::try_from(given.as_secs()).with_context(|| format!("--{name}: at most 136 years"))
    };
    let class = |class: &Class| match class {
        Class::Critical => wire::Classification::Critical.into(),
        Class::Security => wire::Classification::Security.into(),
        Class::Other => wire::Classification::Other.into(),
    };
    let reboot = match install.reboot {
        Reboot::IfRequired => wire::RebootSetting::IfRequired,
        Reboot::Never => wire::RebootSetting::Never,
        Reboot::Always => wire::RebootSetting::Always,
    };
    Ok(api::InstallPatchesRequest {
        rollout: String::new(),
        vm: install.vm,
        classifications: install.classes.iter().map(class).collect(),
        include: install.include,
        exclude: install.exclude,
        reboot: reboot.into(),
        maximum_duration_seconds: seconds("longest", install.longest)?,
        within_seconds: seconds("within", install.within)?,
        idempotency_key: install.wish.key.clone(),
        actor: Some(actor(install.wish)),
    })
}

/// A wish has the policy's refusals, but no policy file: what helps is its own options.
fn refusal(status: Status) -> anyhow::Error {
    if advice::code_word(status.message()) != Some("InvalidPolicy") {
        return status.into();
    }
    let failure = Failure::new(exit::of_status(&status), status.message());
    failure.next("nightshift help vm install").into()
}

/// It was asked for, and did not end well.
fn failure(vm: &str, why: impl std::fmt::Display) -> anyhow::Error {
    let failure = Failure::new(exit::FAILED, format!("{vm}: {why}"));
    failure.next(format!("nightshift explain {vm}")).next(format!("nightshift vm history {vm}")).into()
}

/// The machine's report, which comes before the verdict on its health; or why there is none.
async fn ended(servers: &Servers, vm: &str, rollout: &str) -> anyhow::Result<wire::InstallReport> {
    let mut console = clients::console(servers).await?;
    let since = tokio::time::Instant::now();
    loop {
        let request = api::GetRolloutRequest { rollout: rollout.to_owned() };
        // The console may not have read of it yet.
        let view = match console.get_rollout(request).await {
            Ok(answer) => answer.into_inner().rollout.context("the console sent no rollout")?,
            Err(status) if status.code() == tonic::Code::NotFound && since.elapsed() < CONSOLE_READS => {
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
                continue;
            }
            Err(status) => return Err(status.into()),
        };
        let asked = time(view.requested_at, "requested_at")?;
        let request = api::GetVmRequest { vm: vm.to_owned() };
        let machine = console.get_vm(request).await?.into_inner().vm.context("the console sent no VM")?;
        let of_it = machine.rollout == rollout || view.state() == api::RolloutState::Completed;
        let at = machine.last_installation_at.map(|at| time(Some(at), "last_installation_at")).transpose()?;
        if let Some(report) = machine.last_installation.filter(|_| of_it && at.is_some_and(|at| at > asked)) {
            return Ok(report);
        }
        let exceptions =
            view.phases.iter().flat_map(|phase| &phase.regions).flat_map(|region| &region.exceptions);
        if let Some(exception) = exceptions.into_iter().next() {
            return Err(failure(vm, format!("nothing was installed: {}", exception.why)));
        }
        let over = [api::RolloutState::Completed, api::RolloutState::Cancelled, api::RolloutState::Expired];
        if over.contains(&view.state()) {
            return Err(failure(vm, "nothing was installed".to_owned()));
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_option_is_looked_up_where_options_are() {
        let next = |message: &str| advice::next(&refusal(Status::invalid_argument(message)));
        assert_eq!(
            next("InvalidPolicy: longest_work_seconds = 1: at least 60"),
            ["nightshift help vm install"]
        );
        assert_eq!(next("VmNotFound: there is no VM \"a\""), ["nightshift vm list"]);
    }
}
