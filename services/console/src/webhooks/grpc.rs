//! What people see of webhooks, and what they may wish.

use super::state::Seen;
use super::{Webhooks, Work};
use nightshift_domain::{Refusal, WebhookName};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::api::v1::webhook_service_server::WebhookService;
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::status::{id, refused, unreadable};
use tonic::{Request, Response, Status};

pub(crate) struct WebhookDoor(pub(crate) Webhooks);

#[tonic::async_trait]
impl WebhookService for WebhookDoor {
    async fn list_webhooks(
        &self,
        _: Request<api::ListWebhooksRequest>,
    ) -> Result<Response<api::ListWebhooksResponse>, Status> {
        let mut webhooks = Vec::new();
        for work in self.0.0.values() {
            webhooks.push(work.view().await?);
        }
        Ok(Response::new(api::ListWebhooksResponse { webhooks }))
    }

    async fn retry_webhook(
        &self,
        request: Request<api::RetryWebhookRequest>,
    ) -> Result<Response<api::RetryWebhookResponse>, Status> {
        let name = id::<WebhookName>(request.into_inner().webhook, "webhook")?;
        let unknown = || {
            let what = format!(
                "there is no webhook \"{name}\": `nightshift webhook list` shows those that there are"
            );
            refused(&Refusal::new("WebhookNotFound", what).about(&name))
        };
        let work = self.0.0.get(&name).ok_or_else(unknown)?;
        work.places.go_on();
        work.state.retry();
        Ok(Response::new(api::RetryWebhookResponse { webhook: Some(work.view().await?) }))
    }
}

impl Work {
    async fn view(&self) -> Result<api::Webhook, Status> {
        let Seen { delivered, last_delivered_at, waiting } = self.state.seen();
        let mut partitions = Vec::new();
        for partition in self.log.partitions().await.map_err(|error| unreadable(&error))? {
            if !self.webhook.wants(&partition) {
                continue;
            }
            let position = self.places.position(&partition);
            let newest = self.log.newest(&partition).await.map_err(|error| unreadable(&error))?;
            let waits = waiting.get(&partition);
            partitions.push(api::WebhookPartition {
                partition: partition.to_string(),
                position,
                behind_by: newest.saturating_sub(position),
                last_error: waits.map(|waits| waits.why.clone()).unwrap_or_default(),
                failing_since: waits.map(|waits| timestamp(waits.since)),
                next_try_at: waits.and_then(|waits| waits.next_try).map(timestamp),
            });
        }
        let (state, why) = match (self.places.gone(), waiting.values().next()) {
            (Some(gone), _) => {
                let at = gone.at.format("%F %T");
                (api::WebhookState::Stopped, format!("the receiver answered 410 Gone at {at} UTC"))
            }
            (None, Some(waits)) => (api::WebhookState::Retrying, waits.why.clone()),
            (None, None) => (api::WebhookState::Delivering, String::new()),
        };
        let mut url = self.webhook.url.clone();
        url.set_query(None);
        // Fails only where there is no host, and then there is no name either.
        let _ = (url.set_username(""), url.set_password(None));
        Ok(api::Webhook {
            webhook: self.webhook.name.to_string(),
            url: url.into(),
            state: state.into(),
            why,
            partitions,
            delivered,
            last_delivered_at: last_delivered_at.map(timestamp),
        })
    }
}
