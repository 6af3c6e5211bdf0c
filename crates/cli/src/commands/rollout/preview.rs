//! `nightshift rollout preview`

use crate::arguments::Servers;
use crate::output::{Format, print, table};
use crate::{clients, policy_file, times};
use nightshift_protocol::api::v1 as api;
use std::path::Path;

/// What a rollout would do.
pub(super) async fn run(
    servers: &Servers,
    policy: Option<&Path>,
    simulate: bool,
    output: Format,
) -> anyhow::Result<()> {
    let policy = policy.map(policy_file::read).transpose()?;
    let request = api::PreviewRolloutRequest { policy: policy.as_ref().map(Into::into), simulate };
    let preview = clients::overview(servers).await?.preview_rollout(request).await?.into_inner();
    if output.is_for_programs() {
        return output.print(&preview);
    }
    let mut rows = table(&["PHASE", "REGION", "VMS", "FROM", "TO", "BAD PATCH REACHES", "WHY"]);
    for phase in &preview.phases {
        let reaches = if simulate { phase.blast_radius.to_string() } else { "-".to_owned() };
        for region in &phase.regions {
            rows.add_row([
                phase.number.to_string(),
                region.region.clone(),
                region.vms.to_string(),
                times::minute(phase.from),
                times::minute(phase.to),
                reaches.clone(),
                region.why.clone(),
            ]);
        }
    }
    print(rows)?;
    if let Some(forecast) = &preview.forecast {
        let deadline = times::minute(forecast.deadline);
        print(match forecast.suffices {
            true => format!(
                "every eligible VM is patched in {} nights; the deadline is {deadline}",
                forecast.nights
            ),
            false => format!("{} VMs are not patched by the deadline, {deadline}:", forecast.all_late),
        })?;
        for late in &forecast.late {
            print(format_args!("  {}: {}", late.vm, late.why))?;
        }
    }
    print(format_args!("{} VMs are left alone", preview.left_alone))
}
