//! What is refused or too late, with details that programs can read.

use crate::world::{World, actor, rollout};
use nightshift_cli::clients;
use nightshift_domain::policy::Policy;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use std::time::Duration;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

/// The reason, for which every error has a place.
fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "nightshift");
    info.reason
}

/// The first field that is wrong, and why.
fn field(status: &Status) -> (String, String) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let mut violations = status.get_details_bad_request().unwrap().field_violations;
    let violation = violations.remove(0);
    (violation.field, violation.description)
}

/// What stands against it: of which kind, and its name.
fn against(status: &Status) -> (String, String) {
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let violation = status.get_details_precondition_failure().unwrap().violations.remove(0);
    (violation.r#type, violation.subject)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_says_to_programs_what_was_wrong() {
    let world = World::new().await;
    let servers = &world.stack.servers;
    let mut console = clients::console(servers).await.unwrap();
    let mut rollouts = clients::rollouts(servers).await.unwrap();
    let mut fleet = clients::fleet(servers).await.unwrap();
    let mut agents = clients::agents(servers).await.unwrap();
    let mut health = clients::health(servers).await.unwrap();
    let mut regions = clients::coordinator(servers, &servers.coordinators[0]).await.unwrap();

    // What is not there.
    let none = || "none".to_owned();
    let remove = api::RemoveVmRequest { vm: none(), ..Default::default() };
    let assess = api::AssessVmRequest { vm: none(), actor: actor(), ..Default::default() };
    for status in [
        console.get_vm(api::GetVmRequest { vm: none() }).await.unwrap_err(),
        fleet.remove_vm(remove).await.unwrap_err(),
        agents.assess_vm(assess).await.unwrap_err(),
        health.get_vm_health(api::GetVmHealthRequest { vm: none() }).await.unwrap_err(),
    ] {
        assert_eq!((status.code(), reason(&status)), (Code::NotFound, "VM_NOT_FOUND".into()));
        let resource = status.get_details_resource_info().unwrap();
        assert_eq!((resource.resource_type, resource.resource_name), ("Vm".into(), none()));
    }
    let watched = console.watch_rollout(api::WatchRolloutRequest { rollout: none(), ..Default::default() });
    let status = watched.await.unwrap_err();
    assert_eq!(reason(&status), "ROLLOUT_NOT_FOUND");

    // Fields, with their values.
    let wrong = api::StartRolloutRequest { rollout: "A B".into(), ..rollout("", "") };
    let (path, said) = field(&rollouts.start_rollout(wrong).await.unwrap_err());
    assert!(path == "rollout" && said.contains("\"A B\""), "{path}: {said}");
    let policy = Some(wire::Policy { batch_percent: 0, ..(&Policy::default()).into() });
    let status = rollouts.start_rollout(api::StartRolloutRequest { policy, ..rollout("r", "") }).await;
    let status = status.unwrap_err();
    assert_eq!((reason(&status), field(&status).0), ("INVALID_POLICY".into(), "policy.batch_percent".into()));
    let status = rollouts.start_rollout(api::StartRolloutRequest { actor: None, ..rollout("r", "") }).await;
    assert_eq!(field(&status.unwrap_err()), ("actor".into(), "actor: missing".into()));
    let vms = vec![wire::Vm::default()];
    let topology = Some((&nightshift_domain::topology::Topology::empty()).into());
    let declared = api::DeclareFleetRequest { topology, vms, ..Default::default() };
    let (path, _) = field(&fleet.declare_fleet(declared).await.unwrap_err());
    assert!(path.starts_with("vms[0]."), "{path}");
    let wish = |vm: &str| api::InstallPatchesRequest {
        rollout: "urgent".into(),
        vm: vm.into(),
        within_seconds: 7 * 24 * 60 * 60,
        actor: actor(),
        ..Default::default()
    };
    let endless = api::InstallPatchesRequest { maximum_duration_seconds: 2 * 86_400, ..wish("weu-web-01") };
    let status = rollouts.install_patches(endless).await.unwrap_err();
    assert_eq!(
        (reason(&status), field(&status).0),
        ("INVALID_POLICY".into(), "maximum_duration_seconds".into())
    );
    let token = api::ListRunsRequest { page_token: "0".into(), ..Default::default() };
    assert_eq!(field(&regions.list_runs(token).await.unwrap_err()).0, "page_token");

    // The state that stands against it.
    rollouts.start_rollout(rollout("r", "")).await.unwrap();
    let cancel = api::CancelRolloutRequest { rollout: "r".into(), actor: actor(), ..Default::default() };
    rollouts.cancel_rollout(cancel).await.unwrap();
    let pause = api::PauseRolloutRequest { rollout: "r".into(), actor: actor(), ..Default::default() };
    let status = rollouts.pause_rollout(pause).await.unwrap_err();
    assert_eq!(against(&status), ("ROLLOUT_STATE_CONFLICT".into(), "r".into()));
    rollouts.install_patches(wish("weu-web-01")).await.unwrap();
    let retry = api::RetryRolloutRequest { rollout: "urgent".into(), actor: actor(), ..Default::default() };
    let status = rollouts.retry_rollout(retry).await.unwrap_err();
    assert_eq!(against(&status), ("ROLLOUT_ON_DEMAND".into(), "urgent".into()));

    // Who asks.
    let mut nobody = servers.clone();
    (nobody.token_file, nobody.token) = (None, Some("x".into()));
    let mut console = clients::console(&nobody).await.unwrap();
    let status = console.list_vms(api::ListVmsRequest::default()).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::Unauthenticated, "INVALID_AUTHENTICATION_TOKEN".into())
    );
    nobody.token = Some(world.token(nightshift_runtime::access::Role::Reader, Duration::from_secs(60)));
    let mut rollouts = clients::rollouts(&nobody).await.unwrap();
    let status = rollouts.start_rollout(rollout("s", "")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::PermissionDenied, "AUTHORIZATION_FAILED".into()));
}

/// The caller's own clock is kept out of it: it would say the same by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_callers_deadline_and_the_service_says_so() {
    let world = World::new().await;
    let mut console = clients::console(&world.stack.servers).await.unwrap();
    let read = api::ReadEventsRequest { partition: "rollout".into(), after: 0, follow: true, from: None };
    let mut request = Request::new(read);
    request.metadata_mut().insert("grpc-timeout", "500m".parse().unwrap());
    let mut events = console.read_events(request).await.unwrap().into_inner();
    let status = loop {
        match events.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended as if all had been told"),
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), reason(&status)), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into()));
    // A deadline that is over before anything is done.
    let mut request = Request::new(rollout("late", ""));
    request.metadata_mut().insert("grpc-timeout", "1n".parse().unwrap());
    let mut rollouts = clients::rollouts(&world.stack.servers).await.unwrap();
    let status = rollouts.start_rollout(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    let planned = rollouts.pause_rollout(api::PauseRolloutRequest {
        rollout: "late".into(),
        actor: actor(),
        ..Default::default()
    });
    assert_eq!(planned.await.unwrap_err().code(), Code::NotFound, "it was not started");
}
