//! The view as it was at any moment of the log, folded by the same code. What was folded last is kept: who goes on from there
//! waits for what is between only.

use crate::events;
use crate::view::View;
use futures::StreamExt as _;
use nightshift_domain::{Follow, Mind as _, Time};
use nightshift_event_log::EventLog;
use nightshift_runtime::status::{damaged, unreadable};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use tonic::Status;

/// What was folded last.
#[derive(Clone, Default)]
pub(crate) struct Past(Arc<Mutex<Option<Folded>>>);

struct Folded {
    at: Time,
    view: View,
    /// The newest position that was taken of each follow; the first event after `at` was not.
    taken: BTreeMap<Follow, u64>,
}

impl Past {
    /// Looks at the view as it was then.
    pub(crate) async fn look<R>(
        &self,
        log: &Arc<dyn EventLog>,
        at: Time,
        look: impl FnOnce(&View) -> R,
    ) -> Result<R, Status> {
        let mut kept = self.0.lock().await;
        let from = kept.take().filter(|folded| folded.at <= at);
        let mut folded = from.unwrap_or_else(|| Folded { at, view: View::default(), taken: BTreeMap::new() });
        folded.go_on(log, at).await?;
        let seen = look(&folded.view);
        *kept = Some(folded);
        Ok(seen)
    }
}

impl Folded {
    async fn go_on(&mut self, log: &Arc<dyn EventLog>, at: Time) -> Result<(), Status> {
        self.at = at;
        let mut done = Vec::new();
        // A topology brings more to follow.
        while let Some(follow) = self.view.follows().into_iter().find(|follow| !done.contains(follow)) {
            let after = self.taken.get(&follow).copied().unwrap_or(0);
            let mut events = events::pages(log.clone(), follow.clone(), after);
            while let Some(recorded) = events.next().await {
                let recorded = recorded.map_err(|error| unreadable(&error))?;
                if recorded.envelope.time > at {
                    break;
                }
                let fact = recorded.envelope.fact().map_err(damaged)?;
                self.view.apply(&fact);
                self.taken.insert(follow.clone(), recorded.position);
            }
            done.push(follow);
        }
        Ok(())
    }
}
