//! The agent renews its certificate by itself.

use crate::{Night, has};
use nightshift_agent::simulated::Settings;
use nightshift_protocol::agent::v1::report::Body;

#[tokio::test]
async fn a_certificate_is_renewed_well_before_its_end_and_the_new_one_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut night = Night::new().await;
    night.config.state_dir = Some(folder.path().to_owned());
    night.gateway.told().lifetime_seconds = 2;
    let agent = night.start(Settings::default());
    night.until(|told| told.renewals >= 1 && told.sessions >= 2).await;
    night.gateway.told().lifetime_seconds = 0;
    agent.end().await;
    let (renewals, newest) = {
        let told = night.gateway.told();
        assert_eq!(told.enrolments, 1);
        assert_ne!(told.speakers[0], told.speakers[1]);
        (told.renewals, told.speakers.last().unwrap().clone())
    };
    // The next process goes on with what the one before proved.
    night.config.token = None;
    let sessions = night.gateway.told().sessions;
    let agent = night.start(Settings::default());
    night.until(|told| told.sessions > sessions).await;
    agent.end().await;
    let told = night.gateway.told();
    assert!(told.renewals > renewals || told.speakers.last() == Some(&newest));
    assert_eq!(told.enrolments, 1);
}

#[tokio::test]
async fn a_certificate_that_ended_while_the_machine_was_off_is_renewed_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut night = Night::new().await;
    night.config.state_dir = Some(folder.path().to_owned());
    // By the gateway's clock it is over at once; by the machine's, which is wrong, it is good for a day.
    night.gateway.told().ended = true;
    night.gateway.told().lifetime_seconds = 86_400;
    let agent = night.start(Settings::default());
    night.until(|told| has(told, |body| matches!(body, Body::Assessed(_)))).await;
    agent.end().await;
    let told = night.gateway.told();
    assert_eq!((told.enrolments, told.renewals, told.sessions), (1, 1, 1));
}
