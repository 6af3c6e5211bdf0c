//! The log as the auditor wants it, read through the console.

use crate::arguments::Servers;
use crate::clients;
use anyhow::Context as _;
use nightshift_audit::{Record, Report};
use nightshift_domain::Partition;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::envelope::Envelope;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Reads the whole log and audits it.
pub async fn run(servers: &Servers) -> anyhow::Result<Report> {
    Ok(nightshift_audit::audit(read(servers).await?))
}

/// Reads the whole log.
pub(crate) async fn read(servers: &Servers) -> anyhow::Result<Vec<Record>> {
    let mut console = clients::console(servers).await?;
    let partitions = console.list_partitions(api::ListPartitionsRequest {}).await?.into_inner().partitions;
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
