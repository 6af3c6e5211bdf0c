//! The log as the auditor wants it, read through the console.

use crate::arguments::Servers;
use crate::{clients, pages};
use nightshift_audit::{Record, Report};
use nightshift_domain::Partition;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::console_service_client::ConsoleServiceClient;
use nightshift_protocol::envelope::Envelope;
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
