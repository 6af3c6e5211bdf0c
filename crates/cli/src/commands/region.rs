//! `nightshift region …`

use crate::arguments::{Region, Servers};
use crate::output::{Format, print, table};
use crate::{clients, enrolment, exit, pages, times};
use nightshift_protocol::api::v1 as api;
use serde_json::json;
use std::process::ExitCode;

pub(crate) async fn run(command: Region, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    match command {
        Region::Runs { region } => runs(region.unwrap_or_default(), servers, output).await?,
        Region::OrderKeys => {
            let pem = enrolment::order_keys(servers).await?;
            output.answer(&json!({ "orderKeysPem": pem }), pem.trim_end())?;
        }
    }
    Ok(exit::DONE)
}

/// The runs of all coordinators.
async fn runs(region: String, servers: &Servers, output: Format) -> anyhow::Result<()> {
    let mut runs = Vec::new();
    for address in &servers.coordinators {
        let mut coordinator = clients::coordinator(servers, address).await?;
        let of_one = pages::all(async |page_token| {
            let request = api::ListRunsRequest { region: region.clone(), page_token, ..Default::default() };
            let page = coordinator.list_runs(request).await?.into_inner();
            Ok((page.runs, page.next_page_token))
        });
        runs.extend(of_one.await?);
    }
    if output.is_for_programs() {
        return output.print(&runs);
    }
    let mut rows =
        table(&["ROLLOUT", "REGION", "STAGE", "IN FLIGHT", "WAITING", "SETTLED", "NEXT", "WAITS FOR"]);
    for run in runs {
        let tally = run.tally.unwrap_or_default();
        let settled = tally.healthy + tally.failed + tally.skipped + tally.deferred;
        let waits = if run.completed { "completed".to_owned() } else { run.waiting_on };
        rows.add_row([
            run.rollout,
            run.region,
            run.stage,
            run.in_flight.to_string(),
            run.waiting.to_string(),
            settled.to_string(),
            times::minute(run.next_wake),
            waits,
        ]);
    }
    print(rows)
}
