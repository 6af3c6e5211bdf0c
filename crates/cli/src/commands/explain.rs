//! `nightshift explain`

use crate::arguments::Servers;
use crate::failure::Failure;
use crate::output::{Format, print};
use crate::{clients, exit, times};
use nightshift_protocol::api::v1 as api;
use std::process::ExitCode;

pub(crate) async fn run(vm: String, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let explained =
        clients::console(servers).await?.explain_vm(api::ExplainVmRequest { vm }).await?.into_inner();
    // A VM that nobody knows is no answer, whichever way the service says so.
    if let Some(unknown) = explained.reasons.first().filter(|reason| reason.code == "VmNotFound") {
        let sentence = format!("{}: {}", unknown.code, unknown.sentence);
        return Err(Failure::new(exit::NOT_FOUND, sentence).next("nightshift vm list").into());
    }
    if output.is_for_programs() {
        output.print(&explained)?;
        return Ok(exit::DONE);
    }
    for reason in explained.reasons {
        let until = reason.until.map(|until| format!("   until {} UTC", times::minute(Some(until))));
        print(format_args!("{:<18} {}{}", reason.code, reason.sentence, until.unwrap_or_default()))?;
    }
    Ok(exit::DONE)
}
