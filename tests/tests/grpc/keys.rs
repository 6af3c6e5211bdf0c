//! Commands with an idempotency key, through the services' doors and across a restart.

use crate::world::{World, actor, rollout, until};
use nightshift_cli::clients;
use nightshift_domain::Partition;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use tonic::Code;
use tonic_types::StatusExt as _;

/// How many events the partition has.
async fn events(world: &World, partition: Partition) -> usize {
    let request = api::ReadEventsRequest { partition: partition.to_string(), after: 0, ..Default::default() };
    let mut console = clients::console(&world.stack.servers).await.unwrap();
    let mut events = console.read_events(request).await.unwrap().into_inner();
    let mut count = 0;
    while events.message().await.unwrap().is_some() {
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_again_each_command_does_nothing_twice_and_answers_the_same_across_a_restart() {
    let mut world = World::new().await;
    let vm = {
        let mut console = clients::console(&world.stack.servers).await.unwrap();
        let request = api::GetVmRequest { vm: "weu-web-01".into() };
        console.get_vm(request).await.unwrap().into_inner().vm.unwrap().vm.unwrap()
    };
    let changed = wire::Vm { time_zone: Some("Europe/Oslo".into()), ..vm.clone() };
    let put = api::PutVmRequest {
        vm: Some(changed),
        seen: Some(vm.clone()),
        idempotency_key: "put".into(),
        ..Default::default()
    };
    let tokens = api::IssueEnrolmentTokensRequest {
        vms: vec!["weu-web-01".into(), "weu-web-02".into()],
        idempotency_key: "tokens".into(),
        ..Default::default()
    };
    let pause =
        api::PauseRolloutRequest { rollout: "r".into(), actor: actor(), idempotency_key: "pause".into() };
    let remove = api::RemoveVmRequest {
        vm: "weu-web-03".into(),
        idempotency_key: "remove".into(),
        ..Default::default()
    };
    let mut answers = Vec::new();
    let mut counts = Vec::new();
    for round in 0..3 {
        let servers = &world.stack.servers;
        let mut fleet = clients::fleet(servers).await.unwrap();
        let mut rollouts = clients::rollouts(servers).await.unwrap();
        let mut agents = clients::agents(servers).await.unwrap();
        // The gateway reads of the fleet in the log.
        let issued = until(async || agents.issue_enrolment_tokens(tokens.clone()).await.ok()).await;
        let answer = (
            rollouts.start_rollout(rollout("r", "start")).await.unwrap().into_inner(),
            fleet.put_vm(put.clone()).await.unwrap().into_inner(),
            issued.into_inner(),
            rollouts.pause_rollout(pause.clone()).await.unwrap().into_inner(),
            fleet.remove_vm(remove.clone()).await.unwrap().into_inner(),
        );
        if round == 0 {
            // Meanwhile others go on: what was asked for is neither the newest state, nor what anybody wants again.
            let resume =
                api::ResumeRolloutRequest { rollout: "r".into(), actor: actor(), ..Default::default() };
            rollouts.resume_rollout(resume).await.unwrap();
            let seen = answer.1.vm.clone();
            let back = api::PutVmRequest { vm: Some(vm.clone()), seen, ..Default::default() };
            fleet.put_vm(back).await.unwrap();
        }
        answers.push(answer);
        let west = Partition::Region("west-europe".parse().unwrap());
        counts.push((
            events(&world, Partition::Fleet).await,
            events(&world, Partition::Rollout).await,
            events(&world, west).await,
        ));
        if round == 1 {
            world = world.restart().await;
        }
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    assert!(
        !answers[0].0.phases.is_empty() && answers[0].2.tokens.iter().all(|issued| issued.token.len() >= 64)
    );
    assert_eq!(counts[0].0, counts[1].0, "nothing was put or removed twice");
    assert_eq!((counts[0].1, counts[0].2), (counts[1].1, counts[1].2), "nothing was started or issued twice");
    assert_eq!(counts[1], counts[2]);

    // The same key with another request.
    let mut rollouts = clients::rollouts(&world.stack.servers).await.unwrap();
    let refused = rollouts.start_rollout(rollout("another", "start")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "IDEMPOTENCY_KEY_REUSED");
    let mut agents = clients::agents(&world.stack.servers).await.unwrap();
    let one = api::IssueEnrolmentTokensRequest { vms: vec!["weu-web-01".into()], ..tokens };
    let refused = agents.issue_enrolment_tokens(one).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "IDEMPOTENCY_KEY_REUSED");
}
