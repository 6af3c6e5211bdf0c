//! The log is read again from any point, by position and by time, through every door; and who was reading when the console
//! died goes on where it was.

use crate::consumers;
use crate::five::{Five, broker};
use crate::real_run::{alone, runtime};
use async_nats::jetstream::{self, consumer::DeliverPolicy, consumer::pull};
use futures::TryStreamExt as _;
use nightshift_cli::arguments::Servers;
use nightshift_cli::clients;
use nightshift_domain::Time;
use nightshift_event_log::nats_server::NatsServer;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use nightshift_protocol::envelope::Envelope;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

#[test]
fn the_log_is_read_from_any_point_and_on_after_a_death_of_the_console() {
    let _alone = alone();
    nightshift_runtime::crypto::install();
    let folder = tempfile::tempdir().unwrap();
    let (nats, users) = broker(folder.path(), &[]);
    let mut five = Five::start(folder.path(), &nats.url(), &users);
    runtime().block_on(async {
        five.ready().await;
        consumers::declare(&five.servers, 1, 20).await;
        consumers::declare(&five.servers, 2, 20).await;
        let log = read(&five.servers, 0, None).await;
        let (first, last) = (&log[0], &log[log.len() - 1]);
        // The second declaration was decided in one moment: its first event is the first of that moment.
        let second = log.iter().find(|(_, at)| *at == last.1).unwrap();
        assert!(first.1 < second.1 && second.0 > 20, "{log:?}");

        let door = Door { five: &five, token: door_token(&five) };
        for (begin, wanted) in [
            (String::new(), 1),
            ("?after=7".into(), 8),
            (format!("?from={}", rfc3339(second.1)), second.0),
            (format!("?from={}", rfc3339(second.1 - chrono::Duration::nanoseconds(1))), second.0),
            ("?from=2001-01-01T00:00:00Z".into(), 1),
        ] {
            let mut events = door.events(&begin, None).await;
            assert_eq!(events.next().await.0, wanted, "{begin}");
        }
        for (wrong, sentence) in
            [("?after=1&from=2001-01-01T00:00:00Z", "name one of them"), ("?from=soon", "from")]
        {
            let refused = door.request(wrong, None).send().await.unwrap();
            assert_eq!(refused.status(), 400, "{wrong}");
            let said = refused.text().await.unwrap();
            assert!(said.contains(sentence), "{said}");
        }
        assert_eq!(read(&five.servers, 0, Some(second.1)).await[0].0, second.0);
        assert_eq!(read(&five.servers, 9, None).await[0].0, 10);
        on_nats(&nats, &users, log.len() as u64).await;

        // A page is reading when the console dies; it connects again as browsers do, to the same address.
        let mut events = door.events("?after=2", None).await;
        let mut seen = Vec::new();
        while seen.len() < 10 {
            seen.push(events.next().await.0);
        }
        five.kill("console");
        assert!(events.ended().await, "the stream ends with its console");
        five.ready().await;
        consumers::declare(&five.servers, 3, 20).await;
        let log = read(&five.servers, 0, None).await;
        let door = Door { five: &five, token: door_token(&five) };
        let mut events = door.events("?after=2", seen.last().copied()).await;
        while seen.len() < log.len() - 2 {
            let (position, event) = events.next().await;
            assert_eq!(event["type"].as_str().unwrap().split('.').count(), 3, "{event}");
            seen.push(position);
        }
        assert_eq!(seen, (3..=log.len() as u64).collect::<Vec<_>>());
    });
}

/// The fleet's positions with their times.
async fn read(servers: &Servers, after: u64, from: Option<Time>) -> Vec<(u64, Time)> {
    let mut console = clients::console(servers).await.unwrap();
    let from = from.map(timestamp);
    let request = api::ReadEventsRequest { partition: "fleet".into(), after, follow: false, from };
    let mut events = console.read_events(request).await.unwrap().into_inner();
    let mut found = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        found.push((event.position, Envelope::try_from(event.envelope.unwrap()).unwrap().time));
    }
    found
}

/// By sequence, and by the time at which the server stored it.
async fn on_nats(nats: &NatsServer, users: &Path, newest: u64) {
    let seed = std::fs::read_to_string(users.join("reader.nk")).unwrap().trim().to_owned();
    let client = async_nats::ConnectOptions::with_nkey(seed).connect(nats.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream("nightshift_fleet").await.unwrap();
    let from = async |deliver_policy| {
        let config = pull::Config { deliver_policy, ..Default::default() };
        let consumer = stream.create_consumer(config).await.unwrap();
        let mut messages = consumer.fetch().max_messages(1).messages().await.unwrap();
        let message = messages.try_next().await.unwrap().unwrap();
        let info = message.info().unwrap();
        (info.stream_sequence, info.published)
    };
    let (position, stored) = from(DeliverPolicy::ByStartSequence { start_sequence: newest - 3 }).await;
    assert_eq!(position, newest - 3);
    let (position, again) = from(DeliverPolicy::ByStartTime { start_time: stored }).await;
    assert!(position <= newest - 3 && again >= stored, "{position}");
    let (position, _) = from(DeliverPolicy::All).await;
    assert_eq!(position, 1);
}

fn rfc3339(at: Time) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)
}

fn door_token(five: &Five) -> String {
    std::fs::read_to_string(five.servers.token_file.as_ref().unwrap()).unwrap()
}

struct Door<'a> {
    five: &'a Five,
    token: String,
}

/// Server-sent events as they come.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Door<'_> {
    fn request(&self, begin: &str, last: Option<u64>) -> reqwest::RequestBuilder {
        let link = format!("http://{}/v1/events/fleet{begin}", self.five.http);
        let request = reqwest::Client::new().get(link).bearer_auth(self.token.trim());
        match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        }
    }

    async fn events(&self, begin: &str, last: Option<u64>) -> Events {
        let response = self.request(begin, last).send().await.unwrap().error_for_status().unwrap();
        Events { response, text: String::new() }
    }
}

impl Events {
    async fn next(&mut self) -> (u64, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
                let found = field("id:")
                    .map(|id| (id.parse().unwrap(), field("data:").unwrap_or_default().to_owned()));
                self.text = rest.to_owned();
                if let Some((id, data)) = found {
                    return (id, serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let part = tokio::time::timeout(Duration::from_secs(30), self.response.chunk()).await;
            let part = part.expect("an event in time").unwrap().expect("the stream goes on");
            self.text += std::str::from_utf8(&part).unwrap();
        }
    }

    /// Whether nothing more can come.
    async fn ended(&mut self) -> bool {
        loop {
            match tokio::time::timeout(Duration::from_secs(30), self.response.chunk()).await {
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None) | Err(_)) => return true,
                Err(_) => return false,
            }
        }
    }
}
