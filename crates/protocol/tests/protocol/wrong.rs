//! What is not as it should be is an error that names the field and its value.

use crate::examples::examples;
use crate::{name, seal};
use nightshift_domain::Event;
use nightshift_protocol::convert::{DecodeError, time};
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::events::v1::{self as wire, event::Kind};
use nightshift_protocol::json::event_json;
use pbjson_types::Timestamp;
use prost::Message as _;

struct Case {
    event: &'static str,
    change: fn(&mut Kind),
    error: &'static str,
}

macro_rules! cases {
    ($($variant:ident |$message:ident| $change:expr => $error:literal;)+) => {
        [$(Case {
            event: stringify!($variant),
            change: |kind| {
                let Kind::$variant($message) = kind else { panic!("not a {}", stringify!($variant)) };
                $change;
            },
            error: concat!(stringify!($variant), ".", $error),
        }),+]
    };
}

const GRAMMAR: &str =
    "is not an identifier: use 1 to 63 of a-z, 0-9 and \"-\", not beginning or ending with \"-\"";

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    cases! {
        VmRegistered |m| m.vm = None => "vm: missing";
        VmRegistered |m| vm(m).id = String::new() => "vm.id: VM \"\" GRAMMAR";
        VmRegistered |m| vm(m).region = "West Europe".into() => "vm.region: region \"West Europe\" GRAMMAR";
        VmRegistered |m| vm(m).subscription = "a.b".into() => "vm.subscription: subscription \"a.b\" GRAMMAR";
        VmRegistered |m| vm(m).placement = None => "vm.placement: missing";
        VmRegistered |m| vm(m).placement = Some(wire::Placement::default()) => "vm.placement.kind: missing";
        VmRegistered |m| vm(m).placement = in_set("DB", 1) => "vm.placement.availability_set.set: availability set \"DB\" GRAMMAR";
        VmRegistered |m| vm(m).placement = in_set("db", 256) => "vm.placement.availability_set.update_domain: 256 is too large: at most 255";
        VmRegistered |m| vm(m).image = None => "vm.image: missing";
        VmRegistered |m| vm(m).os = 0 => "vm.os: 0 is not a known value";
        VmRegistered |m| vm(m).patch_mode = 17 => "vm.patch_mode: 17 is not a known value";
        VmRegistered |m| vm(m).patch_mode = -1 => "vm.patch_mode: -1 is not a known value";
        VmRegistered |m| vm(m).time_zone = Some("Mars/Olympus".into()) => "vm.time_zone: \"Mars/Olympus\" is not an IANA time zone";
        VmRegistered |m| vm(m).time_zone = Some(String::new()) => "vm.time_zone: \"\" is not an IANA time zone";
        VmRegistered |m| vm(m).window = window("22:00", "22:00") => "vm.window.end: window 22:00–22:00 has no length: start and end must differ (for example 22:00 and 06:00)";
        VmRegistered |m| vm(m).window = window("late", "22:00") => "vm.window.start: window start = \"late\" is not a time of day: write HH:MM, for example 22:00";
        VmRegistered |m| vm(m).window = window("22:00", "24:00") => "vm.window.end: window end = \"24:00\" is not a time of day: write HH:MM, for example 22:00";
        FeatureRegistered |m| m.feature = 0 => "feature: 0 is not a known value";
        TopologyDeclared |m| m.topology.as_mut().unwrap().window = None => "topology.window: missing";
        TopologyDeclared |m| region(m).name = "north-europe".into() => "topology.regions[1].name: \"north-europe\" is there twice";
        TopologyDeclared |m| region(m).pair = Some("mars".into()) => "topology.regions: region \"west-europe\": pair = \"mars\" is not a region of this topology";
        TopologyDeclared |m| region(m).pair = Some("west-europe".into()) => "topology.regions: region \"west-europe\": pair = \"west-europe\" is the region itself";
        TopologyDeclared |m| region(m).zones = vec!["a".into(), "b".into(), "a".into()] => "topology.regions[1].zones[2]: \"a\" is there twice";
        TopologyDeclared |m| region(m).zones = vec!["a".into(), "B".into()] => "topology.regions[1].zones[1]: zone \"B\" GRAMMAR";
        RolloutRequested |m| m.policy = None => "policy: missing";
        RolloutRequested |m| m.policy.as_mut().unwrap().phase_shares[1] = 300 => "policy.phase_shares[1]: 300 is too large: at most 255";
        RolloutRequested |m| m.policy.as_mut().unwrap().batch_percent = 1_000 => "policy.batch_percent: 1000 is too large: at most 255";
        RolloutRequested |m| m.policy.as_mut().unwrap().soak_seconds = i64::MAX => "policy.soak_seconds: 9223372036854775807 seconds is out of range";
        RolloutRequested |m| m.actor.as_mut().unwrap().name = String::new() => "actor.name: empty: every wish has somebody who wished it";
        RolloutPlanned |m| m.phases[0].regions[0].region = "X".into() => "phases[0].regions[0].region: region \"X\" GRAMMAR";
        RolloutHalted |m| m.region = Some(String::new()) => "region: region \"\" GRAMMAR";
        TurnEnded |m| m.tally = None => "tally: missing";
        RunEnlisted |m| m.members[0].window = None => "members[0].window: missing";
        RunEnlisted |m| m.members[0].time_zone = "UTC+1".into() => "members[0].time_zone: \"UTC+1\" is not an IANA time zone";
        StageStarted |m| m.stage = Some(wire::StageKey { kind: None }) => "stage.kind: missing";
        StageEnded |m| m.stage = Some(wire::StageKey { kind: Some(wire::stage_key::Kind::Zone("Z".into())) }) => "stage.zone: zone \"Z\" GRAMMAR";
        StepStarted |m| m.vms.push("VM".into()) => "vms[1]: VM \"VM\" GRAMMAR";
        StepStarted |m| m.step = step_of_set("db", 999) => "step.update_domain.update_domain: 999 is too large: at most 255";
        StepStarted |m| m.step = step_of_set("", 0) => "step.update_domain.set: availability set \"\" GRAMMAR";
        StepEnded |m| m.step = None => "step: missing";
        OrderPlaced |m| order(m).not_after = None => "order.not_after: missing";
        OrderPlaced |m| order(m).deadline = Some(Timestamp { seconds: i64::MAX, nanos: 5 }) => "order.deadline: 9223372036854775807.000000005 is no moment";
        OrderPlaced |m| order(m).reboot = 9 => "order.reboot: 9 is not a known value";
        OrderPlaced |m| selection(m).classifications = vec![1, 0] => "order.selection.classifications[1]: 0 is not a known value";
        OrderPlaced |m| selection(m).exclude = vec!["a b".into()] => "order.selection.exclude[0]: mask \"a b\": use 1 to 128 printable characters without spaces; * stands for any";
        OrderPlaced |m| order(m).selection = None => "order.selection: missing";
        PolicyChanged |m| policy(m).budgets = None => "policy.budgets: missing";
        PolicyChanged |m| policy(m).on_failure = 9 => "policy.on_failure: 9 is not a known value";
        PolicyChanged |m| policy(m).blackouts[0].to = "Xmas".into() => "policy.blackouts[0].to: \"Xmas\" is not a day: write YYYY-MM-DD";
        RhythmDeclared |m| m.rhythm.as_mut().unwrap().at = "noon".into() => "rhythm.at: \"noon\" is not a time of day: write HH:MM";
        PatchBarred |m| m.patch = None => "patch: missing";
        VmSettled |m| m.outcome = Some(wire::Outcome { kind: None }) => "outcome.kind: missing";
        EnrolmentTokenIssued |m| m.expires = Some(Timestamp { seconds: 1, nanos: -1 }) => "expires: 1.-00000001 is no moment";
        AgentConnected |m| m.identity.as_mut().unwrap().boot_id = String::new() => "identity.boot_id: missing";
        AgentAssessed |m| m.assessment.as_mut().unwrap().patches[0].classification = 4 => "assessment.patches[0].classification: 4 is not a known value";
        OrderFinished |m| m.result.as_mut().unwrap().reboot = 0 => "result.reboot: 0 is not a known value";
        OrderFinished |m| m.result.as_mut().unwrap().patches[0].state = 6 => "result.patches[0].state: 6 is not a known value";
        OrderRefused |m| m.order = "é".into() => "order: order \"é\" GRAMMAR";
        WatchOpened |m| m.baseline = Some(wire::Baseline { kind: None }) => "baseline.kind: missing";
        HealthFailed |m| m.signal.as_mut().unwrap().at = None => "signal.at: missing";
    }
    .into()
}

fn vm(message: &mut wire::VmRegistered) -> &mut wire::Vm {
    message.vm.as_mut().unwrap()
}

/// `west-europe`, the second by name.
fn region(message: &mut wire::TopologyDeclared) -> &mut wire::Region {
    &mut message.topology.as_mut().unwrap().regions[1]
}

fn order(message: &mut wire::OrderPlaced) -> &mut wire::Order {
    message.order.as_mut().unwrap()
}

fn selection(message: &mut wire::OrderPlaced) -> &mut wire::Selection {
    order(message).selection.as_mut().unwrap()
}

fn policy(message: &mut wire::PolicyChanged) -> &mut wire::Policy {
    message.policy.as_mut().unwrap()
}

fn window(start: &str, end: &str) -> Option<wire::Window> {
    Some(wire::Window { start: start.into(), end: end.into() })
}

fn in_set(set: &str, update_domain: u32) -> Option<wire::Placement> {
    let set = wire::AvailabilitySetPlacement { set: set.into(), update_domain };
    Some(wire::Placement { kind: Some(wire::placement::Kind::AvailabilitySet(set)) })
}

fn step_of_set(set: &str, update_domain: u32) -> Option<wire::StepKey> {
    let step = wire::UpdateDomainStep { set: set.into(), update_domain };
    Some(wire::StepKey { kind: Some(wire::step_key::Kind::UpdateDomain(step)) })
}

fn good(event: &str) -> (Event, Envelope) {
    let sealed = |(partition, event)| (seal(&partition, &event), event);
    let mut examples = examples().into_iter().map(sealed);
    let (envelope, event) = examples.find(|(envelope, _)| name(envelope) == event).unwrap();
    (event, envelope)
}

#[test]
fn what_is_wrong_in_an_event_is_named_with_its_value() {
    for Case { event, change, error } in cases() {
        let (example, envelope) = good(event);
        let mut changed = wire::Event::from(&example);
        change(changed.kind.as_mut().unwrap());
        let spoilt = Envelope { data: changed.encode_to_vec(), ..envelope };
        let expected = error.replace("GRAMMAR", GRAMMAR);
        assert_eq!(spoilt.fact().unwrap_err().to_string(), expected);
    }
}

#[test]
fn an_event_that_is_not_known_here_is_named_by_its_type() {
    let (_, envelope) = good("VmRemoved");
    // Field 1,000 of the oneof, an empty message: what a newer version may write.
    let newer = Envelope {
        event_type: "nightshift.v1.VmCloned".into(),
        data: vec![0xc2, 0x3e, 0x00],
        ..envelope.clone()
    };
    for error in [newer.fact().unwrap_err(), event_json(&newer).unwrap_err()] {
        let sentence = "data: 3 bytes hold no event that is known here; type is \"nightshift.v1.VmCloned\"";
        assert_eq!(error.to_string(), sentence);
    }
    let empty = Envelope { data: Vec::new(), ..envelope.clone() };
    assert!(empty.fact().unwrap_err().to_string().contains("data: 0 bytes hold no event"));
    let torn = Envelope { data: vec![0x0a, 0xff], ..envelope };
    assert!(torn.fact().unwrap_err().to_string().starts_with("data: failed to decode"));
}

#[test]
fn attributes_must_fit_the_event() {
    let (_, envelope) = good("VmRemoved");
    let spoilt = [
        (
            Envelope { event_type: "nightshift.v1.VmRegistered".into(), ..envelope.clone() },
            "type: \"nightshift.v1.VmRegistered\" is not the type of data, which is VmRemoved",
        ),
        (
            Envelope { subject: "nightshift.v1.fleet.vm.vm-2".into(), ..envelope.clone() },
            "subject: \"nightshift.v1.fleet.vm.vm-2\" is not where an event about vm.vm-1 belongs",
        ),
    ];
    for (envelope, sentence) in spoilt {
        assert_eq!(envelope.fact().unwrap_err().to_string(), sentence);
    }
    for subject in ["", "nightshift.v1.", "nightshift.v1.fleet", "nightshift.v1.fleet.vm", "x.fleet.vm.vm-1"]
    {
        let error = Envelope { subject: subject.into(), ..envelope.clone() }.chain().unwrap_err();
        assert_eq!(error.to_string(), format!("subject: \"{subject}\" is not a subject of Nightshift"));
    }
    for subject in ["nightshift.v1.fleet.vm.", "nightshift.v1.fleet..vm-1", "nightshift.v1.region.A.vm.x"] {
        let error = Envelope { subject: subject.into(), ..envelope.clone() }.partition().unwrap_err();
        assert!(error.to_string().starts_with("subject: \""), "{error}");
    }
}

#[test]
fn an_envelope_must_be_whole() {
    let whole = wire::Envelope::from(&good("VmRemoved").1);
    let read =
        |envelope: wire::Envelope| Envelope::decode(&envelope.encode_to_vec()).unwrap_err().to_string();
    assert_eq!(read(wire::Envelope { time: None, ..whole.clone() }), "time: missing");
    let short = wire::Envelope { previous_hash: vec![0xab, 0xcd], ..whole.clone() };
    assert_eq!(read(short), "previous_hash: \"abcd\" is 2 bytes instead of 32");
    assert!(Envelope::decode(&[0xff]).unwrap_err().to_string().starts_with("envelope: failed to decode"));
}

#[test]
fn headers_must_be_whole() {
    let (_, envelope) = good("VmRemoved");
    let read = |spoilt: &str, value: Option<&str>| -> Result<Envelope, DecodeError> {
        let headers = envelope.headers();
        let get = |name: &str| {
            let header = headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
            if name == spoilt { value.map(str::to_owned) } else { header }
        };
        Envelope::from_headers(get, envelope.data.clone())
    };
    // Each of the others stands there by two names, and one is enough.
    for (name, _) in envelope.headers().iter().filter(|(name, _)| name.starts_with("ce-")) {
        match read(name, None) {
            Ok(read) => {
                assert!(["ce-previoushash", "ce-traceparent"].contains(name), "{name}");
                assert_eq!(read, envelope);
            }
            Err(error) => assert_eq!(error.to_string(), format!("{name}: missing")),
        }
    }
    let nothing = |name: &str| {
        let headers = envelope.headers();
        let found = headers
            .iter()
            .find(|(known, _)| *known == name && !name.ends_with("Hash") && !name.ends_with("hash"));
        found.map(|(_, value)| value.clone())
    };
    let without = Envelope::from_headers(nothing, envelope.data.clone()).unwrap_err();
    assert_eq!(without.to_string(), "ce-previoushash: missing");
    let cases = [
        ("ce-specversion", "0.3", "\"0.3\" instead of \"1.0\""),
        ("ce-datacontenttype", "text/plain", "\"text/plain\" instead of \"application/protobuf\""),
        ("ce-time", "yesterday", "\"yesterday\" is no moment"),
        ("ce-previoushash", "beef", "\"beef\" is not 64 hexadecimal digits"),
        ("ce-previoushash", "none", "\"none\" is not 64 hexadecimal digits"),
    ];
    for (name, value, sentence) in cases {
        assert_eq!(read(name, Some(value)).unwrap_err().to_string(), format!("{name}: {sentence}"));
    }
}

#[test]
fn a_moment_that_is_not_there_is_named() {
    assert_eq!(time(None, "expires").unwrap_err().to_string(), "expires: missing");
    let never = Timestamp { seconds: 0, nanos: 2_000_000_000 };
    assert_eq!(time(Some(never), "at").unwrap_err().to_string(), "at: 0.2000000000 is no moment");
}
