//! Every event goes over the wire and comes back the same, is read from the golden files for ever, and what is not
//! an event is an error that says so.

mod examples;

use examples::examples;
use nightshift_domain::{Event, Partition, Time};
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::events::v1 as wire;
use nightshift_protocol::json::event_json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use uuid::Uuid;

fn seal(partition: &Partition, event: &Event) -> Envelope {
    let at: Time = "2026-01-13T22:00:00.123456789Z".parse().unwrap();
    let trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    Envelope::seal(Uuid::from_u128(7), "test", partition, at, event, trace, [9; 32])
}

#[test]
fn there_is_an_example_of_every_event() {
    // The names of the oneof's fields, from the descriptor: an event that is added without an example fails here.
    let descriptors = <prost_types_free::FileDescriptorSet as prost::Message>::decode(
        nightshift_protocol::FILE_DESCRIPTOR_SET,
    )
    .unwrap();
    let kinds: BTreeSet<String> = descriptors.event_kinds();
    let shown: BTreeSet<String> = examples()
        .iter()
        .map(|(partition, event)| seal(partition, event).event_type.rsplit('.').next().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, shown);
    assert_eq!(examples().len(), shown.len());
}

#[test]
fn every_event_comes_back_the_same_by_both_ways() {
    for (partition, event) in examples() {
        let sealed = seal(&partition, &event);
        let decoded = Envelope::decode(&sealed.encode()).unwrap();
        assert_eq!(decoded, sealed);
        assert_eq!(decoded.hash(), sealed.hash());
        let headers = sealed.headers();
        let get = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        assert_eq!(Envelope::from_headers(get, sealed.data.clone()).unwrap(), sealed);
        let fact = sealed.fact().unwrap();
        assert_eq!((fact.partition, fact.event), (partition, event));
    }
}

#[test]
fn every_golden_file_is_read_for_ever() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/v1");
    let bless = std::env::var_os("NIGHTSHIFT_BLESS").is_some();
    for (partition, event) in examples() {
        let sealed = seal(&partition, &event);
        let name = sealed.event_type.rsplit('.').next().unwrap();
        let (binary, json) = (folder.join(format!("{name}.bin")), folder.join(format!("{name}.json")));
        let view = serde_json::to_string_pretty(&event_json(&sealed).unwrap()).unwrap() + "\n";
        if bless {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&binary, sealed.encode()).unwrap();
            std::fs::write(&json, &view).unwrap();
        }
        let bytes = std::fs::read(&binary).unwrap_or_else(|_| panic!("{name}: no golden file; NIGHTSHIFT_BLESS=1"));
        assert_eq!(Envelope::decode(&bytes).unwrap().fact().unwrap().event, event, "{name}");
        assert_eq!(std::fs::read_to_string(&json).unwrap(), view, "{name}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_value() {
    let (partition, event) = examples().into_iter().find(|(_, e)| matches!(e, Event::VmRegistered { .. })).unwrap();
    let good = seal(&partition, &event);
    let broken = |change: &dyn Fn(&mut wire::Vm)| {
        let Some(wire::event::Kind::VmRegistered(mut registered)) = wire::Event::from(&event).kind else { panic!() };
        change(registered.vm.as_mut().unwrap());
        let kind = Some(wire::event::Kind::VmRegistered(registered));
        let data = prost::Message::encode_to_vec(&wire::Event { kind });
        Envelope { data, ..good.clone() }.fact().unwrap_err().to_string()
    };
    let cases: [(&dyn Fn(&mut wire::Vm), &str); 6] = [
        (&|vm| vm.region = "West Europe".into(), "\"West Europe\""),
        (&|vm| vm.patch_mode = 17, "17 is not a known value"),
        (&|vm| vm.placement = None, "placement: missing"),
        (&|vm| vm.time_zone = Some("Mars/Olympus".into()), "Mars/Olympus"),
        (&|vm| vm.window = Some(wire::Window { start: "22:00".into(), end: "22:00".into() }), "no length"),
        (&|vm| vm.id = "another".into(), "is not where an event about"),
    ];
    for (change, clue) in cases {
        let error = broken(change);
        assert!(error.contains(clue), "{clue}: {error}");
    }
    let nothing = Envelope { data: Vec::new(), ..good }.fact().unwrap_err().to_string();
    assert!(nothing.contains("missing"), "{nothing}");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        drop(Envelope::decode(&bytes).map(|envelope| envelope.fact()));
    }

    #[test]
    fn no_subject_makes_it_panic(subject: String) {
        let (partition, event) = examples().remove(0);
        let envelope = Envelope { subject, ..seal(&partition, &event) };
        drop(envelope.fact());
    }
}

/// The little of a descriptor set that the test above needs, so that it needs no further dependency.
mod prost_types_free {
    use std::collections::BTreeSet;

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct FileDescriptorSet {
        #[prost(message, repeated, tag = "1")]
        file: Vec<File>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct File {
        #[prost(string, tag = "2")]
        package: String,
        #[prost(message, repeated, tag = "4")]
        message_type: Vec<Message>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Message {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, repeated, tag = "2")]
        field: Vec<Field>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Field {
        #[prost(string, tag = "6")]
        type_name: String,
    }

    impl FileDescriptorSet {
        pub fn event_kinds(&self) -> BTreeSet<String> {
            let messages = self.file.iter().filter(|f| f.package == "nightshift.events.v1").flat_map(|f| &f.message_type);
            let event = messages.filter(|message| message.name == "Event");
            event.flat_map(|e| &e.field).filter_map(|f| Some(f.type_name.rsplit('.').next()?.to_owned())).collect()
        }
    }
}
