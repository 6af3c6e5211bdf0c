//! A command whose deadline passes is either not carried out, or says that it may have been.

use crate::world::{Instance, Log, act, made_by, pausing};
use nightshift_runtime::{CommandError, Terms};
use std::time::Duration;
use tokio::time::Instant;

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(50))
}

#[tokio::test]
async fn a_command_whose_deadline_passes_before_its_append_is_not_appended() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let instance = Instance::start(&log, folder.path()).await;
    log.close();
    let host = instance.host.clone();
    let ahead = tokio::spawn(async move { act(&host, Terms::default(), "ahead", 1).await });
    log.somebody_came(1).await;
    let late = act(&instance.host, pausing("r", "late", soon()).await, "late", 1).await;
    assert!(matches!(late, Err(CommandError::TooLate)), "{late:?}");
    log.open();
    ahead.await.unwrap().unwrap();
    // What comes after it is carried out after it would have been.
    act(&instance.host, Terms::default(), "behind", 1).await.unwrap();
    assert_eq!((made_by(&log, "ahead").await, made_by(&log, "behind").await), (1, 1));
    assert_eq!(made_by(&log, "late").await, 0);
    // Its key is free: it did nothing.
    act(&instance.host, pausing("r", "late", None).await, "late", 1).await.unwrap();
    assert_eq!(made_by(&log, "late").await, 1);
    // A deadline that is over when it comes is over.
    let over = act(&instance.host, pausing("r", "over", Some(Instant::now())).await, "over", 1).await;
    assert!(matches!(over, Err(CommandError::TooLate)), "{over:?}");
    assert_eq!(made_by(&log, "over").await, 0);
}

#[tokio::test]
async fn a_command_whose_deadline_passes_during_its_append_says_so_and_its_key_tells_the_rest() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let instance = Instance::start(&log, folder.path()).await;
    log.close();
    let unknown = act(&instance.host, pausing("r", "k", soon()).await, "ada", 2).await;
    assert!(matches!(unknown, Err(CommandError::Unknown)), "{unknown:?}");
    log.open();
    let facts = act(&instance.host, pausing("r", "k", None).await, "ada", 2).await.unwrap();
    assert_eq!((facts.len(), made_by(&log, "ada").await), (2, 2));
}
