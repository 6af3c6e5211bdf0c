//! Asking again with the same idempotency key does nothing twice, and gets the same answer.

use crate::world::{Instance, Log, act, asked, made_by, pausing};
use nightshift_domain::Fact;
use nightshift_domain::planner::Planner;
use nightshift_protocol::api::v1 as api;
use nightshift_runtime::{CommandError, Host, Terms};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::Code;
use tonic_types::StatusExt as _;

#[tokio::test]
async fn the_same_key_does_nothing_twice_and_answers_the_same_also_after_restarts_and_kills() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let mut instance = Instance::start(&log, folder.path()).await;
    let first = act(&instance.host, pausing("r", "k", None).await, "ada", 3).await.unwrap();
    act(&instance.host, Terms::default(), "others", 2).await.unwrap();
    assert_eq!(first.len(), 3);
    for kill in [true, false, true] {
        assert_eq!(act(&instance.host, pausing("r", "k", None).await, "ada", 3).await.unwrap(), first);
        if kill {
            instance.kill().await
        } else {
            instance.end().await
        }
        instance = Instance::start(&log, folder.path()).await;
    }
    assert_eq!(act(&instance.host, pausing("r", "k", None).await, "ada", 3).await.unwrap(), first);
    assert_eq!(made_by(&log, "ada").await, 3);
    // Without a key, it is another command each time.
    act(&instance.host, pausing("r", "", None).await, "without", 1).await.unwrap();
    act(&instance.host, pausing("r", "", None).await, "without", 1).await.unwrap();
    assert_eq!(made_by(&log, "without").await, 2);
}

#[tokio::test]
async fn another_request_with_the_same_key_is_refused() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let instance = Instance::start(&log, folder.path()).await;
    act(&instance.host, pausing("r", "k", None).await, "ada", 1).await.unwrap();
    let resume =
        api::ResumeRolloutRequest { rollout: "r".into(), idempotency_key: "k".into(), ..Default::default() };
    for terms in [pausing("other", "k", None).await, asked(resume, None).await.unwrap()] {
        let refused = act(&instance.host, terms, "bob", 1).await.unwrap_err();
        assert!(matches!(&refused, CommandError::KeyReused(key) if key == "k"), "{refused:?}");
        let status = tonic::Status::from(refused);
        assert_eq!(status.code(), Code::FailedPrecondition);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("IDEMPOTENCY_KEY_REUSED", "nightshift"));
        assert_eq!(info.metadata["key"], "k");
    }
    assert_eq!(made_by(&log, "bob").await, 0);
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused() {
    for key in ["a b", "ä", "\n", &"k".repeat(129)] {
        let request = api::PauseRolloutRequest { idempotency_key: key.to_owned(), ..Default::default() };
        let status = asked(request, None).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{key:?}");
        let details = status.get_details_bad_request().unwrap();
        assert_eq!(details.field_violations[0].field, "idempotency_key");
    }
    pausing("r", &"~".repeat(128), None).await;
}

/// A command that is too long for one append, and is cut off after its first part, was not done.
#[tokio::test]
async fn a_command_that_was_cut_off_in_the_middle_is_not_taken_for_done() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let instance = Instance::start(&log, folder.path()).await;
    log.close();
    log.gate.add_permits(1);
    let host = instance.host.clone();
    let cut_off = tokio::spawn(async move { act(&host, pausing("r", "k", None).await, "ada", 2_500).await });
    log.somebody_came(2).await;
    instance.kill().await;
    assert!(matches!(cut_off.await.unwrap(), Err(CommandError::Stopped)));
    assert_eq!(made_by(&log, "ada").await, 1_000);
    log.open();
    let instance = Instance::start(&log, folder.path()).await;
    for _ in 0..2 {
        let facts = act(&instance.host, pausing("r", "k", None).await, "ada", 2_500).await.unwrap();
        assert_eq!((facts.len(), made_by(&log, "ada").await), (2_500, 3_500));
    }
}

/// Two instances over one log that takes appends without saying so; both are killed again and again, while callers ask
/// whichever they find until they are answered.
#[tokio::test]
async fn whoever_is_killed_between_an_append_and_its_answer_each_key_is_carried_out_once() {
    let mut histories: tokio::task::JoinSet<()> = (1..=60).map(history).collect();
    while let Some(ended) = histories.join_next().await {
        ended.unwrap();
    }
}

const KEYS: u64 = 5;

async fn history(seed: u64) {
    let log = Log::new();
    log.seed.store(seed, Ordering::Relaxed);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut instances = Vec::new();
    for folder in &folders {
        instances.push(Instance::start(&log, folder.path()).await);
    }
    let hosts: Vec<Host<Planner>> = instances.iter().map(|instance| instance.host.clone()).collect();
    let hosts = Arc::new(Mutex::new(hosts));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..3 * KEYS {
        callers.spawn(call(hosts.clone(), seed.wrapping_mul(31) + caller, caller % KEYS));
    }
    let mut answers: BTreeMap<u64, Vec<Vec<Arc<Fact>>>> = BTreeMap::new();
    let mut draws = Draws(seed);
    loop {
        let pause = Duration::from_millis(draws.of(30));
        tokio::select! {
            answered = callers.join_next() => match answered {
                Some(answered) => {
                    let (key, given) = answered.unwrap();
                    answers.entry(key).or_default().extend(given);
                }
                None => break,
            },
            () = tokio::time::sleep(pause) => {
                let which = draws.of(2) as usize;
                let old = instances.remove(which);
                if draws.of(3) == 0 { old.end().await } else { old.kill().await }
                let new = Instance::start(&log, folders[which].path()).await;
                hosts.lock().unwrap()[which] = new.host.clone();
                instances.insert(which, new);
            }
        }
    }
    for (key, given) in answers {
        assert_eq!(made_by(&log, &format!("key-{key}")).await, 2, "seed {seed}, key {key}");
        assert_eq!(given.len(), 6, "seed {seed}: each of three callers asked twice");
        assert!(given.iter().all(|facts| *facts == given[0] && facts.len() == 2), "seed {seed}: {given:?}");
    }
}

/// Asks with one key until there is an answer, and then once more.
async fn call(hosts: Arc<Mutex<Vec<Host<Planner>>>>, seed: u64, key: u64) -> (u64, Vec<Vec<Arc<Fact>>>) {
    let mut draws = Draws(seed);
    let mut given = Vec::new();
    while given.len() < 2 {
        tokio::time::sleep(Duration::from_millis(draws.of(20))).await;
        let host = hosts.lock().unwrap()[draws.of(2) as usize].clone();
        let terms = pausing(&format!("r-{key}"), &format!("k-{key}"), None).await;
        match act(&host, terms, &format!("key-{key}"), 2).await {
            Ok(facts) => given.push(facts),
            Err(CommandError::Stopped | CommandError::Log(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    (key, given)
}

struct Draws(u64);

impl Draws {
    fn of(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}
