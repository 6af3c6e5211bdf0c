//! Every event comes back the same, by both ways.

use crate::examples::examples;
use crate::{command, name, over_headers, seal};
use chrono::Duration;
use nightshift_domain::{Aggregate, Chain, Time};
use nightshift_protocol::envelope::{Command, Envelope};
use nightshift_protocol::events::v1 as wire;
use nightshift_protocol::kinds;
use std::collections::{BTreeMap, BTreeSet};

/// The names of the oneof's fields: an event that is added to the contract without an example fails here, and
/// one that is added to the domain alone does not compile in `convert/event.rs`.
#[test]
fn there_is_an_example_of_every_event() {
    let shown: BTreeSet<String> = examples().iter().map(|(p, e)| name(&seal(p, e)).to_owned()).collect();
    assert_eq!(kinds::all().unwrap(), shown);
}

#[test]
fn every_event_comes_back_the_same_by_both_ways() {
    for (partition, event) in examples() {
        let sealed = seal(&partition, &event);
        for came_back in [Envelope::decode(&sealed.encode()).unwrap(), over_headers(&sealed)] {
            assert_eq!(came_back, sealed);
            assert_eq!(came_back.hash(), sealed.hash());
            let fact = came_back.fact().unwrap();
            assert_eq!((&fact.partition, fact.at, &fact.event), (&partition, sealed.time, &event));
        }
    }
}

#[test]
fn the_subject_says_where_an_event_stands() {
    for (partition, event) in examples() {
        let sealed = seal(&partition, &event);
        assert_eq!(sealed.subject, format!("nightshift.v1.{partition}.{}", event.aggregate()));
        assert_eq!(sealed.partition().unwrap(), partition);
        assert_eq!(sealed.aggregate().unwrap(), event.aggregate());
        assert_eq!(sealed.chain().unwrap(), Chain::of(&partition, &event.aggregate()));
    }
    let order = examples().into_iter().map(|(p, e)| seal(&p, &e)).find(|e| name(e) == "OrderPlaced").unwrap();
    assert_eq!(order.subject, "nightshift.v1.region.west-europe.run.2026-01");
    assert_eq!(order.aggregate().unwrap(), Aggregate { kind: "run".into(), id: "2026-01".into() });
    assert_eq!((&*order.source, &*order.event_type), ("nightshift/test", "nightshift.v1.OrderPlaced"));
}

#[test]
fn the_headers_are_cloud_events_attributes() {
    let (partition, event) = examples().remove(0);
    let headers: BTreeMap<_, _> = seal(&partition, &event).headers().into_iter().collect();
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-id", "00000000-0000-0000-0000-000000000007"),
        ("ce-source", "nightshift/test"),
        ("ce-type", "nightshift.v1.TopologyDeclared"),
        ("ce-time", "2026-01-13T22:00:00.123456789Z"),
        ("ce-subject", "nightshift.v1.fleet.topology.declared"),
        ("ce-datacontenttype", "application/protobuf"),
        ("ce-traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("ce-previoushash", &"09".repeat(32)),
        // As the first versions had them, for readers of those times.
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("Nightshift-Previous-Hash", &"09".repeat(32)),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())).into());
    // The binding has everything else percent-encoded; nothing of ours ever needs it.
    let plain = |c: char| ('!'..='~').contains(&c) && c != '"' && c != '%';
    for (partition, event) in examples() {
        for (name, value) in seal(&partition, &event).headers() {
            assert!(value.chars().all(plain), "{name}: {value}");
        }
    }
}

#[test]
fn an_event_of_the_first_versions_is_read_by_its_older_headers() {
    let (partition, event) = examples().remove(0);
    let sealed = seal(&partition, &event);
    let headers = sealed.headers();
    let older = headers.iter().filter(|(name, _)| !["ce-previoushash", "ce-traceparent"].contains(name));
    let older: BTreeMap<&str, &String> = older.map(|(name, value)| (*name, value)).collect();
    assert_eq!(older.len() + 2, headers.len());
    let get = |name: &str| older.get(name).map(ToString::to_string);
    assert_eq!(Envelope::from_headers(get, sealed.data.clone()).unwrap(), sealed);
}

#[test]
fn an_empty_traceparent_is_none_by_both_ways() {
    let (partition, event) = examples().remove(0);
    let without = Envelope { traceparent: None, ..seal(&partition, &event) };
    assert!(without.headers().iter().all(|(name, _)| *name != "traceparent"));
    assert_eq!(over_headers(&without), without);
    let empty = Envelope { traceparent: Some(String::new()), ..without.clone() };
    assert_eq!(over_headers(&empty), without);
    assert_eq!(Envelope::decode(&empty.encode()).unwrap(), without);
    assert_eq!(empty.hash(), without.hash());
}

#[test]
fn a_command_comes_back_by_both_ways_and_a_damaged_one_is_refused() {
    let (partition, event) = examples().remove(0);
    let sealed = seal(&partition, &event).of_command(Some(command()));
    assert_eq!(over_headers(&sealed), sealed);
    assert_eq!(Envelope::decode(&sealed.encode()).unwrap(), sealed);
    let (caller, request) = ("03".repeat(32), "04".repeat(32));
    for damaged in [
        String::new(),
        format!("2 {caller} {request}"),
        format!("2 {caller} {request} "),
        format!("2 {caller} {request} a b"),
        format!("2 {caller} {request} {}", "k".repeat(129)),
        format!("x {caller} {request} key"),
        format!("2 {} {request} key", &caller[1..]),
    ] {
        let headers = sealed.headers();
        let get = |name: &str| match name {
            "ce-command" => Some(damaged.clone()),
            _ => headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()),
        };
        let error = Envelope::from_headers(get, sealed.data.clone()).unwrap_err();
        assert_eq!(error.field, "ce-command", "{damaged}");
    }
    let mut on_the_wire = wire::Envelope::from(&sealed);
    on_the_wire.command.as_mut().unwrap().caller.pop();
    assert_eq!(Envelope::try_from(on_the_wire).unwrap_err().field, "command.caller");
}

#[test]
fn every_attribute_counts_in_the_hash() {
    let (partition, event) = examples().remove(0);
    let good = seal(&partition, &event);
    let others = [
        Envelope { id: "8".into(), ..good.clone() },
        Envelope { source: "nightshift/other".into(), ..good.clone() },
        Envelope { event_type: "nightshift.v1.Other".into(), ..good.clone() },
        Envelope { time: good.time + Duration::nanoseconds(1), ..good.clone() },
        Envelope { subject: format!("{}x", good.subject), ..good.clone() },
        Envelope { traceparent: None, ..good.clone() },
        Envelope { previous_hash: [8; 32], ..good.clone() },
        Envelope { data: vec![1], ..good.clone() },
        good.clone().of_command(Some(command())),
        good.clone().of_command(Some(Command { key: "pause/2".into(), ..command() })),
        good.clone().of_command(Some(Command { caller: [5; 32], ..command() })),
        good.clone().of_command(Some(Command { request: [5; 32], ..command() })),
        good.clone().of_command(Some(Command { events: 3, ..command() })),
        // The border between two parts moved.
        Envelope {
            id: format!("{}n", good.id),
            source: good.source.strip_prefix('n').unwrap().into(),
            ..good.clone()
        },
    ];
    let hashes: BTreeSet<_> = others.iter().chain([&good]).map(Envelope::hash).collect();
    assert_eq!(hashes.len(), others.len() + 1);
}

#[test]
fn no_two_moments_hash_alike_and_each_comes_back() {
    let (partition, event) = examples().remove(0);
    // A leap second and the second after it; the borders of 64 bits of nanoseconds; the borders of time.
    let moments = [
        "2016-12-31T23:59:60.5Z",
        "2017-01-01T00:00:00.5Z",
        "1677-09-21T00:12:43.145224191Z",
        "1677-09-21T00:12:43.145224192Z",
        "2262-04-11T23:47:16.854775807Z",
        "2262-04-11T23:47:16.854775808Z",
        "2300-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999999Z",
    ];
    let moments: Vec<Time> = moments.iter().map(|text| text.parse().unwrap()).collect();
    let moments: Vec<Time> = moments.into_iter().chain([Time::MIN_UTC, Time::MAX_UTC]).collect();
    let mut hashes = BTreeSet::new();
    for time in &moments {
        let sealed = Envelope { time: *time, ..seal(&partition, &event) };
        assert_eq!(Envelope::decode(&sealed.encode()).unwrap(), sealed);
        assert_eq!(over_headers(&sealed), sealed);
        hashes.insert(sealed.hash());
    }
    assert_eq!(hashes.len(), moments.len());
}
