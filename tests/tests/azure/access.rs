//! Who may do what, tried at every door: every role at every call, and every caller at others' machines.

use crate::door::{Door, SUBSCRIPTION, linux, vm};
use nightshift_cli::clients;
use nightshift_domain::SubscriptionId;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use nightshift_runtime::access::Role::{self, Admin, Approver, Operator, Reader};
use nightshift_runtime::access::Wanted;
use std::time::Duration;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

const HOUR: Duration = Duration::from_secs(3_600);
const OTHER: &str = "22222222-2222-3333-4444-555555555555";

impl Door {
    fn token(&self, role: Role, subscription: Option<&str>) -> String {
        let subscriptions = subscription.map(|name| vec![SubscriptionId::new(name).unwrap()]);
        let wanted = Wanted { subscriptions, ..Wanted::new(&format!("some-{role}"), role, HOUR) };
        self.stack.issuer.issue(&wanted).unwrap()
    }

    async fn as_role(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> crate::door::Answer {
        self.send(method, path, &[("authorization", &format!("Bearer {token}"))], body).await
    }

    fn owner_of(&self, service: &str) -> &str {
        let servers = &self.stack.servers;
        match service {
            "ConsoleService" => &servers.console,
            "FleetService" | "RolloutService" => &servers.planner,
            "RegionService" => &servers.coordinators[0],
            "HealthService" => &servers.health,
            _ => &servers.gateway,
        }
    }
}

/// Who may call what over gRPC, as docs/security.md says it.
const CALLS: &[(&str, &[Role])] = &[
    ("ConsoleService/ListVms", &[Reader, Operator, Approver, Admin]),
    ("ConsoleService/GetVm", &[Reader, Operator, Approver, Admin]),
    ("ConsoleService/ExplainVm", &[Reader, Operator, Approver, Admin]),
    ("ConsoleService/ListRollouts", &[Reader, Operator, Approver, Admin]),
    ("ConsoleService/GetRollout", &[Reader, Operator, Approver, Admin]),
    ("ConsoleService/WatchRollout", &[Reader, Operator, Approver, Admin]),
    ("ConsoleService/ReadEvents", &[Reader, Operator, Approver, Admin]),
    ("ConsoleService/ListPartitions", &[Reader, Operator, Approver, Admin]),
    ("FleetService/DeclareFleet", &[Admin]),
    ("FleetService/PutVm", &[Operator, Admin]),
    ("FleetService/RemoveVm", &[Operator, Admin]),
    ("FleetService/RegisterProvider", &[Admin]),
    ("FleetService/RegisterFeature", &[Admin]),
    ("FleetService/UnregisterFeature", &[Admin]),
    ("FleetService/ListFeatures", &[Reader, Operator, Approver, Admin]),
    ("RolloutService/StartRollout", &[Operator, Admin]),
    ("RolloutService/PauseRollout", &[Operator, Admin]),
    ("RolloutService/ResumeRollout", &[Operator, Admin]),
    ("RolloutService/RetryRollout", &[Operator, Admin]),
    ("RolloutService/SkipRegion", &[Operator, Admin]),
    ("RolloutService/CancelRollout", &[Operator, Admin]),
    ("RolloutService/InstallPatches", &[Operator, Admin]),
    ("RolloutService/ApprovePhase", &[Approver, Admin]),
    ("RolloutService/ChangePolicy", &[Admin]),
    ("RolloutService/DeclareRhythm", &[Admin]),
    ("RolloutService/GetRhythm", &[Reader, Operator, Approver, Admin]),
    ("RegionService/ListRuns", &[Reader, Operator, Approver, Admin]),
    ("RegionService/GetOrderKeys", &[Reader, Operator, Approver, Admin]),
    ("HealthService/GetVmHealth", &[Reader, Operator, Approver, Admin]),
    ("HealthService/ListRegionHealth", &[Reader, Operator, Approver, Admin]),
    ("HealthService/ReportSignals", &[Operator, Admin]),
    ("AgentService/IssueEnrolmentTokens", &[Admin]),
    ("AgentService/ListAgents", &[Reader, Operator, Approver, Admin]),
    ("AgentService/AssessVm", &[Operator, Admin]),
];

/// Calls with an empty message, which nothing makes fact of.
async fn call(channel: &Channel, name: &str, token: Option<&str>) -> Code {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(());
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let path = format!("/nightshift.api.v1.{name}").parse().unwrap();
    let answered = client.unary(request, path, tonic_prost::ProstCodec::<(), ()>::default()).await;
    answered.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_at_every_call_over_grpc() {
    let door = Door::open().await;
    for (name, may) in CALLS {
        let service = name.split('/').next().unwrap();
        let at = Endpoint::from_shared(door.owner_of(service).to_owned()).unwrap();
        let channel = at.connect().await.unwrap();
        assert_eq!(call(&channel, name, None).await, Code::Unauthenticated, "{name}");
        for role in Role::ALL {
            let code = call(&channel, name, Some(&door.token(role, None))).await;
            assert_ne!(code, Code::Unauthenticated, "{name} by {role}");
            assert_eq!(code != Code::PermissionDenied, may.contains(&role), "{name} by {role}: {code:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_at_every_path_over_http() {
    let door = Door::open().await;
    let all: &[Role] = &[Reader, Operator, Approver, Admin];
    let group = format!("/subscriptions/{SUBSCRIPTION}?api-version=2022-12-01");
    let register = door.feature("InGuestPatchVMPreview", "/register");
    let unregister = door
        .feature("InGuestPatchVMPreview", "/unregister")
        .to_uppercase()
        .replace("API-VERSION", "api-version");
    let provider =
        format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/register?api-version=2021-04-01");
    let cases: Vec<(&str, String, &[Role])> = vec![
        ("GET", "/v1/vms".into(), all),
        ("GET", "/v1/vms/none".into(), all),
        ("GET", "/v1/rollouts".into(), all),
        ("GET", "/v1/rollouts/none".into(), all),
        ("GET", "/v1/events/no+partition".into(), all),
        ("POST", "/v1/elsewhere".into(), &[Admin]),
        ("GET", "/elsewhere".into(), &[Admin]),
        ("GET", "/subscriptions?api-version=2022-12-01".into(), all),
        ("GET", group, all),
        ("GET", vm("none", ""), all),
        ("GET", vm("none", "/instanceView"), all),
        ("PUT", vm("none", ""), &[Operator, Admin]),
        ("PATCH", vm("none", ""), &[Operator, Admin]),
        ("DELETE", vm("none", ""), &[Operator, Admin]),
        ("POST", vm("none", "/assessPatches"), &[Operator, Admin]),
        ("POST", vm("none", "/installPatches"), &[Operator, Admin]),
        ("POST", register, &[Admin]),
        ("POST", unregister, &[Admin]),
        ("POST", provider, &[Admin]),
    ];
    for (method, path, may) in cases {
        let open =
            reqwest::Client::new().request(method.parse().unwrap(), door.link(&path)).send().await.unwrap();
        assert_eq!(open.status(), 401, "{method} {path}");
        assert!(
            open.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"),
            "{method} {path}"
        );
        for role in Role::ALL {
            let answer = door.as_role(&door.token(role, None), method, &path, None).await;
            assert_ne!(answer.status, 401, "{method} {path} by {role}");
            assert_eq!(
                answer.status != 403,
                may.contains(&role),
                "{method} {path} by {role}: {}",
                answer.status
            );
            if answer.status == 403 {
                assert_eq!(answer.code(), "AuthorizationFailed");
            }
        }
    }
    // What cannot be read is refused as everything else is.
    let refused = door.get("/v1/events/fleet?from=yesterday").await.expect(400);
    assert!(refused.body["error"]["message"].as_str().unwrap().starts_with("from = \"yesterday\": "));
    let refused = door.send("POST", "/v1/rollouts/r/pause", &[], Some("{}".into())).await.expect(400);
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("`reason`"));
    for open in ["/healthz", "/openapi.json", "/metadata/endpoints?api-version=2022-09-01"] {
        assert_eq!(reqwest::get(door.link(open)).await.unwrap().status(), 200, "{open}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_one_subscription_see_and_touch_its_machines_alone() {
    let door = Door::open().await;
    door.opt_in().await;
    let others = |path: String| path.replace(SUBSCRIPTION, OTHER);
    let body = linux("ImageDefault");
    door.put(&vm("mine", ""), &body).await.expect(201);
    door.put(&others(vm("theirs", "")), &body).await.expect(201);
    let (reader, operator) =
        (door.token(Reader, Some(SUBSCRIPTION)), door.token(Operator, Some(SUBSCRIPTION)));
    let get = async |path: &str| door.as_role(&reader, "GET", path, None).await;

    get(&vm("mine", "")).await.expect(200);
    for path in [vm("theirs", ""), vm("theirs", "/instanceView")] {
        assert_eq!(get(&others(path)).await.expect(403).code(), "AuthorizationFailed");
    }
    let listed = get("/v1/vms").await.expect(200).body["vms"].clone();
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[0]["vm"]["subscription"]),
        (1, &SUBSCRIPTION.into())
    );
    let known = get("/subscriptions?api-version=2022-12-01").await.expect(200).body["value"].clone();
    assert_eq!((known.as_array().unwrap().len(), &known[0]["subscriptionId"]), (1, &SUBSCRIPTION.into()));
    get("/v1/vms/mine").await.expect(200);
    get("/v1/vms/theirs").await.expect(404);
    get("/v1/vms/mine/explain").await.expect(200);
    // Nobody learns from the answer whether there is such a machine; and who may see all learns that there is none.
    let explained = async |path: &str| get(path).await.expect(404).body["error"]["message"].to_string();
    assert!(explained("/v1/vms/theirs/explain").await.contains("VmNotFound"));
    assert!(explained("/v1/vms/nobody/explain").await.contains("VmNotFound"));
    door.get("/v1/vms/nobody/explain").await.expect(404);
    let mut console = clients::console(&door.stack.servers).await.unwrap();
    let explained = console.explain_vm(api::ExplainVmRequest { vm: "nobody".into() }).await;
    assert_eq!(explained.unwrap_err().code(), Code::NotFound);
    // The log names everybody's machines.
    get("/v1/events/fleet").await.expect(403);

    let put = async |path: String| door.as_role(&operator, "PUT", &path, Some(body.to_string())).await.status;
    assert_eq!((put(vm("mine", "")).await, put(others(vm("theirs", ""))).await), (200, 403));
    let mut servers = door.stack.servers.clone();
    (servers.token_file, servers.token) = (None, Some(operator.clone()));
    let mut fleet = clients::fleet(&servers).await.unwrap();
    let theirs = api::RemoveVmRequest { vm: "theirs".into(), ..Default::default() };
    assert_eq!(fleet.remove_vm(theirs).await.unwrap_err().code(), Code::NotFound);
    // Somebody else's machine is not taken over by naming it one's own.
    let request = api::GetVmRequest { vm: "theirs".into() };
    let console = clients::console(&door.stack.servers).await.unwrap().get_vm(request).await.unwrap();
    let seen = console.into_inner().vm.unwrap().vm.unwrap();
    let own = wire::Vm { subscription: SUBSCRIPTION.into(), ..seen.clone() };
    for (claimed, seen) in [(own.clone(), Some(seen.clone())), (own, None), (seen, None)] {
        let request = api::PutVmRequest { vm: Some(claimed), seen, ..Default::default() };
        assert_ne!(fleet.put_vm(request).await.unwrap_err().code(), Code::Ok);
    }
    // What concerns everybody takes the role for everybody.
    let mut rollouts = clients::rollouts(&servers).await.unwrap();
    let pause = api::PauseRolloutRequest { rollout: "r".into(), ..Default::default() };
    assert_eq!(rollouts.pause_rollout(pause).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wished_something_is_who_the_token_says() {
    let door = Door::open().await;
    door.opt_in().await;
    door.put(&vm("web", ""), &linux("AutomaticByPlatform")).await.expect(201);
    let mut servers = door.stack.servers.clone();
    (servers.token_file, servers.token) = (None, Some(door.token(Operator, None)));
    let request = api::StartRolloutRequest {
        rollout: "r".into(),
        policy: Some((&nightshift_domain::policy::Policy::default()).into()),
        actor: Some(wire::Actor { name: "the chief".into(), reason: "monthly".into() }),
        ..Default::default()
    };
    let mut rollouts = clients::rollouts(&servers).await.unwrap();
    // Registering is over as soon as rollout-planner has read of it.
    while rollouts.start_rollout(request.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
    let mut console = clients::console(&servers).await.unwrap();
    let read = api::ReadEventsRequest { partition: "rollout".into(), after: 0, follow: true, from: None };
    let first = console.read_events(read).await.unwrap().into_inner().message().await.unwrap().unwrap();
    let envelope = nightshift_protocol::envelope::Envelope::try_from(first.envelope.unwrap()).unwrap();
    let event = envelope.fact().unwrap().event;
    let nightshift_domain::Event::RolloutRequested { actor, .. } = event else { panic!("{event:?}") };
    assert_eq!((actor.name.as_str(), actor.reason.as_str()), ("some-operator", "monthly"));
}
