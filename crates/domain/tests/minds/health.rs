//! Every pattern of signals and its verdict, as docs/health.md has them; and what no order of arrival changes.

use chrono::Duration;
use nightshift_domain::agent::InstallReport;
use nightshift_domain::fleet::{AssessmentMode, Image, Os, PatchMode, Placement, Vm};
use nightshift_domain::health::{Baseline, Signal, Source};
use nightshift_domain::layout::StepKey;
use nightshift_domain::monitor::Monitor;
use nightshift_domain::patch::RebootStatus;
use nightshift_domain::policy::Policy;
use nightshift_domain::topology::{Region, Topology};
use nightshift_domain::window::Window;
use nightshift_domain::{
    Event, Fact, Follow, Mind as _, OrderId, Partition, RegionName, RolloutId, SourceName, SubscriptionId,
    Time, VmId,
};
use proptest::prelude::*;

/// Soak 30 minutes, silence 15. The probe `web` fails a VM with its second ailment, the reporter `lb` with its first; the
/// probe `hint` decides nothing.
const POLICY: &str = r#"{
    "soak_seconds": 1800,
    "silence_seconds": 900,
    "probes": [
        {"name": "web", "check": {"http": "http://127.0.0.1/"}, "failures": 2},
        {"name": "hint", "check": {"unit": "hint.service"}, "need": "advisory"}
    ],
    "reports": [{"name": "lb"}]
}"#;
const AGENT_ALONE: &str = r#"{"soak_seconds": 1800, "silence_seconds": 900}"#;
const LATER: i64 = 180;

fn vm() -> VmId {
    VmId::new("vm-1").unwrap()
}

fn region() -> RegionName {
    RegionName::new("west").unwrap()
}

fn rollout() -> RolloutId {
    RolloutId::new("r").unwrap()
}

fn order() -> OrderId {
    OrderId::new("o").unwrap()
}

/// Minutes are counted from the moment of which the case tells.
fn minute(minute: i64) -> Time {
    "2026-01-13T23:00:00Z".parse::<Time>().unwrap() + Duration::minutes(minute)
}

fn source(name: &str) -> Source {
    let named = || SourceName::new(name).unwrap();
    match name {
        "agent" => Source::Agent,
        "lb" => Source::Report(named()),
        "errors" => Source::Query(named()),
        _ => Source::Probe(named()),
    }
}

fn monitor(policy: &str) -> Monitor {
    let mut monitor = Monitor::default();
    let pair = None;
    let west = Region { name: region(), time_zone: chrono_tz::UTC, pair, zones: [].into() };
    let topology = Topology::new(Window::default_off_peak(), [west]).unwrap();
    let model = Vm {
        id: vm(),
        subscription: SubscriptionId::new("sub").unwrap(),
        resource_group: "group".into(),
        region: region(),
        placement: Placement::Standalone,
        os: Os::Linux,
        image: Image { publisher: "p".into(), offer: "o".into(), sku: "s".into() },
        patch_mode: PatchMode::AutomaticByPlatform,
        time_zone: None,
        window: None,
        automatic_updates: None,
        assessment_mode: AssessmentMode::ImageDefault,
        reboot: None,
        resource: None,
    };
    for event in [Event::TopologyDeclared { topology }, Event::VmRegistered { vm: model }] {
        monitor.apply(&Fact { partition: Partition::Fleet, at: minute(-1_000), event });
    }
    let policy: Policy = serde_json::from_str(policy).unwrap();
    policy.validate().unwrap();
    let (region, rollout) = (region(), rollout());
    let started =
        Event::RunStarted { rollout: rollout.clone(), region, phase: 0, round: 1, policy, retries: 0 };
    tell(&mut monitor, -900, started);
    let step = Event::StepStarted { rollout, step: StepKey::Batch(1), vms: vec![vm()] };
    tell(&mut monitor, -900, step);
    monitor.listen(minute(-600));
    monitor
}

fn tell(monitor: &mut Monitor, at: i64, event: Event) {
    monitor.apply(&Fact { partition: Partition::Region(region()), at: minute(at), event });
}

fn request(monitor: &mut Monitor, at: i64) {
    tell(monitor, at, Event::WatchRequested { rollout: rollout(), vms: vec![vm()] });
}

/// The order is finished at minute 0, in boot `b`; a unit had failed before.
fn patched(policy: &str) -> Monitor {
    let mut monitor = monitor(policy);
    request(&mut monitor, -60);
    let baseline = Baseline::Flawed { findings: vec!["unit old.service has failed".into()] };
    tell(&mut monitor, -59, Event::WatchOpened { vm: vm(), rollout: rollout(), baseline, sample: None });
    let result = InstallReport {
        patches: Vec::new(),
        reboot: RebootStatus::Completed,
        boot_id: "b".into(),
        window_exceeded: false,
        error: None,
    };
    tell(&mut monitor, 0, Event::OrderFinished { vm: vm(), report: 9, order: order(), result });
    monitor
}

/// A signal, and when it arrives.
type Arrival = (i64, Signal);

/// `source minute[>arrives] word[, …]`: words are `well`, `ill`, `boot` (well, but in another boot), and for findings `old`
/// and `new`; `2..30/2` is every second minute from 2 to 30.
fn arrivals(text: &str) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let words: Vec<&str> = part.split(' ').collect();
        let (when, arrives) = words[1].split_once('>').map_or((words[1], None), |(at, to)| (at, Some(to)));
        for at in minutes(when) {
            let ailment = (words[2] == "ill").then(|| format!("ill at {at}"));
            let mut signal = Signal::of(source(words[0]), vm(), minute(at), ailment);
            if words[0] == "agent" {
                signal.boot_id = if words[2] == "boot" { "c".into() } else { "b".into() };
            }
            if ["old", "new"].contains(&words[2]) {
                signal.findings = vec![format!("unit {}.service has failed", words[2])];
            }
            arrivals.push((arrives.map_or(at, |to| to.parse().unwrap()), signal));
        }
    }
    arrivals
}

fn minutes(text: &str) -> Vec<i64> {
    match text.split_once("..") {
        None => vec![text.parse().unwrap()],
        Some((from, rest)) => {
            let (to, step) = rest.split_once('/').unwrap();
            let step = step.parse().unwrap();
            (from.parse().unwrap()..=to.parse().unwrap()).step_by(step).collect()
        }
    }
}

/// Lets everything arrive, decides whenever the monitor would, and gives its first word with the minute.
fn first_word(monitor: &mut Monitor, mut arrivals: Vec<Arrival>) -> Option<(i64, Event)> {
    arrivals.sort_by_key(|(arrives, _)| *arrives);
    let mut arrivals = arrivals.into_iter().peekable();
    let mut now = minute(0);
    while now <= minute(LATER) {
        while let Some((_, signal)) = arrivals.next_if(|(arrives, _)| minute(*arrives) <= now) {
            monitor.hear(signal, now);
        }
        if let Some(decision) = monitor.decide(now).pop() {
            return Some(((now - minute(0)).num_minutes(), decision.events[0].clone()));
        }
        let wake = monitor.next_wake(now).into_iter();
        now = wake.chain(arrivals.peek().map(|(arrives, _)| minute(*arrives))).min()?;
    }
    None
}

fn in_words(word: Option<(i64, Event)>) -> String {
    let (at, event) = word.map_or_else(|| (0, None), |(at, event)| (at, Some(event)));
    match event {
        None => "nothing".into(),
        Some(Event::HealthConfirmed { .. }) => format!("confirmed at {at}"),
        Some(Event::HealthFailed { signal, .. }) => {
            format!("failed at {at} by {}: {}", signal.source, signal.ailment.unwrap())
        }
        Some(Event::HealthUnknown { why, .. }) => format!("unknown at {at}: {why}"),
        Some(Event::WatchOpened { baseline, .. }) => match baseline {
            Baseline::Well => format!("well at {at}"),
            Baseline::Flawed { findings } => format!("flawed at {at}: {}", findings.join(", ")),
            Baseline::Ill { ailment } => format!("ill at {at}: {ailment}"),
            Baseline::Silent => format!("silent at {at}"),
            Baseline::Unknown { why } => format!("unknown at {at}: {why}"),
        },
        Some(other) => format!("{other:?}"),
    }
}

#[test]
fn each_pattern_after_the_patch_has_its_verdict() {
    let cases = [
        // The agent alone.
        (AGENT_ALONE, "agent 1..40/1 well", "confirmed at 30"),
        (AGENT_ALONE, "", "unknown at 45: no signal for 15 minutes"),
        (AGENT_ALONE, "agent 5 ill, agent 6..40/1 well", "failed at 5 by agent: ill at 5"),
        // Silent at the end of the soak: unknown, unless it speaks again in time.
        (AGENT_ALONE, "agent 1..10/1 well", "unknown at 45: no signal for 15 minutes"),
        (AGENT_ALONE, "agent 1..10/1 well, agent 40 well", "confirmed at 40"),
        // Fresh enough at its end.
        (AGENT_ALONE, "agent 15 well", "confirmed at 30"),
        (AGENT_ALONE, "agent 14 well", "unknown at 45: no signal for 15 minutes"),
        // Of before the patch's end: says nothing about it, for better or worse.
        (AGENT_ALONE, "agent -1>1 ill, agent 0 ill, agent 1..40/1 well", "confirmed at 30"),
        (AGENT_ALONE, "agent -1>31 well, agent 0>32 well", "unknown at 45: no signal for 15 minutes"),
        // Late, but before the verdict: counts. After it: nothing is left to decide.
        (AGENT_ALONE, "agent 1..40/1 well, agent 3>29 ill", "failed at 29 by agent: ill at 3"),
        (AGENT_ALONE, "agent 1..40/1 well, agent 3>31 ill", "confirmed at 30"),
        // Reordered: ill, then well, heard the other way round.
        (AGENT_ALONE, "agent 4>5 well, agent 3>6 ill, agent 7..40/1 well", "failed at 6 by agent: ill at 3"),
        // From the future: passed over, and hides nothing.
        (AGENT_ALONE, "agent 90>1 well", "unknown at 45: no signal for 15 minutes"),
        (AGENT_ALONE, "agent 90>1 ill, agent 1..40/1 well", "confirmed at 30"),
        (AGENT_ALONE, "agent 3>2 ill", "failed at 2 by agent: ill at 3"),
        // Booted again after the order had ended.
        (
            AGENT_ALONE,
            "agent 1 well, agent 9 boot, agent 10..40/1 boot",
            "failed at 9 by agent: it was booted again after the order had ended",
        ),
        // What had failed before the patch is not held against it; what had not, is.
        (AGENT_ALONE, "agent 1..40/1 old", "confirmed at 30"),
        (
            AGENT_ALONE,
            "agent 1..7/1 old, agent 8 new",
            "failed at 8 by agent: not so before the patch: unit new.service has failed",
        ),
        // All required sources, or none.
        (POLICY, "agent 1..40/1 well, web 1..40/1 well, lb 1..40/1 well", "confirmed at 30"),
        (
            POLICY,
            "agent 1..60/1 well, lb 1..60/1 well",
            "unknown at 45: nothing from probe web since the patch",
        ),
        (
            POLICY,
            "agent 1..60/1 well, web 1..60/1 well",
            "unknown at 45: nothing from report lb since the patch",
        ),
        (
            POLICY,
            "agent 1..60/1 well, web 1..60/1 well, lb 1..10/1 well",
            "unknown at 45: nothing from report lb for 15 minutes",
        ),
        (POLICY, "agent 1..40/1 well, web 1..40/1 well, lb 9 ill", "failed at 9 by report lb: ill at 9"),
        // Flapping: the second ailment of the web probe fails the VM, in a row or not; the first alone does not.
        (POLICY, "agent 1..40/1 well, lb 1..40/1 well, web 1..40/2 well, web 4 ill", "confirmed at 30"),
        (
            POLICY,
            "agent 1..40/1 well, lb 1..40/1 well, web 1..40/2 well, web 4 ill, web 20 ill",
            "failed at 20 by probe web: ill at 20",
        ),
        // Doubled: who says it twice has said it once.
        (
            POLICY,
            "agent 1..40/1 well, lb 1..40/1 well, web 1..40/2 well, web 4 ill, web 4>8 ill",
            "confirmed at 30",
        ),
        // Its last word is ill, but not often enough to fail it: that confirms nothing.
        (
            POLICY,
            "agent 1..60/1 well, lb 1..60/1 well, web 1..28/2 well, web 29 ill",
            "unknown at 45: nothing from probe web for 15 minutes",
        ),
        (POLICY, "agent 1..60/1 well, lb 1..60/1 well, web 1..28/2 well, web 31 ill", "confirmed at 30"),
        (POLICY, "agent 1..60/1 well, lb 1..60/1 well, web 29 ill, web 40 well", "confirmed at 40"),
        // Advisory, and unheard of: shown, decides nothing.
        (
            POLICY,
            "agent 1..40/1 well, web 1..40/1 well, lb 1..40/1 well, hint 1..40/1 ill, other 3 ill",
            "confirmed at 30",
        ),
    ];
    for (policy, signals, verdict) in cases {
        assert_eq!(in_words(first_word(&mut patched(policy), arrivals(signals))), verdict, "{signals}");
    }
}

#[test]
fn each_pattern_before_the_patch_has_its_baseline() {
    let cases = [
        (AGENT_ALONE, "agent -1>0 well", "well at 0"),
        (AGENT_ALONE, "agent -15>0 well", "well at 0"),
        (AGENT_ALONE, "agent -16>0 well", "silent at 0"),
        (AGENT_ALONE, "", "silent at 0"),
        (AGENT_ALONE, "agent -1>0 ill", "ill at 0: ill at -1"),
        (AGENT_ALONE, "agent -2>0 ill, agent -1>0 well", "well at 0"),
        (AGENT_ALONE, "agent -1>0 well, agent -2>0 ill", "well at 0"),
        (AGENT_ALONE, "agent -1>0 well, agent -1>0 ill", "ill at 0: ill at -1"),
        (AGENT_ALONE, "agent 90>0 well", "silent at 0"),
        (AGENT_ALONE, "agent -1>0 old", "flawed at 0: unit old.service has failed"),
        // A probe begins with the watch; a reporter may be late. Unknown is not well.
        (POLICY, "agent 0..60/1 well, web 2..60/1 well, lb 4..60/1 well", "well at 4"),
        (POLICY, "agent 0..60/1 well, web 2..60/1 well, lb 4 ill", "ill at 4: report lb: ill at 4"),
        (POLICY, "agent 0..60/1 well, web 3 ill", "ill at 3: probe web: ill at 3"),
        (POLICY, "agent 0..60/1 well, web 2..60/1 well", "unknown at 15: nothing from report lb"),
        (POLICY, "agent 0..60/1 well", "unknown at 15: nothing from probe web, report lb"),
        (POLICY, "agent 0..60/1 well, web 2..60/1 well, lb 4..60/1 well, hint 0 ill", "well at 4"),
    ];
    for (policy, signals, baseline) in cases {
        let mut monitor = monitor(policy);
        request(&mut monitor, 0);
        assert_eq!(in_words(first_word(&mut monitor, arrivals(signals))), baseline, "{signals}");
    }
}

#[test]
fn a_monitor_that_has_just_started_calls_nobody_silent() {
    let mut fresh = monitor(AGENT_ALONE);
    fresh.listen(minute(0));
    request(&mut fresh, 0);
    assert_eq!(in_words(first_word(&mut fresh, Vec::new())), "silent at 15");
    let mut restarted = patched(AGENT_ALONE);
    restarted.listen(minute(40));
    assert_eq!(in_words(first_word(&mut restarted, Vec::new())), "unknown at 55: no signal for 15 minutes");
}

#[test]
fn a_restart_loses_no_watch() {
    let kept = serde_json::to_string(&patched(POLICY)).unwrap();
    let mut restarted: Monitor = serde_json::from_str(&kept).unwrap();
    restarted.listen(minute(10));
    let signals = "agent 11..40/1 well, web 11..40/1 well, lb 11..40/1 well";
    assert_eq!(in_words(first_word(&mut restarted, arrivals(signals))), "confirmed at 30");
}

#[test]
fn a_signal_of_a_stranger_is_not_kept() {
    let mut monitor = monitor(AGENT_ALONE);
    let signal = Signal::heartbeat(VmId::new("stranger").unwrap(), minute(0), "b", None);
    assert!(!monitor.hear(signal, minute(0)));
}

#[test]
fn a_shard_decides_for_its_own_regions_only() {
    let mut patched = patched(AGENT_ALONE).of(Some([RegionName::new("east").unwrap()].into()));
    assert_eq!(first_word(&mut patched, arrivals("agent 1..40/1 ill")), None);
    let of_region = |follow: &Follow| matches!(follow.partition, Partition::Region(_));
    assert!(!patched.follows().iter().any(of_region));
}

/// Of every scope once; what is asked, and what an answer is.
#[test]
fn queries_are_asked_while_a_verdict_waits_for_them() {
    let policy = r#"{"soak_seconds": 1800, "silence_seconds": 900, "queries": [
        {"name": "errors", "promql": "errors{vm=\"$vm\",step=\"$step\",phase=\"$phase\"}", "above": 0.5},
        {"name": "seldom", "promql": "x{region=\"$region\",vm=~\"$vms\"}", "below": 1, "interval_seconds": 600,
         "scope": "region", "need": "advisory"}
    ]}"#;
    let mut monitor = monitor(policy);
    assert!(monitor.questions(minute(-1)).is_empty());
    request(&mut monitor, 0);
    let asked = |monitor: &mut Monitor, at| -> Vec<String> {
        monitor.questions(minute(at)).into_iter().map(|question| question.promql).collect()
    };
    let (errors, seldom) = (
        r#"errors{vm="vm-1",step="batch 1",phase="1"}"#.to_owned(),
        r#"x{region="west",vm=~"vm-1"}"#.to_owned(),
    );
    assert_eq!(asked(&mut monitor, 0), [errors.clone(), seldom.clone()]);
    assert_eq!(asked(&mut monitor, 0), [""; 0]);
    assert_eq!(asked(&mut monitor, 1).join(" "), errors);
    assert_eq!(asked(&mut monitor, 10), [errors, seldom]);
    tell(
        &mut monitor,
        11,
        Event::WatchOpened { vm: vm(), rollout: rollout(), baseline: Baseline::Well, sample: None },
    );
    assert_eq!(asked(&mut monitor, 30), [""; 0], "an order is at work");
}

#[test]
fn an_answer_is_a_signal_and_no_data_is_what_the_policy_says() {
    let cases = [
        ("unknown", Some(0.1), Some(None)),
        ("unknown", Some(0.6), Some(Some("0.6 is above 0.5"))),
        ("unknown", None, None),
        ("unknown", Some(f64::NAN), None),
        ("unknown", Some(f64::INFINITY), Some(Some("inf is above 0.5"))),
        ("well", None, Some(None)),
        ("ill", None, Some(Some("no data"))),
        ("ill", Some(0.1), Some(None)),
    ];
    for (no_data, value, said) in cases {
        let policy = format!(
            r#"{{"queries": [{{"name": "errors", "promql": "x", "above": 0.5, "no_data": "{no_data}"}}]}}"#
        );
        let mut monitor = monitor(&policy);
        request(&mut monitor, 0);
        let question = monitor.questions(minute(0)).pop().unwrap();
        monitor.answer(&question, minute(1), value, minute(1));
        let view = monitor.health(&vm()).unwrap();
        let heard = view.sources.iter().find(|known| known.source == source("errors"));
        let heard = heard.and_then(|heard| heard.newest.as_ref()).map(|signal| signal.ailment.as_deref());
        assert_eq!(heard, said, "{no_data} {value:?}");
    }
}

/// Any signals of a soak, up to its last minute.
fn signals() -> impl Strategy<Value = Vec<Signal>> {
    let names = prop::sample::select(vec!["agent", "web", "lb", "hint"]);
    let words =
        prop::sample::select(vec!["well", "well", "well", "well", "well", "ill", "old", "new", "boot"]);
    let signal = (names, -3_i64..30, words).prop_map(|(name, at, word)| {
        let word = if name == "agent" || word == "ill" { word } else { "well" };
        arrivals(&format!("{name} {at} {word}")).remove(0).1
    });
    prop::collection::vec(signal, 0..40)
}

fn heard_at_once(signals: impl IntoIterator<Item = Signal>) -> Option<(i64, Event)> {
    first_word(&mut patched(POLICY), signals.into_iter().map(|signal| (29, signal)).collect())
}

proptest! {
    #[test]
    fn no_order_of_arrival_and_no_doubling_changes_a_verdict(
        signals in signals(),
        shuffle in prop::collection::vec(any::<prop::sample::Index>(), 40),
        doubled in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let expected = heard_at_once(signals.clone());
        let mut other = signals.clone();
        if !signals.is_empty() {
            other.extend(doubled.iter().map(|index| signals[index.index(signals.len())].clone()));
            for (place, index) in shuffle.iter().enumerate().take(other.len()) {
                let with = index.index(other.len());
                other.swap(place, with);
            }
        }
        prop_assert_eq!(&heard_at_once(other.clone()), &expected);
        // One by one, deciding after each: the same kind of verdict, perhaps with another signal for its proof.
        let mut monitor = patched(POLICY);
        let mut early = None;
        for signal in other {
            monitor.hear(signal, minute(29));
            early = early.or_else(|| monitor.decide(minute(29)).pop());
        }
        let failed = matches!(expected, Some((_, Event::HealthFailed { .. })));
        prop_assert_eq!(early.is_some(), failed);
    }

    #[test]
    fn unknown_never_confirms(signals in signals()) {
        if let Some((at, Event::HealthConfirmed { .. })) = heard_at_once(signals.clone()) {
            for name in ["agent", "web", "lb"] {
                let of_it = signals.iter().filter(|signal| signal.source == source(name));
                let newest = of_it.filter(|signal| signal.at > minute(0)).map(|signal| signal.at).max();
                prop_assert!(newest.is_some_and(|newest| newest >= minute(at - 15)), "{} was not heard", name);
            }
            let ill = |name: &str| {
                let ill = signals.iter().filter(|s| s.source == source(name) && s.at > minute(0));
                let mut at: Vec<Time> = ill.filter(|s| s.ailment.is_some()).map(|s| s.at).collect();
                at.sort_unstable();
                at.dedup();
                at.len()
            };
            prop_assert!(ill("agent") == 0 && ill("lb") == 0 && ill("web") < 2);
        }
    }
}
