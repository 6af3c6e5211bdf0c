//! A rollout as a stream: now, and after each change, from wherever a watcher had got to.

use crate::service::get_rollout;
use crate::view::View;
use futures::{Stream, stream};
use nightshift_domain::{Fact, RolloutId, Time};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::time;
use nightshift_runtime::Host;
use nightshift_runtime::access::Caller;
use nightshift_runtime::status::invalid;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tonic::Status;

/// However much happens, a watcher is told no more often than this.
const NOT_SOONER: Duration = Duration::from_millis(100);
/// What the clock alone changes is told this late at most.
const NOT_LATER: Duration = Duration::from_secs(1);

/// What a watcher has seen: how far the log was, and what the rollout looked like. Both come of the log alone, so that every
/// instance of the console knows it, also after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// Nanoseconds since 1970.
    at: i64,
    looks: String,
}

impl Position {
    /// None if the text is empty: nothing was seen.
    pub(crate) fn read(text: &str) -> Result<Option<Self>, Status> {
        if text.is_empty() {
            return Ok(None);
        }
        let read = || {
            let (at, looks) = text.split_once('.')?;
            let is_hash = looks.len() == 32 && looks.bytes().all(|byte| byte.is_ascii_hexdigit());
            Some(Self { at: at.parse().ok()?, looks: is_hash.then(|| looks.to_owned())? })
        };
        let shown: String = text.escape_debug().take(80).collect();
        let wrong = || invalid("after", format!("after = \"{shown}\": not the `position` of an answer"));
        read().map(Some).ok_or_else(wrong)
    }

    fn of(rollout: &api::RolloutView) -> Self {
        let at = rollout.as_of.and_then(|at| time(Some(at), "as_of").ok()).unwrap_or(Time::UNIX_EPOCH);
        // The log moves on without the rollout: that alone is no change of it.
        let looks = Sha256::digest(api::RolloutView { as_of: None, ..rollout.clone() }.encode_to_vec());
        let looks = looks.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { at: at.timestamp_nanos_opt().unwrap_or(i64::MAX), looks }
    }

    fn text(&self) -> String {
        format!("{}.{}", self.at, self.looks)
    }

    /// Whether this is news to whoever has seen the other: it looks different, and is not of a console that has yet to
    /// read what they saw.
    fn is_new_to(&self, seen: &Self) -> bool {
        self.at >= seen.at && self.looks != seen.looks
    }
}

struct Watching {
    host: Host<View>,
    caller: Caller,
    rollout: RolloutId,
    seen: Option<Position>,
    facts: broadcast::Receiver<Arc<Fact>>,
    /// Not at the first look.
    waits: bool,
    ended: bool,
}

/// The rollout now, unless that was seen, and after each change, until it has come to its end or halts.
pub(crate) fn watch(
    host: Host<View>,
    caller: Caller,
    rollout: RolloutId,
    seen: Option<Position>,
) -> impl Stream<Item = Result<api::WatchRolloutResponse, Status>> + Send + 'static {
    let facts = host.facts();
    let watching = Watching { host, caller, rollout, seen, facts, waits: false, ended: false };
    stream::unfold(watching, async |mut watching| {
        let answer = watching.next().await?;
        watching.ended |= answer.is_err();
        Some((answer, watching))
    })
}

impl Watching {
    async fn next(&mut self) -> Option<Result<api::WatchRolloutResponse, Status>> {
        while !self.ended {
            if std::mem::replace(&mut self.waits, true) {
                self.wait().await;
            }
            let rollout = match get_rollout(&self.host, self.caller.clone(), self.rollout.clone()).await {
                Ok(rollout) => rollout,
                Err(status) => return Some(Err(status)),
            };
            let position = Position::of(&rollout);
            let is_current = self.seen.as_ref().is_none_or(|seen| position.at >= seen.at);
            self.ended = is_current && has_ended(&rollout);
            if self.seen.as_ref().is_none_or(|seen| position.is_new_to(seen)) {
                self.seen = Some(position.clone());
                let position = position.text();
                return Some(Ok(api::WatchRolloutResponse { rollout: Some(rollout), position }));
            }
        }
        None
    }

    async fn wait(&mut self) {
        tokio::time::sleep(NOT_SOONER).await;
        // A watcher that missed facts looks at what they came to, as does one that saw them.
        drop(tokio::time::timeout(NOT_LATER, self.facts.recv()).await);
        self.facts = self.facts.resubscribe();
    }
}

/// A halted rollout has ended for its watcher once nothing is in flight.
fn has_ended(rollout: &api::RolloutView) -> bool {
    let regions = || rollout.phases.iter().flat_map(|phase| &phase.regions);
    let busy = regions().any(|region| region.in_flight + region.soaking > 0);
    match rollout.state() {
        api::RolloutState::Completed | api::RolloutState::Expired => !busy,
        api::RolloutState::Cancelled | api::RolloutState::Halted => !busy,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_protocol::convert::timestamp;

    fn at(seconds: i64, why: &str) -> api::RolloutView {
        let as_of = Some(timestamp(Time::from_timestamp(seconds, 0).unwrap()));
        api::RolloutView { why: why.into(), as_of, ..Default::default() }
    }

    #[test]
    fn a_position_is_news_only_where_the_rollout_looks_different_and_no_older() {
        let seen = Position::of(&at(10, "one"));
        assert_eq!(Position::read(&seen.text()).unwrap(), Some(seen.clone()));
        assert!(!Position::of(&at(11, "one")).is_new_to(&seen));
        assert!(Position::of(&at(10, "two")).is_new_to(&seen));
        assert!(!Position::of(&at(9, "two")).is_new_to(&seen), "another console lags behind");
        assert_eq!(Position::read("").unwrap(), None);
        for damaged in ["x", "1", "1.x", ".", "1.0g23456789abcdef0123456789abcdef", &seen.text()[..20]] {
            assert!(Position::read(damaged).is_err(), "{damaged}");
        }
    }
}
