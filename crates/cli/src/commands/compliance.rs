//! `nightshift compliance`

use crate::arguments::Servers;
use crate::color::Tone;
use crate::output::{Format, print, table, toned};
use crate::{clients, exit, times};
use nightshift_protocol::api::v1 as api;
use std::process::ExitCode;

pub(crate) async fn run(servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let request = api::GetComplianceRequest {};
    let promise = clients::lookback(servers).await?.get_compliance(request).await?.into_inner();
    if output.is_for_programs() {
        output.print(&promise)?;
        return Ok(exit::DONE);
    }
    let mut rows = table(&["REGION", "KEPT", "AT RISK", "BROKEN"]);
    let mut add = |name: &str, kept: Option<api::Kept>| {
        let kept = kept.unwrap_or_default();
        let tone = |count: u32, tone| (count > 0).then_some(tone);
        rows.add_row([
            toned(None, name),
            toned(tone(kept.kept, Tone::Good), kept.kept),
            toned(tone(kept.at_risk, Tone::Warn), kept.at_risk),
            toned(tone(kept.broken, Tone::Bad), kept.broken),
        ]);
    };
    promise.regions.iter().for_each(|region| add(&region.region, region.kept));
    add("all", promise.fleet);
    print(rows)?;
    print(format_args!("patched and found well, once in every {} days", promise.days))?;
    if !promise.late.is_empty() {
        let mut rows = table(&["LATE", "REGION", "LAST PATCHED", "DUE", "WHY"]);
        for late in &promise.late {
            let patched = late.patched_at.map_or_else(|| "never".to_owned(), |at| times::minute(Some(at)));
            let due = times::minute(late.due);
            rows.add_row([late.vm.clone(), late.region.clone(), patched, due, late.why.clone()]);
        }
        print(format_args!("\n{rows}"))?;
    }
    Ok(exit::DONE)
}
