//! The log as the auditor wants it, read through the console.

use crate::arguments::Servers;
use crate::{clients, pages};
use anyhow::Context as _;
use nightshift_audit::{Record, Report};
use nightshift_domain::Partition;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::console_service_client::ConsoleServiceClient;
use nightshift_protocol::envelope::Envelope;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use tonic::Status;

/// Reads the whole log and audits it.
pub async fn run(servers: &Servers) -> anyhow::Result<Report> {
    Ok(nightshift_audit::audit(read(servers).await?))
}

/// The names of the partitions that the log has.
pub(crate) async fn partitions(
    console: &mut ConsoleServiceClient<clients::Authorized>,
) -> Result<Vec<String>, Status> {
    let page = async |page_token| {
        let request = api::ListPartitionsRequest { page_token, ..Default::default() };
        let page = console.list_partitions(request).await?.into_inner();
        Ok((page.partitions, page.next_page_token))
    };
    pages::all(page).await
}

/// Reads the whole log.
pub(crate) async fn read(servers: &Servers) -> anyhow::Result<Vec<Record>> {
    let mut console = clients::console(servers).await?;
    let partitions = partitions(&mut console).await?;
    let mut records = Vec::new();
    for name in partitions {
        let partition: Partition = name.parse()?;
        let request = api::ReadEventsRequest { partition: name, after: 0, follow: false, from: None };
        let mut events = console.read_events(request).await?.into_inner();
        while let Some(event) = events.message().await? {
            let envelope = event
                .envelope
                .ok_or_else(|| anyhow::anyhow!("the console sent an event without envelope"))?;
            let fact = Envelope::try_from(envelope)?.fact()?;
            let (partition, position) = (partition.clone(), event.position);
            records.push(Record { partition, position, at: fact.at, event: fact.event });
        }
    }
    Ok(records)
}

/// Writes a log, one JSON document a line; a file that is there already is replaced only when all is written.
pub(crate) fn write(path: &Path, records: &[Record]) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let write = || -> anyhow::Result<()> {
        let mut file = BufWriter::new(File::create(&part)?);
        records.iter().try_for_each(|record| nightshift_audit::file::write_line(&mut file, record))?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        Ok(std::fs::rename(&part, path)?)
    };
    write().with_context(|| path.display().to_string())
}
