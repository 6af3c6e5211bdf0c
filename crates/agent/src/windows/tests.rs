//! Windows Update by transcripts, which were written by hand after Microsoft's documentation: what each script was asked,
//! and what it answered.

use super::Windows;
use super::powershell::{PowerShell, Script};
use crate::back_end::{BackEnd as _, BackEndError, Package, Running, Standing};
use async_trait::async_trait;
use nightshift_domain::patch::Classification;
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

#[derive(Debug, Clone, Deserialize)]
struct Exchange {
    script: String,
    input: Value,
    /// The answer: JSON, or a text that is none.
    answer: Value,
}

/// Plays a transcript; whatever is asked otherwise, or in another order, fails the test.
#[derive(Debug, Clone)]
struct Transcript(Arc<Mutex<Vec<Exchange>>>);

impl Transcript {
    fn read(text: &str) -> Self {
        let mut exchanges: Vec<Exchange> = serde_json::from_str(text).unwrap();
        exchanges.reverse();
        Self(Arc::new(Mutex::new(exchanges)))
    }

    fn next(&self, script: Script, input: &Value) -> String {
        let exchange = self.0.lock().unwrap().pop().expect("the transcript is over");
        assert_eq!((exchange.script.as_str(), &exchange.input), (script.name(), input));
        exchange.answer.as_str().map_or_else(|| exchange.answer.to_string(), str::to_owned)
    }

    fn is_over(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

#[async_trait]
impl PowerShell for Transcript {
    async fn ask(&self, script: Script, input: &Value, _: Duration) -> Result<String, BackEndError> {
        let said = self.next(script, input);
        said.strip_prefix("ERROR ").map_or(Ok(said.clone()), |why| Err(BackEndError::new(why)))
    }

    fn ask_at_start(&self, script: Script, input: &Value) -> Result<String, BackEndError> {
        Ok(self.next(script, input))
    }

    fn start(&self, script: Script, input: &Value) -> Result<Running, BackEndError> {
        Ok(Running { pid: 1, started: 1, log: self.next(script, input) })
    }

    async fn ended(&self, running: &Running) -> (String, String) {
        match running.log.strip_prefix("ERROR ") {
            Some(why) => (String::new(), why.to_owned()),
            None => (running.log.clone(), String::new()),
        }
    }

    async fn reboot(&self) -> Result<(), BackEndError> {
        Ok(())
    }
}

fn open(text: &str) -> (Transcript, TempDir, Result<Windows, BackEndError>) {
    let (transcript, folder) = (Transcript::read(text), tempfile::tempdir().unwrap());
    let windows = Windows::with(Box::new(transcript.clone()), folder.path().to_owned());
    (transcript, folder, windows)
}

const CUMULATIVE: &str = "8a8b1c5e-3c1e-4f4e-9a57-2f4b7c0d1e01";

fn package(name: &str, id: &str) -> Package {
    Package { name: name.into(), version: format!("{id}.200") }
}

#[tokio::test]
async fn a_night_is_carried_out_as_in_the_transcript() {
    let (transcript, _folder, windows) = open(include_str!("transcripts/night.json"));
    let windows = windows.unwrap();
    assert_eq!(
        (windows.os(), windows.boot_id().unwrap().as_str()),
        ("Microsoft Windows Server 2022 Datacenter".to_owned(), "20261124T030000Z")
    );
    assert!(windows.refresh().await.is_empty());
    let assessment = windows.assess().await.unwrap();
    let seen: Vec<_> =
        assessment.patches.iter().map(|p| (&*p.name, p.classification, p.obstacle.as_deref())).collect();
    let expected = [
        ("KB5031364", Classification::Critical, None),
        ("KB5030999-11111111", Classification::Security, None),
        ("KB5030999-22222222", Classification::Other, None),
        ("KB2267602", Classification::Other, None),
        ("KB890830", Classification::Critical, Some("hidden by the administrator")),
        (
            "33333333-0000-4000-8000-000000000003",
            Classification::Security,
            Some("its install may ask a person"),
        ),
    ];
    assert_eq!(seen, expected);
    let both = [
        package("KB5031364", CUMULATIVE),
        package("KB5030999-11111111", "11111111-0000-4000-8000-000000000001"),
    ];
    windows.plan(&both).await.unwrap();
    windows.download(&both).await.unwrap();
    let running = windows.install(&both).await.unwrap();
    let said = windows.wait(&running).await;
    let trouble = said.trouble.unwrap();
    assert!(trouble.sentence.contains("0x80070643") && !trouble.passing, "{trouble:?}");
    let standings = windows.standings(&both).await.unwrap();
    assert_eq!(standings["KB5031364"], Standing::Installed);
    assert_eq!(standings["KB5030999-11111111"], Standing::Not("not installed".into()));
    assert!(windows.reboot_required().await.unwrap());
    assert!(transcript.is_over());
}

#[tokio::test]
async fn the_policy_is_kept_before_it_is_changed_and_restored() {
    let (transcript, folder, windows) = open(include_str!("transcripts/policy.json"));
    let windows = windows.unwrap();
    windows.disable_native_updates().await.unwrap();
    assert!(folder.path().join("native-updates.json").is_file());
    // Somebody turned them on again: off once more, and what was kept stays.
    windows.disable_native_updates().await.unwrap();
    windows.restore_native_updates().await.unwrap();
    windows.restore_native_updates().await.unwrap();
    assert!(!folder.path().join("native-updates.json").exists() && transcript.is_over());
}

#[tokio::test]
async fn what_goes_wrong_ends_in_a_sentence() {
    let (transcript, _folder, windows) = open(include_str!("transcripts/trouble.json"));
    let windows = windows.unwrap();
    let one = [package("KB5031364", CUMULATIVE)];
    assert!(windows.refresh().await[0].contains("0x8024402C"));
    let error = windows.assess().await.unwrap_err().to_string();
    assert!(error.contains("<html>"), "{error}");
    let error = windows.download(&one).await.unwrap_err().to_string();
    assert!(error.contains("offered no more"), "{error}");
    let running = windows.install(&one).await.unwrap();
    let trouble = windows.wait(&running).await.trouble.unwrap();
    assert!(trouble.passing && trouble.sentence.contains("0x80240016"), "{trouble:?}");
    assert!(transcript.is_over());
}

#[tokio::test]
async fn a_machine_whose_service_is_disabled_is_told_so() {
    let machine = r#"[{ "script": "machine", "input": {}, "answer":
        { "os": "Windows", "boot": "1", "service": "Disabled", "rebootRequired": false } }]"#;
    let (_, _folder, windows) = open(machine);
    assert!(windows.unwrap_err().to_string().contains("wuauserv"));
}

#[tokio::test]
async fn nothing_that_is_no_update_reaches_a_script() {
    let machine = r#"[{ "script": "machine", "input": {}, "answer":
        { "os": "Windows", "boot": "1", "service": "Manual", "rebootRequired": false } }]"#;
    let (_, _folder, windows) = open(machine);
    let windows = windows.unwrap();
    for version in ["", "x.1", "'; Remove-Item C:\\ -Recurse; '.1", "8a8b1c5e-3c1e-4f4e-9a57-2f4b7c0d1e01.-1"]
    {
        let bad = [Package { name: "KB1".into(), version: version.into() }];
        assert!(windows.install(&bad).await.is_err() && windows.plan(&bad).await.is_err(), "{version}");
    }
}
