//! The states of a rollout, one after the other, over connections that may break: a console that restarts is asked anew.

use crate::arguments::Servers;
use crate::failure::Failure;
use crate::{clients, exit, summary};
use anyhow::Context as _;
use nightshift_protocol::api::v1 as api;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status, Streaming};

/// How long after a break it is tried again: doubled with each failure, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often it is looked whether somebody lets a halted rollout go on.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What comes from the console.
#[derive(Debug)]
pub(super) enum Update {
    /// The rollout is now so.
    Now(Box<api::RolloutView>),
    /// The console does not answer, or ended the connection; it is asked again.
    Lost {
        /// For people.
        why: String,
    },
}

/// The states of one rollout.
pub(super) struct Feed {
    servers: Servers,
    rollout: String,
    states: Option<Streaming<api::WatchRolloutResponse>>,
    /// How long nothing may be heard before that is an error; for ever if absent.
    patience: Option<Duration>,
    heard: Instant,
    pause: Duration,
    /// The rollout had ended when it was last heard of: the console ends the connection then.
    ended: bool,
}

impl Feed {
    /// Begins. Whoever does not answer now, or does not know the rollout, is told at once.
    pub(super) async fn open(
        servers: &Servers,
        rollout: String,
        patience: Option<Duration>,
    ) -> anyhow::Result<Self> {
        let states = Some(connect(servers, &rollout).await?);
        let servers = servers.clone();
        Ok(Self {
            servers,
            rollout,
            states,
            patience,
            heard: Instant::now(),
            pause: FIRST_PAUSE,
            ended: false,
        })
    }

    /// The next state, or that there is none for now. Of a rollout that has ended, states go on coming: it may be resumed.
    pub(super) async fn next(&mut self) -> anyhow::Result<Update> {
        loop {
            let Some(states) = &mut self.states else {
                if let Some(lost) = self.reconnect().await? {
                    return Ok(lost);
                }
                continue;
            };
            match states.message().await {
                Ok(Some(state)) => {
                    let now = state.rollout.context("the console sent no rollout")?;
                    (self.heard, self.pause, self.ended) =
                        (Instant::now(), FIRST_PAUSE, summary::has_ended(&now));
                    return Ok(Update::Now(Box::new(now)));
                }
                Ok(None) => {
                    self.states = None;
                    if !self.ended {
                        return Ok(Update::Lost { why: "the console ended the connection".to_owned() });
                    }
                }
                Err(status) if passes(&status) => {
                    self.states = None;
                    return Ok(Update::Lost { why: format!("the connection broke: {}", status.message()) });
                }
                Err(status) => return Err(status.into()),
            }
        }
    }

    /// Waits a while and asks anew; says so if that fails.
    async fn reconnect(&mut self) -> anyhow::Result<Option<Update>> {
        let pause = if self.ended { LOOK_AGAIN } else { self.pause };
        sleep(pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let error = match connect(&self.servers, &self.rollout).await {
            Ok(states) => {
                self.states = Some(states);
                return Ok(None);
            }
            Err(error) => error,
        };
        // A console that has just started may not have read of the rollout yet.
        let passing = error.downcast_ref::<Status>().map_or_else(
            || exit::of_error(&error) == exit::UNREACHABLE,
            |status| passes(status) || status.code() == Code::NotFound,
        );
        let silent = self.heard.elapsed();
        if !passing {
            return Err(error);
        }
        if self.patience.is_some_and(|patience| silent >= patience) {
            let sentence = format!("{error:#} (for {} s now)", silent.as_secs());
            return Err(Failure::new(exit::UNREACHABLE, sentence).next("nightshift context show").into());
        }
        // Asked only now and then, a halted rollout's console may be away in between.
        self.ended = false;
        Ok(Some(Update::Lost { why: format!("{error:#}") }))
    }
}

async fn connect(servers: &Servers, rollout: &str) -> anyhow::Result<Streaming<api::WatchRolloutResponse>> {
    let request = api::WatchRolloutRequest { rollout: rollout.to_owned(), ..Default::default() };
    Ok(clients::console(servers).await?.watch_rollout(request).await?.into_inner())
}

/// Whether it is the connection that failed, rather than the question.
fn passes(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
    )
}
