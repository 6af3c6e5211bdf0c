//! `nightshift fleet …`

use crate::arguments::{Fleet, Servers};
use crate::output::{Format, print, table};
use crate::{clients, exit, fleet_file};
use nightshift_protocol::api::v1 as api;
use std::path::Path;
use std::process::ExitCode;

pub(crate) async fn run(command: Fleet, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    match command {
        Fleet::Apply { file } => apply(&file, servers, output).await?,
        Fleet::Topology => topology(servers, output).await?,
    }
    Ok(exit::DONE)
}

async fn apply(file: &Path, servers: &Servers, output: Format) -> anyhow::Result<()> {
    let fleet = fleet_file::read(file)?;
    let declared = clients::fleet(servers).await?.declare_fleet(fleet.request()).await?.into_inner();
    let (vms, regions) = (fleet.vms.len(), fleet.topology.regions.len());
    output.answer(&declared, format_args!("{vms} VMs in {regions} regions; {} changes", declared.changes))
}

async fn topology(servers: &Servers, output: Format) -> anyhow::Result<()> {
    let request = api::GetTopologyRequest {};
    let known = clients::overview(servers).await?.get_topology(request).await?.into_inner();
    if output.is_for_programs() {
        return output.print(&known);
    }
    let topology = known.topology.unwrap_or_default();
    let mut rows = table(&["REGION", "TIME ZONE", "PAIR", "ZONES", "VMS", "ELIGIBLE", "SETS", "STANDALONE"]);
    for region in &topology.regions {
        let vms = known.regions.iter().find(|vms| vms.region == region.name).cloned().unwrap_or_default();
        rows.add_row([
            region.name.clone(),
            region.time_zone.clone(),
            region.pair.clone().unwrap_or_else(|| "-".to_owned()),
            region.zones.join(","),
            vms.vms.to_string(),
            vms.eligible.to_string(),
            vms.availability_sets.len().to_string(),
            vms.standalone.to_string(),
        ]);
    }
    print(rows)?;
    let window = topology.window.unwrap_or_default();
    print(format_args!("window {}–{} where a VM has none of its own", window.start, window.end))?;
    for image in &topology.images {
        print(format_args!("also patched: {} {} {}", image.publisher, image.offer, image.sku))?;
    }
    Ok(())
}
