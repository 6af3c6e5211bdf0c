//! `nightshift webhook …`

use super::{print, print_json, table};
use crate::arguments::{Servers, Webhook};
use crate::{clients, exit};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::time;
use std::process::ExitCode;

pub(crate) async fn run(command: Webhook, servers: &Servers, json: bool) -> anyhow::Result<ExitCode> {
    let mut console = clients::webhooks(servers).await?;
    let webhooks = match command {
        Webhook::List => console.list_webhooks(api::ListWebhooksRequest {}).await?.into_inner().webhooks,
        Webhook::Retry { webhook } => {
            let retried = console.retry_webhook(api::RetryWebhookRequest { webhook }).await?.into_inner();
            retried.webhook.into_iter().collect()
        }
    };
    if json {
        print_json(&api::ListWebhooksResponse { webhooks })?;
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
        let mut table = table(&["  partition", "position", "behind by", "failing since", "tried again"]);
        for partition in &webhook.partitions {
            let when = |at| -> anyhow::Result<String> {
                let Some(at) = at else { return Ok(String::new()) };
                Ok(time(Some(at), "time")?.format("%F %T").to_string())
            };
            table.add_row([
                format!("  {}", partition.partition),
                partition.position.to_string(),
                partition.behind_by.to_string(),
                when(partition.failing_since)?,
                when(partition.next_try_at)?,
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
