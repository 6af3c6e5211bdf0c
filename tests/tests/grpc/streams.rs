//! Streams that are resumed, and that end with the token with which they were opened.

use crate::world::{World, actor, rollout, until};
use nightshift_cli::clients;
use nightshift_protocol::api::v1 as api;
use nightshift_runtime::access::Role;
use std::time::Duration;
use tonic::Code;
use tonic_types::StatusExt as _;

fn watching(after: &str) -> api::WatchRolloutRequest {
    api::WatchRolloutRequest { rollout: "r".into(), after: after.into() }
}

async fn start(world: &World) {
    let mut rollouts = clients::rollouts(&world.stack.servers).await.unwrap();
    rollouts.start_rollout(rollout("r", "")).await.unwrap();
    let mut console = clients::console(&world.stack.servers).await.unwrap();
    until(async || console.get_rollout(api::GetRolloutRequest { rollout: "r".into() }).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_where_it_was_across_a_restart() {
    let world = World::new().await;
    start(&world).await;
    let mut rollouts = clients::rollouts(&world.stack.servers).await.unwrap();
    let pause = api::PauseRolloutRequest { rollout: "r".into(), actor: actor(), ..Default::default() };
    rollouts.pause_rollout(pause).await.unwrap();
    let mut console = clients::console(&world.stack.servers).await.unwrap();
    let mut answers = console.watch_rollout(watching("")).await.unwrap().into_inner();
    let mut seen = Vec::new();
    let paused = loop {
        let answer = answers.message().await.unwrap().unwrap();
        seen.push(answer.clone());
        if answer.rollout.as_ref().unwrap().state() == api::RolloutState::Paused {
            break answer;
        }
    };
    // While it is paused nothing more is told, not even what was told already.
    let more = tokio::time::timeout(Duration::from_secs(1), answers.message()).await;
    let last = match more {
        // What the regions still had to say.
        Ok(answer) => answer.unwrap().unwrap(),
        Err(_) => paused,
    };

    let world = world.restart().await;
    let mut console = clients::console(&world.stack.servers).await.unwrap();
    let mut answers = console.watch_rollout(watching(&last.position)).await.unwrap().into_inner();
    let cancel = api::CancelRolloutRequest { rollout: "r".into(), actor: actor(), ..Default::default() };
    let mut rollouts = clients::rollouts(&world.stack.servers).await.unwrap();
    rollouts.cancel_rollout(cancel).await.unwrap();
    let mut after = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        after.push(answer);
    }
    let positions: Vec<&String> = after.iter().map(|answer| &answer.position).collect();
    assert!(!positions.contains(&&last.position), "nothing is told again");
    assert!(seen.iter().chain([&last]).all(|before| !positions.contains(&&before.position)));
    let ended = after.last().unwrap().rollout.as_ref().unwrap();
    assert_eq!(ended.state(), api::RolloutState::Cancelled, "nothing is left out");
    // Who has seen the end is told so.
    let last = after.last().unwrap().position.clone();
    let mut answers = console.watch_rollout(watching(&last)).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap(), None);
    let damaged = console.watch_rollout(watching("7")).await.unwrap_err();
    assert_eq!(damaged.get_details_bad_request().unwrap().field_violations[0].field, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_after_a_position_across_a_restart() {
    let world = World::new().await;
    start(&world).await;
    let read =
        |after, follow| api::ReadEventsRequest { partition: "fleet".into(), after, follow, from: None };
    let mut console = clients::console(&world.stack.servers).await.unwrap();
    let mut all = Vec::new();
    let mut events = console.read_events(read(0, false)).await.unwrap().into_inner();
    while let Some(event) = events.message().await.unwrap() {
        all.push(event);
    }
    let mut following = console.read_events(read(0, true)).await.unwrap().into_inner();
    let mut seen = Vec::new();
    for _ in 0..10 {
        seen.push(following.message().await.unwrap().unwrap());
    }
    let world = world.restart().await;
    let mut console = clients::console(&world.stack.servers).await.unwrap();
    let after = seen.last().unwrap().position;
    let mut following = console.read_events(read(after, true)).await.unwrap().into_inner();
    while seen.len() < all.len() {
        seen.push(following.message().await.unwrap().unwrap());
    }
    assert_eq!(seen, all);

    // Who asks for what comes after the end is told where that is, and that nothing is damaged.
    let end = all.last().unwrap().position;
    for follow in [false, true] {
        let status = console.read_events(read(end + 5, follow)).await.unwrap_err();
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str()), (Code::OutOfRange, "POSITION_AFTER_THE_END"));
        assert_eq!(info.metadata["newest"], end.to_string());
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "after");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let world = World::new().await;
    start(&world).await;
    let mut servers = world.stack.servers.clone();
    (servers.token_file, servers.token) = (None, Some(world.token(Role::Reader, Duration::from_secs(4))));
    let mut console = clients::console(&servers).await.unwrap();
    let read = api::ReadEventsRequest { partition: "rollout".into(), after: 0, follow: true, from: None };
    let mut events = console.read_events(read).await.unwrap().into_inner();
    let ended = async {
        loop {
            match events.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended as if all had been told"),
                Err(status) => break status,
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("it outlived its token");
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.get_details_error_info().unwrap().reason, "AUTHENTICATION_EXPIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn live_events_over_http_end_with_their_token_too() {
    let world = World::new().await;
    let token = world.token(Role::Reader, Duration::from_secs(4));
    let path = format!("http://{}/v1/events/fleet", world.stack.http);
    let response = reqwest::Client::new().get(path).bearer_auth(token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let told = tokio::time::timeout(Duration::from_secs(30), response.text()).await;
    let told = told.expect("it outlived its token").unwrap();
    assert!(told.contains("id: 1\n") || told.contains("id:1\n"), "{}", &told[..told.len().min(300)]);
}
