//! `nightshift events …`

use crate::arguments::{Events, Servers};
use crate::audit::partitions;
use crate::output::{Format, print, remark};
use crate::{clients, exit, log_file};
use futures::stream::{SelectAll, StreamExt as _};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::json::event_json;
use nightshift_runtime::status;
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
    let is_named = partition.is_some();
    let partitions = match partition {
        Some(partition) => vec![partition],
        None => partitions(&mut console).await?,
    };
    let mut all = SelectAll::new();
    for partition in partitions {
        let from = |after| api::ReadEventsRequest {
            partition: partition.clone(),
            after,
            follow: !no_follow,
            from: from.map(timestamp),
        };
        let events = match console.read_events(from(after)).await {
            // One position for all of them: what has fewer events begins at its end.
            Err(status) if !is_named => {
                let newest = status::ends_at(&status).ok_or(status)?;
                console.read_events(from(newest)).await?
            }
            events => events?,
        };
        all.push(events.into_inner());
    }
    while let Some(event) = all.next().await {
        show(event?, output)?;
    }
    Ok(exit::DONE)
}

/// Writes the whole log.
async fn export(path: &Path, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let records = crate::audit::read(servers).await?;
    log_file::write(path, &records)?;
    // Where the log itself is the answer, nothing else is on standard output.
    if output.is_for_programs() && !log_file::is_standard_output(path) {
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
