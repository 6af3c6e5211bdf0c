//! The log's own lines: what the rollout's partition says of this rollout, for whoever may read it.

use super::News;
use super::model::Line;
use crate::arguments::Servers;
use crate::clients;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::json::event_json;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tonic::{Code, Status};

/// How long after a break the log is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// Sends a line for each event of the rollout, over connections that may break. The view is whole without them: who may not
/// read the log does not get them.
pub(super) async fn follow(servers: Servers, rollout: String, sender: mpsc::Sender<News>) {
    let mut after = 0;
    loop {
        if let Err(error) = read(&servers, &rollout, &mut after, &sender).await {
            let forbidden =
                |status: &Status| matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated);
            if error.downcast_ref::<Status>().is_some_and(forbidden) || sender.is_closed() {
                return;
            }
        }
        sleep(PAUSE).await;
    }
}

async fn read(
    servers: &Servers,
    rollout: &str,
    after: &mut u64,
    sender: &mpsc::Sender<News>,
) -> anyhow::Result<()> {
    let request =
        api::ReadEventsRequest { partition: "rollout".to_owned(), after: *after, follow: true, from: None };
    let mut events = clients::console(servers).await?.read_events(request).await?.into_inner();
    sender.send(News::LogOpen).await?;
    while let Some(event) = events.message().await? {
        *after = event.position;
        let Some(envelope) = event.envelope else { continue };
        let envelope = Envelope::try_from(envelope)?;
        let document = event_json(&envelope)?;
        if document["data"]["rollout"] == rollout {
            let at = envelope.time.format("%a %F %H:%M").to_string();
            let kind = envelope.event_type.rsplit('.').next().unwrap_or_default();
            let text = sentence(kind, &document["data"]);
            sender.send(News::Log(Line { at, text })).await?;
        }
    }
    Ok(())
}

/// An event in a line: its name in words, and of what it holds that by which people tell events apart. Written for all
/// events, those that are to come as well.
pub(super) fn sentence(kind: &str, data: &Value) -> String {
    let mut parts = vec![words(kind)];
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    if let Some(phase) = data["phase"].as_u64() {
        // Events count from 0, people from 1.
        parts.push(format!("phase {}", phase + 1));
    }
    parts.extend(text(&data["region"]));
    if let Some(round) = data["round"].as_u64().filter(|round| *round > 1) {
        parts.push(format!("round {round}"));
    }
    let patch = &data["patch"];
    parts.extend(
        text(&patch["name"]).map(|name| format!("{name} {}", patch["version"].as_str().unwrap_or_default())),
    );
    let mut sentence = parts.join(", ");
    if let Some(why) = text(&data["why"]) {
        sentence.push_str(&format!(": {why}"));
    }
    let actor = &data["actor"];
    if let Some(name) = text(&actor["name"]) {
        sentence.push_str(&format!(", by {name}"));
        sentence.extend(text(&actor["reason"]).map(|reason| format!(" ({reason})")));
    }
    sentence
}

/// `TurnGranted` as "turn granted".
fn words(kind: &str) -> String {
    let mut words = String::new();
    for letter in kind.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
