//! Which call needs which role. Whoever wants to know who may do what reads this page.

use super::caller::Role::{self, Admin, Approver, Operator, Reader};
use super::calls::Reach::{All, Own};
use nightshift_domain::SubscriptionId;
use percent_encoding::percent_decode_str;

/// Whose VMs a call reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Everybody's: the role is needed for all subscriptions.
    All,
    /// Those of the subscriptions for which the caller has the role; the service that answers keeps to them.
    Own,
}

/// What a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Nothing: what says nothing of any installation, or what must be answered before there can be a token.
    Nothing,
    /// This role, with this reach.
    Role(Role, Reach),
    /// This role for this subscription.
    In(Role, SubscriptionId),
    /// What nobody serves.
    Unknown,
}

/// gRPC, by service and method of `nightshift.api.v1`.
const CALLS: &[(&str, Role, Reach)] = &[
    ("ConsoleService/ListVms", Reader, Own),
    ("ConsoleService/GetVm", Reader, Own),
    ("ConsoleService/ExplainVm", Reader, Own),
    // What a rollout says of others' machines is left out.
    ("ConsoleService/ListRollouts", Reader, Own),
    ("ConsoleService/GetRollout", Reader, Own),
    ("ConsoleService/WatchRollout", Reader, Own),
    // The log names everybody's machines.
    ("ConsoleService/ReadEvents", Reader, All),
    ("ConsoleService/ListPartitions", Reader, All),
    // Counts; what a halt says of others' machines is left out.
    ("OverviewService/GetOverview", Reader, Own),
    ("OverviewService/WatchOverview", Reader, Own),
    // These name everybody's machines, sets or zones.
    ("OverviewService/GetTopology", Reader, All),
    ("OverviewService/PreviewRollout", Reader, All),
    ("LookbackService/GetVmHistory", Reader, Own),
    ("LookbackService/GetVmSignals", Reader, Own),
    ("LookbackService/GetTimeline", Reader, All),
    ("LookbackService/GetReport", Reader, All),
    ("LookbackService/ListReportRows", Reader, All),
    ("LookbackService/GetCompliance", Reader, All),
    ("LookbackService/Audit", Reader, All),
    ("WebhookService/ListWebhooks", Reader, All),
    ("WebhookService/RetryWebhook", Operator, All),
    ("FleetService/DeclareFleet", Admin, All),
    ("FleetService/PutVm", Operator, Own),
    ("FleetService/RemoveVm", Operator, Own),
    ("FleetService/RegisterProvider", Admin, Own),
    ("FleetService/RegisterFeature", Admin, Own),
    ("FleetService/UnregisterFeature", Admin, Own),
    ("FleetService/ListFeatures", Reader, Own),
    ("RolloutService/StartRollout", Operator, All),
    ("RolloutService/PauseRollout", Operator, All),
    ("RolloutService/ResumeRollout", Operator, All),
    ("RolloutService/RetryRollout", Operator, All),
    ("RolloutService/SkipRegion", Operator, All),
    ("RolloutService/CancelRollout", Operator, All),
    // On one VM: the planner keeps to those of the caller.
    ("RolloutService/InstallPatches", Operator, Own),
    ("RolloutService/ApprovePhase", Approver, All),
    // It could take back that phases are approved.
    ("RolloutService/ChangePolicy", Admin, All),
    ("RolloutService/DeclareRhythm", Admin, All),
    ("RolloutService/GetRhythm", Reader, Own),
    // Counts, and public keys.
    ("RegionService/ListRuns", Reader, Own),
    ("RegionService/GetOrderKeys", Reader, Own),
    // The monitor knows VMs by their regions, not by their owners.
    ("HealthService/GetVmHealth", Reader, All),
    ("HealthService/ListRegionHealth", Reader, All),
    // A report can confirm or halt. Reporters without a person's role have a NATS user of their own.
    ("HealthService/ReportSignals", Operator, All),
    ("AgentService/IssueEnrolmentTokens", Admin, Own),
    ("AgentService/ListAgents", Reader, Own),
    ("AgentService/AssessVm", Operator, Own),
];

/// gRPC services that tell of the contract and of a service's health, and of nothing else.
const OPEN_SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Method, path and need; none for what is open.
type Path = (&'static str, &'static str, Option<(Role, Reach)>);

/// HTTP: method, path and need; the first row that fits counts, and what none fits is refused. `*` is one segment or any
/// method, `**` is the rest, and `S` is the subscription for which the role is needed. Fixed parts have no case, as in
/// Azure Resource Manager.
const PATHS: &[Path] = &[
    ("GET", "healthz", None),
    ("GET", "openapi.json", None),
    // Asked before anybody can log in.
    ("GET", "metadata/endpoints", None),
    // Tells who holds a token how long it is good for.
    ("GET", "identity", None),
    // The page itself; what it shows it asks for.
    ("GET", "", None),
    ("GET", "page/**", None),
    ("GET", "v1/events/**", Some((Reader, All))),
    ("GET", "v1/topology", Some((Reader, All))),
    ("GET", "v1/timeline", Some((Reader, All))),
    ("GET", "v1/report/**", Some((Reader, All))),
    ("GET", "v1/compliance", Some((Reader, All))),
    ("GET", "v1/audit", Some((Reader, All))),
    ("GET", "v1/**", Some((Reader, Own))),
    // It changes nothing: a rollout that was not started.
    ("POST", "v1/preview", Some((Reader, All))),
    ("POST", "v1/rollouts/*/approve", Some((Approver, All))),
    ("POST", "v1/rollouts/**", Some((Operator, All))),
    ("*", "v1/**", Some((Admin, All))),
    ("GET", "tenants", Some((Reader, Own))),
    ("GET", "subscriptions", Some((Reader, Own))),
    ("GET", "subscriptions/S/**", Some((Reader, Own))),
    ("HEAD", "subscriptions/S/**", Some((Reader, Own))),
    ("POST", "subscriptions/S/providers/*/register", Some((Admin, Own))),
    ("POST", "subscriptions/S/providers/microsoft.features/**", Some((Admin, Own))),
    ("*", "subscriptions/S/**", Some((Operator, Own))),
];

/// By which door a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// gRPC.
    Grpc,
    /// HTTP.
    Http,
}

/// What this call needs.
pub fn need(door: Door, method: &str, path: &str) -> Need {
    match door {
        Door::Grpc => of_call(path),
        Door::Http => of_path(method, path),
    }
}

fn of_call(path: &str) -> Need {
    let path = path.trim_start_matches('/');
    if OPEN_SERVICES.iter().any(|open| path.strip_prefix(open).is_some_and(|rest| rest.starts_with('/'))) {
        return Need::Nothing;
    }
    let called = path.strip_prefix("nightshift.api.v1.");
    let row = CALLS.iter().find(|(name, ..)| Some(*name) == called);
    row.map_or(Need::Unknown, |(_, role, reach)| Need::Role(*role, *reach))
}

fn of_path(method: &str, path: &str) -> Need {
    // As the door that answers reads it: cut first, decoded then.
    let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().to_ascii_lowercase();
    let segments: Vec<String> = path.trim_matches('/').split('/').map(decode).collect();
    for (methods, pattern, need) in PATHS {
        if *methods != "*" && *methods != method {
            continue;
        }
        let Some(subscription) = fits(pattern, &segments) else { continue };
        return match (need, subscription) {
            (None, _) => Need::Nothing,
            (Some((role, _)), Some(subscription)) => match SubscriptionId::new(subscription) {
                Ok(subscription) => Need::In(*role, subscription),
                // Nobody has it; the door says what is wrong with it.
                Err(_) => Need::Role(*role, Own),
            },
            (Some((role, reach)), None) => Need::Role(*role, *reach),
        };
    }
    Need::Unknown
}

/// Whether a path fits, and the subscription in it.
fn fits<'a>(pattern: &str, segments: &'a [String]) -> Option<Option<&'a str>> {
    let mut subscription = None;
    let mut rest = segments.iter();
    for part in pattern.split('/') {
        if part == "**" {
            return Some(subscription);
        }
        let segment = rest.next()?;
        match part {
            "*" => {}
            "S" => subscription = Some(segment.as_str()),
            fixed if fixed == segment => {}
            _ => return None,
        }
    }
    rest.next().is_none().then_some(subscription)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_contract_has_its_row_and_every_row_its_call() {
        use prost::Message as _;
        let set = prost_types::FileDescriptorSet::decode(nightshift_protocol::FILE_DESCRIPTOR_SET).unwrap();
        let of_api = set.file.into_iter().filter(|file| file.package() == "nightshift.api.v1");
        let mut calls: Vec<String> = of_api
            .flat_map(|file| file.service)
            .flat_map(|service| {
                let name = service.name().to_owned();
                service.method.into_iter().map(move |method| format!("{name}/{}", method.name()))
            })
            .collect();
        let mut rows: Vec<String> = CALLS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        calls.sort();
        rows.sort();
        assert_eq!(calls, rows);
    }

    #[test]
    fn every_call_that_changes_something_takes_an_idempotency_key() {
        use prost::Message as _;
        let set = prost_types::FileDescriptorSet::decode(nightshift_protocol::FILE_DESCRIPTOR_SET).unwrap();
        let of_api: Vec<_> =
            set.file.into_iter().filter(|file| file.package() == "nightshift.api.v1").collect();
        let messages = || of_api.iter().flat_map(|file| &file.message_type);
        let mut with_key: Vec<&str> = messages()
            .filter(|message| message.field.iter().any(|field| field.name() == "idempotency_key"))
            .map(|message| message.name())
            .collect();
        // Signals may be lost, and are to be sent again and again; a webhook is tried again and again anyway. Neither
        // makes a fact.
        let no_command = ["HealthService/ReportSignals", "WebhookService/RetryWebhook"];
        let changing = CALLS.iter().filter(|(name, role, _)| *role != Reader && !no_command.contains(name));
        let mut requests: Vec<String> = changing
            .map(|(name, ..)| format!("{}Request", name.split('/').next_back().unwrap_or_default()))
            .collect();
        let mut commands = nightshift_protocol::commands::COMMANDS.to_vec();
        with_key.sort_unstable();
        requests.sort();
        commands.sort_unstable();
        assert_eq!(requests, with_key);
        assert_eq!(commands, with_key);
    }

    #[test]
    fn paths_have_their_needs_however_they_are_written() {
        let subscription = || SubscriptionId::new("sub-1").unwrap();
        let of = |method, path| need(Door::Http, method, path);
        for (method, path, needed) in [
            ("GET", "/healthz", Need::Nothing),
            ("GET", "/metadata/endpoints", Need::Nothing),
            ("GET", "/", Need::Nothing),
            ("POST", "/", Need::Unknown),
            ("GET", "/elsewhere", Need::Unknown),
            ("GET", "/v1/vms/a", Need::Role(Reader, Own)),
            ("GET", "/v1/events/fleet", Need::Role(Reader, All)),
            ("GET", "/V1/%65vents/fleet", Need::Role(Reader, All)),
            ("POST", "/v1/rollouts/a/approve", Need::Role(Approver, All)),
            ("POST", "/v1/rollouts/a/pause", Need::Role(Operator, All)),
            ("POST", "/v1/rollouts", Need::Role(Operator, All)),
            ("GET", "/v1/report/machines.csv", Need::Role(Reader, All)),
            ("GET", "/v1/overview/live", Need::Role(Reader, Own)),
            ("POST", "/v1/preview", Need::Role(Reader, All)),
            ("GET", "/page/app.js", Need::Nothing),
            ("DELETE", "/v1/vms/a", Need::Role(Admin, All)),
            ("GET", "/subscriptions", Need::Role(Reader, Own)),
            ("GET", "/Subscriptions/SUB-1", Need::In(Reader, subscription())),
            ("GET", "//subscriptions/sub-1/locations/", Need::In(Reader, subscription())),
            ("GET", "/%73ubscriptions/sub%2D1/locations", Need::In(Reader, subscription())),
            ("PUT", "/subscriptions/sub-1/resourceGroups/g", Need::In(Operator, subscription())),
            (
                "POST",
                "/subscriptions/sub-1/providers/Microsoft.Compute/register",
                Need::In(Admin, subscription()),
            ),
            (
                "POST",
                "/subscriptions/sub-1/providers/microsoft.FEATURES/x/y/register",
                Need::In(Admin, subscription()),
            ),
            ("GET", "/subscriptions/a.b/locations", Need::Role(Reader, Own)),
        ] {
            assert_eq!(of(method, path), needed, "{method} {path}");
        }
    }

    #[test]
    fn only_health_and_the_contract_are_open_over_grpc() {
        let of = |path| need(Door::Grpc, "POST", path);
        assert_eq!(of("/grpc.health.v1.Health/Check"), Need::Nothing);
        assert_eq!(of("/nightshift.api.v1.ConsoleService/ListVms"), Need::Role(Reader, Own));
        for unknown in ["/grpc.health.v1.HealthX/Check", "/nightshift.api.v1.ConsoleService/Other", "/x"] {
            assert_eq!(of(unknown), Need::Unknown, "{unknown}");
        }
    }
}
