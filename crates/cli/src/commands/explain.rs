//! `nightshift explain`

use super::{print, print_json};
use crate::arguments::Servers;
use crate::{clients, exit};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::time;
use std::process::ExitCode;

pub(crate) async fn run(vm: String, servers: &Servers, json: bool) -> anyhow::Result<ExitCode> {
    let explained =
        clients::console(servers).await?.explain_vm(api::ExplainVmRequest { vm }).await?.into_inner();
    if json {
        print_json(&explained)?;
        return Ok(exit::DONE);
    }
    for reason in explained.reasons {
        let until = match reason.until {
            Some(until) => format!("   until {}", time(Some(until), "until")?.format("%F %H:%M UTC")),
            None => String::new(),
        };
        print(format_args!("{:<18} {}{until}", reason.code, reason.sentence))?;
    }
    Ok(exit::DONE)
}
