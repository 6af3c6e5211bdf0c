//! A log as a file.

use crate::story::Story;
use nightshift_audit::{audit, file};

fn text(story: &Story) -> String {
    let mut text = Vec::new();
    for record in story.records() {
        file::write_line(&mut text, &record).unwrap();
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    for story in [Story::clean(), Story::catching_up()] {
        let records = story.records();
        assert_eq!(file::read(text(&story).as_bytes()).unwrap(), records);
        assert!(audit(records).holds());
    }
    assert_eq!(file::read("\n  \n".as_bytes()).unwrap(), []);
}

#[test]
fn each_line_says_where_it_is() {
    let text = text(&Story::catching_up());
    let line = text.lines().find(|line| line.contains("RunCompleted")).unwrap();
    let document: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(document["partition"], "region.east");
    assert_eq!(document["event"]["RunCompleted"]["round"], 1);
    assert!(document["position"].is_u64() && document["at"].is_string(), "{line}");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let good = text(&Story::clean());
    let first = good.lines().next().unwrap();
    let cases = [
        (format!("{first}\n{{\"partition\":"), "line 2: no JSON document: EOF"),
        (format!("{first}\n\n[]"), "line 3: no event of a log: invalid length 0"),
        (first.replace("\"fleet\"", "\"float\""), "line 1: no event of a log: \"float\" is not a partition"),
        (
            first.replace("TopologyDeclared", "Whatever"),
            "line 1: no event of a log: unknown variant `Whatever`",
        ),
        (first.replace("\"position\":1,", ""), "line 1: no event of a log: missing field `position`"),
        ("{\"specversion\":\"1.0\"}".to_owned(), "line 1: a CloudEvents document"),
        (format!("{first}\n{first}"), "line 2: position 1 of partition fleet comes after position 1"),
    ];
    for (text, told) in cases {
        let error = file::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
    let error = file::read(&b"\xff\n"[..]).unwrap_err().to_string();
    assert!(error.starts_with("line 1: it cannot be read"), "{error}");
}
