//! Every list, page by page.

use crate::world::{World, actor, rollout, until};
use nightshift_cli::clients;
use nightshift_protocol::api::v1 as api;
use tonic::{Code, Status};

/// All items, two a page.
async fn all<T>(mut page: impl AsyncFnMut(u32, String) -> Result<(Vec<T>, String), Status>) -> Vec<T> {
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let (more, next) = page(2, token).await.unwrap();
        assert!(more.len() == 2 || next.is_empty(), "only the last page is shorter");
        items.extend(more);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    let damaged = page(2, "00".repeat(12)).await.err().expect("a damaged token is refused");
    assert_eq!(damaged.code(), Code::InvalidArgument);
    items
}

fn sorted(names: &[String], so_many: usize) {
    assert!(names.len() >= so_many && names.is_sorted_by(|a, b| a < b), "each once: {names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_comes_in_pages_and_each_item_once() {
    let world = World::new().await;
    let servers = &world.stack.servers;
    let mut console = clients::console(servers).await.unwrap();
    let mut rollouts = clients::rollouts(servers).await.unwrap();
    let mut fleet = clients::fleet(servers).await.unwrap();
    let mut agents = clients::agents(servers).await.unwrap();
    let mut health = clients::health(servers).await.unwrap();
    let mut regions = clients::coordinator(servers, &servers.coordinators[0]).await.unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        rollouts.start_rollout(rollout(name, "")).await.unwrap();
    }
    let vms: Vec<String> = (1..=5).map(|n| format!("weu-web-0{n}")).collect();
    let tokens = api::IssueEnrolmentTokensRequest { vms: vms.clone(), ..Default::default() };
    until(async || agents.issue_enrolment_tokens(tokens.clone()).await.ok()).await;

    let mut total = 0;
    let found = all(async |page_size, page_token| {
        let region = "west-europe".to_owned();
        let request = api::ListVmsRequest { page_size, page_token, region, ..Default::default() };
        let page = console.list_vms(request).await?.into_inner();
        total = page.total as usize;
        let names = page.vms.into_iter().map(|vm| vm.vm.unwrap().id).collect();
        Ok((names, page.next_page_token))
    })
    .await;
    sorted(&found, 5);
    assert_eq!(found.len(), total);

    until(async || {
        let page = console.list_rollouts(api::ListRolloutsRequest::default()).await.unwrap().into_inner();
        (page.rollouts.len() == 5).then_some(())
    })
    .await;
    let found = all(async |page_size, page_token| {
        let request = api::ListRolloutsRequest { page_size, page_token };
        let page = console.list_rollouts(request).await?.into_inner();
        Ok((page.rollouts.into_iter().map(|rollout| rollout.rollout).collect(), page.next_page_token))
    })
    .await;
    assert_eq!(found, ["a", "b", "c", "d", "e"]);

    let found = all(async |page_size, page_token| {
        let request = api::ListPartitionsRequest { page_size, page_token };
        let page = console.list_partitions(request).await?.into_inner();
        Ok((page.partitions, page.next_page_token))
    })
    .await;
    assert!(found.len() >= 3 && found[..2] == ["fleet", "rollout"], "{found:?}");

    let found = all(async |page_size, page_token| {
        let request = api::ListFeaturesRequest { page_size, page_token, ..Default::default() };
        let page = fleet.list_features(request).await?.into_inner();
        let name = |state: api::FeatureState| format!("{:?}", state.registration.unwrap());
        Ok((page.features.into_iter().map(name).collect(), page.next_page_token))
    })
    .await;
    let once: std::collections::BTreeSet<&String> = found.iter().collect();
    assert_eq!((found.len(), once.len()), (5, 5), "{found:?}");

    let found = all(async |page_size, page_token| {
        let page = agents.list_agents(api::ListAgentsRequest { page_size, page_token }).await?.into_inner();
        Ok((page.agents.into_iter().map(|agent| agent.vm).collect(), page.next_page_token))
    })
    .await;
    // Others have an entry by now: it is night somewhere, and their machines were to be assessed.
    sorted(&found, 5);
    assert!(vms.iter().all(|vm| found.contains(vm)), "{found:?}");

    let found = all(async |page_size, page_token| {
        let region = "west-europe".to_owned();
        let request = api::ListRegionHealthRequest { region, page_size, page_token };
        let page = health.list_region_health(request).await?.into_inner();
        Ok((page.vms.into_iter().map(|vm| vm.vm).collect(), page.next_page_token))
    })
    .await;
    sorted(&found, 5);

    // A rollout that is cancelled leaves its region to the next one.
    for (runs, name) in (1..).zip(["a", "b", "c"]) {
        until(async || {
            let page = regions.list_runs(api::ListRunsRequest::default()).await.unwrap().into_inner();
            (page.runs.len() >= runs).then_some(())
        })
        .await;
        let cancel = api::CancelRolloutRequest { rollout: name.into(), actor: actor(), ..Default::default() };
        rollouts.cancel_rollout(cancel).await.unwrap();
    }
    let found = all(async |page_size, page_token| {
        let request = api::ListRunsRequest { page_size, page_token, ..Default::default() };
        let page = regions.list_runs(request).await?.into_inner();
        let name = |run: api::Run| format!("{} {}", run.region, run.rollout);
        Ok((page.runs.into_iter().map(name).collect(), page.next_page_token))
    })
    .await;
    sorted(&found, 3);
}
