//! `nightshift webhook …`

use crate::arguments::{Servers, Webhook};
use crate::output::{Format, print, table};
use crate::{clients, exit, times};
use nightshift_protocol::api::v1 as api;
use std::process::ExitCode;

pub(crate) async fn run(command: Webhook, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let mut console = clients::webhooks(servers).await?;
    let webhooks = match command {
        Webhook::List => console.list_webhooks(api::ListWebhooksRequest {}).await?.into_inner().webhooks,
        Webhook::Retry { webhook } => {
            let retried = console.retry_webhook(api::RetryWebhookRequest { webhook }).await?.into_inner();
            retried.webhook.into_iter().collect()
        }
    };
    if output.is_for_programs() {
        output.print(&api::ListWebhooksResponse { webhooks })?;
    } else {
        show(&webhooks)?;
    }
    Ok(exit::DONE)
}

/// A line for each partition, under each webhook's own.
fn show(webhooks: &[api::Webhook]) -> anyhow::Result<()> {
    if webhooks.is_empty() {
        return print("no webhook is configured: docs/events.md says how");
    }
    for webhook in webhooks {
        let why = if webhook.why.is_empty() { String::new() } else { format!(": {}", webhook.why) };
        print(format_args!("{}  {}  {}{why}", webhook.webhook, state(webhook.state()), webhook.url))?;
        let mut table = table(&["  PARTITION", "POSITION", "BEHIND BY", "FAILING SINCE", "TRIED AGAIN"]);
        for partition in &webhook.partitions {
            table.add_row([
                format!("  {}", partition.partition),
                partition.position.to_string(),
                partition.behind_by.to_string(),
                times::second(partition.failing_since),
                times::second(partition.next_try_at),
            ]);
        }
        print(table)?;
    }
    Ok(())
}

fn state(state: api::WebhookState) -> &'static str {
    match state {
        api::WebhookState::Delivering => "delivering",
        api::WebhookState::Retrying => "retrying",
        api::WebhookState::Stopped => "stopped",
        api::WebhookState::Unspecified => "unknown",
    }
}
