//! `nightshift events …`

use crate::arguments::{Events, Servers};
use crate::audit::partitions;
use crate::output::{Format, print, remark};
use crate::{clients, exit};
use futures::stream::{SelectAll, StreamExt as _};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::json::event_json;
use std::path::Path;
use std::process::ExitCode;

pub(crate) async fn run(command: Events, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let (partition, no_follow, after, from) = match command {
        Events::Export { file } => return export(&file, servers, output).await,
        Events::Partitions => {
            let partitions = partitions(&mut clients::console(servers).await?).await?;
            output.answer(&partitions, partitions.join("\n"))?;
            return Ok(exit::DONE);
        }
        Events::Tail { partition, no_follow, after, from } => (partition, no_follow, after, from),
    };
    let mut console = clients::console(servers).await?;
    let partitions = match partition {
        Some(partition) => vec![partition],
        None => partitions(&mut console).await?,
    };
    let mut all = SelectAll::new();
    for partition in partitions {
        let request =
            api::ReadEventsRequest { partition, after, follow: !no_follow, from: from.map(timestamp) };
        all.push(console.read_events(request).await?.into_inner());
    }
    while let Some(event) = all.next().await {
        show(event?, output)?;
    }
    Ok(exit::DONE)
}

/// Writes the whole log.
async fn export(path: &Path, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let records = crate::audit::read(servers).await?;
    crate::audit::write(path, &records)?;
    if output.is_for_programs() {
        output.print(&serde_json::json!({ "file": path, "events": records.len() }))?;
    } else {
        remark(format_args!("{} events", records.len()));
    }
    Ok(exit::DONE)
}

/// One event.
fn show(event: api::ReadEventsResponse, output: Format) -> anyhow::Result<()> {
    let envelope =
        event.envelope.ok_or_else(|| anyhow::anyhow!("the console sent an event without envelope"))?;
    let envelope = Envelope::try_from(envelope)?;
    let document = event_json(&envelope)?;
    if output.is_for_programs() {
        return output.print_item(&document);
    }
    let kind = envelope.event_type.rsplit('.').next().unwrap_or_default();
    let subject = envelope.subject.trim_start_matches("nightshift.v1.");
    let at = envelope.time.format("%F %T");
    print(format_args!("{at}  {:>6}  {kind:<20} {subject:<50} {}", event.position, document["data"]))
}
