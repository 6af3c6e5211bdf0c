//! `nightshift fleet …`

use super::{print, print_json};
use crate::arguments::{Fleet, Servers};
use crate::{clients, exit, fleet_file};
use std::process::ExitCode;

pub(crate) async fn run(command: Fleet, servers: &Servers, json: bool) -> anyhow::Result<ExitCode> {
    let Fleet::Apply { file } = command;
    let fleet = fleet_file::read(&file)?;
    let declared = clients::fleet(servers).await?.declare_fleet(fleet.request()).await?.into_inner();
    if json {
        print_json(&declared)?;
    } else {
        print(format_args!(
            "{} VMs in {} regions; {} changes",
            fleet.vms.len(),
            fleet.topology.regions.len(),
            declared.changes
        ))?;
    }
    Ok(exit::DONE)
}
