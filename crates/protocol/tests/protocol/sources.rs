//! Sources of health signals come back the same: in a policy, in a signal, in a baseline.

use nightshift_domain::health::{Baseline, Signal, Source};
use nightshift_domain::policy::Policy;
use nightshift_domain::{SourceName, VmId};
use nightshift_protocol::events::v1 as wire;

#[test]
fn probes_reporters_and_queries_of_every_kind_come_back_the_same() {
    let text = r#"{
        "probes": [
            {"name": "web", "check": {"http": "http://127.0.0.1:8080/health"}, "need": "advisory"},
            {"name": "db", "check": {"tcp": "127.0.0.1:5432"}, "interval_seconds": 10, "time_limit_seconds": 2},
            {"name": "app", "check": {"command": "check-app"}, "failures": 3},
            {"name": "nginx", "check": {"unit": "nginx.service"}}
        ],
        "reports": [{"name": "load-balancer", "failures": 2}, {"name": "hypervisor", "need": "advisory"}],
        "queries": [
            {"name": "errors", "promql": "rate(errors{vm=\"$vm\"}[5m])", "above": 0.05},
            {"name": "up", "promql": "sum(up)", "below": 1, "scope": "phase", "no_data": "ill", "need": "advisory"},
            {"name": "a", "promql": "x", "above": -1.5, "below": 2, "scope": "step", "no_data": "well"},
            {"name": "b", "promql": "x", "above": 0, "scope": "zone", "failures": 9},
            {"name": "c", "promql": "x", "above": 0, "scope": "region", "interval_seconds": 60}
        ]
    }"#;
    let policy: Policy = serde_json::from_str(text).unwrap();
    policy.validate().unwrap();
    assert_eq!(Policy::try_from(wire::Policy::from(&policy)).unwrap(), policy);
}

#[test]
fn signals_of_every_source_come_back_the_same() {
    let name = || SourceName::new("web").unwrap();
    let at = "2026-01-13T22:30:00Z".parse().unwrap();
    for source in [Source::Agent, Source::Probe(name()), Source::Report(name()), Source::Query(name())] {
        let mut signal = Signal::of(source, VmId::new("vm-1").unwrap(), at, Some("down".into()));
        signal.findings = vec!["unit x.service has failed".into()];
        assert_eq!(Signal::try_from(wire::Signal::from(&signal)).unwrap(), signal);
    }
    let nobody = wire::SignalSource { kind: None };
    let signal = Signal::heartbeat(VmId::new("vm-1").unwrap(), at, "b", None);
    let signal = wire::Signal { source: Some(nobody), ..wire::Signal::from(&signal) };
    assert_eq!(Signal::try_from(signal).unwrap_err().to_string(), "source.kind: missing");
}

#[test]
fn baselines_of_every_kind_come_back_the_same() {
    let baselines = [
        Baseline::Well,
        Baseline::Flawed { findings: vec!["unit x.service has failed".into()] },
        Baseline::Ill { ailment: "disk full".into() },
        Baseline::Silent,
        Baseline::Unknown { why: "nothing from probe web".into() },
    ];
    for baseline in baselines {
        assert_eq!(Baseline::try_from(wire::Baseline::from(&baseline)).unwrap(), baseline);
    }
}
