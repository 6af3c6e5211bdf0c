//! docs/grpc.md lists every call and every field as the contract has them, below what people wrote. `NIGHTSHIFT_BLESS=1`
//! writes the list anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod comments;

use comments::Comments;
use nightshift_protocol::FILE_DESCRIPTOR_SET;
use nightshift_runtime::access::{Door, Need, Reach, need};
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

const PACKAGE: &str = "nightshift.api.v1";
/// What is below this line is written here.
const MARK: &str = "<!-- Below: crates/runtime/tests/reference, from the contract. -->\n";

#[test]
fn the_reference_page_is_the_contracts() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/grpc.md");
    let there = std::fs::read_to_string(&page).unwrap();
    let (head, listed) = there.split_once(MARK).expect("docs/grpc.md has the mark");
    let list = list();
    if std::env::var_os("NIGHTSHIFT_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&page, format!("{head}{MARK}{list}")).unwrap();
    } else {
        assert!(listed == list, "docs/grpc.md is not of this contract: run this with NIGHTSHIFT_BLESS=1");
    }
}

fn list() -> String {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let files: Vec<FileDescriptorProto> =
        set.file.into_iter().filter(|file| file.package() == PACKAGE).collect();
    let mut page = String::new();
    for file in &files {
        services(&mut page, file, &Comments::of(file));
    }
    let mut types = BTreeMap::new();
    for file in &files {
        let comments = Comments::of(file);
        for (place, message) in (0..).zip(&file.message_type) {
            types.insert(message.name().to_owned(), of_message(message, &comments, place));
        }
        for (place, of_enum) in (0..).zip(&file.enum_type) {
            types.insert(of_enum.name().to_owned(), of_enum_type(of_enum, &comments, place));
        }
    }
    page.push_str("\n## Messages\n");
    page.extend(types.into_values());
    page
}

fn services(page: &mut String, file: &FileDescriptorProto, comments: &Comments) {
    for (place, service) in (0..).zip(&file.service) {
        writeln!(page, "\n## {}\n\n{}\n", service.name(), comments.text(&[6, place])).unwrap();
        page.push_str("| call | takes, gives | needs | |\n| --- | --- | --- | --- |\n");
        for (number, method) in (0..).zip(&service.method) {
            let what = comments.line(&[6, place, 2, number]);
            let (name, needs) = (method.name(), needs(service.name(), method));
            writeln!(page, "| {name} | {} | {needs} | {what} |", takes_and_gives(method)).unwrap();
        }
    }
}

fn takes_and_gives(method: &MethodDescriptorProto) -> String {
    let many = if method.server_streaming() { "a stream of " } else { "" };
    format!("{}, {many}{}", link(method.input_type()), link(method.output_type()))
}

fn needs(service: &str, method: &MethodDescriptorProto) -> String {
    match need(Door::Grpc, "POST", &format!("/{PACKAGE}.{service}/{}", method.name())) {
        Need::Role(role, Reach::All) => format!("{role} for all subscriptions"),
        Need::Role(role, Reach::Own) => role.to_string(),
        other => panic!("{service}/{}: {other:?}", method.name()),
    }
}

fn of_message(message: &DescriptorProto, comments: &Comments, place: i32) -> String {
    let mut page = format!("\n### {}\n", message.name());
    let text = comments.text(&[4, place]);
    if !text.is_empty() {
        write!(page, "\n{text}\n").unwrap();
    }
    if message.field.is_empty() {
        return page;
    }
    page.push_str("\n| field | type | |\n| --- | --- | --- |\n");
    for (number, field) in (0..).zip(&message.field) {
        let what = comments.line(&[4, place, 2, number]);
        writeln!(page, "| {} = {} | {} | {what} |", field.name(), field.number(), of_field(field)).unwrap();
    }
    page
}

fn of_field(field: &FieldDescriptorProto) -> String {
    let kind = match field.r#type() {
        Type::Message | Type::Enum => link(field.type_name()),
        other => other.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    match field.label() {
        Label::Repeated => format!("repeated {kind}"),
        _ if field.proto3_optional() => format!("optional {kind}"),
        _ => kind,
    }
}

fn of_enum_type(of_enum: &EnumDescriptorProto, comments: &Comments, place: i32) -> String {
    let mut page = format!("\n### {}\n", of_enum.name());
    let text = comments.text(&[5, place]);
    if !text.is_empty() {
        write!(page, "\n{text}\n").unwrap();
    }
    page.push_str("\n| value | |\n| --- | --- |\n");
    for (number, value) in (0..).zip(&of_enum.value) {
        let what = comments.line(&[5, place, 2, number]);
        writeln!(page, "| {} = {} | {what} |", value.name(), value.number()).unwrap();
    }
    page
}

/// The type's name; of ours, a link to where it is listed.
fn link(full: &str) -> String {
    let full = full.trim_start_matches('.');
    match full.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('.')) {
        Some(own) => format!("[{own}](#{})", own.to_lowercase()),
        None => match full.strip_prefix("nightshift.events.v1.") {
            Some(of_events) => format!("[events.{of_events}](../proto/nightshift/events/v1)"),
            None => full.to_owned(),
        },
    }
}
