//! `nightshift vm history`, `nightshift vm signals`: what was.

use crate::arguments::Servers;
use crate::clients;
use crate::output::{Format, print, table};
use crate::times;
use nightshift_protocol::api::v1 as api;

/// Everything that the log says of a VM.
pub(super) async fn history(servers: &Servers, vm: String, output: Format) -> anyhow::Result<()> {
    let request = api::GetVmHistoryRequest { vm };
    let history = clients::lookback(servers).await?.get_vm_history(request).await?.into_inner();
    if output.is_for_programs() {
        return output.print(&history.entries);
    }
    for entry in history.entries {
        print(format_args!("{}  {:<22} {}", times::second(entry.at), entry.what, entry.sentence))?;
    }
    Ok(())
}

/// What the console heard of a VM.
pub(super) async fn signals(servers: &Servers, vm: String, output: Format) -> anyhow::Result<()> {
    let request = api::GetVmSignalsRequest { vm };
    let heard = clients::lookback(servers).await?.get_vm_signals(request).await?.into_inner();
    if output.is_for_programs() {
        return output.print(&heard);
    }
    let mut rows = table(&["SOURCE", "FROM", "TO", "SIGNALS", "SAYS"]);
    for span in heard.spans {
        let says = if span.ailment.is_empty() { "well".to_owned() } else { span.ailment };
        let (from, to) = (times::second(span.from), times::second(span.to));
        rows.add_row([span.source, from, to, span.signals.to_string(), says]);
    }
    print(rows)?;
    print(format_args!("the console listens since {}", times::second(heard.since)))
}
