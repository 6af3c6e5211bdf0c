//! What the console heard of each machine: a source that says the same again and again is one span. Signals never enter the
//! log, and are not kept over a restart.

use chrono::Duration;
use futures::StreamExt as _;
use nightshift_domain::health::{Signal, Source};
use nightshift_domain::{Time, VmId};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::convert::timestamp;
use nightshift_runtime::{Clock, Signals};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Of each machine and source.
const MOST: usize = 32;
/// A source that was silent for so many of its intervals, and this long, begins a new span.
const INTERVALS: i32 = 4;
const SILENCE: Duration = Duration::minutes(5);
/// Before a source has an interval, it may be silent so long.
const AT_FIRST: Duration = Duration::hours(1);

/// Everything that was heard.
#[derive(Clone)]
pub(crate) struct Spans {
    since: Time,
    heard: Arc<Mutex<BTreeMap<VmId, Heard>>>,
}

type Heard = BTreeMap<Source, VecDeque<Span>>;

#[derive(Debug, Clone, PartialEq)]
struct Span {
    from: Time,
    to: Time,
    signals: u32,
    ailment: Option<String>,
}

impl Spans {
    /// Nothing heard yet.
    pub(crate) fn new(clock: &Clock) -> Self {
        Self { since: clock.now(), heard: Arc::default() }
    }

    /// Listens until the service ends.
    pub(crate) async fn listen(self, signals: Signals, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut incoming = signals.listen(None).await?.take_until(shutdown.cancelled_owned()).boxed();
        while let Some(signal) = incoming.next().await {
            self.hear(signal);
        }
        Ok(())
    }

    fn hear(&self, signal: Signal) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        take(
            heard.entry(signal.vm).or_default().entry(signal.source).or_default(),
            signal.at,
            signal.ailment,
        );
    }

    /// Of one machine, oldest first.
    pub(crate) fn of(&self, vm: &VmId) -> api::GetVmSignalsResponse {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let span = |source: &Source, span: &Span| api::SignalSpan {
            source: source.to_string(),
            from: Some(timestamp(span.from)),
            to: Some(timestamp(span.to)),
            signals: span.signals,
            ailment: span.ailment.clone().unwrap_or_default(),
        };
        let sources = heard.get(vm).into_iter().flatten();
        let mut spans: Vec<_> =
            sources.flat_map(|(source, spans)| spans.iter().map(move |one| span(source, one))).collect();
        spans.sort_by_key(|span| span.from.map(|from| (from.seconds, from.nanos)));
        api::GetVmSignalsResponse { since: Some(timestamp(self.since)), spans }
    }
}

fn take(spans: &mut VecDeque<Span>, at: Time, ailment: Option<String>) {
    if let Some(last) = spans.back_mut() {
        if at <= last.to {
            // Late or doubled: it changes nothing of what was heard since.
            return;
        }
        let steps = i32::try_from(last.signals - 1).unwrap_or(i32::MAX);
        let patience = match steps {
            0 => AT_FIRST,
            steps => ((last.to - last.from) / steps * INTERVALS).max(SILENCE),
        };
        if last.ailment == ailment && at - last.to <= patience {
            last.to = at;
            last.signals = last.signals.saturating_add(1);
            return;
        }
    }
    if spans.len() == MOST {
        spans.pop_front();
    }
    spans.push_back(Span { from: at, to: at, signals: 1, ailment });
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]
mod tests {
    use super::*;

    fn heard(signals: &[(i64, Option<&str>)]) -> Vec<(i64, i64, u32, bool)> {
        let began: Time = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut spans = VecDeque::new();
        for (second, ailment) in signals {
            take(&mut spans, began + Duration::seconds(*second), ailment.map(str::to_owned));
        }
        let seconds = |at: Time| (at - began).num_seconds();
        spans
            .iter()
            .map(|span| (seconds(span.from), seconds(span.to), span.signals, span.ailment.is_none()))
            .collect()
    }

    #[test]
    fn the_same_word_again_and_again_is_one_span() {
        assert_eq!(heard(&[(0, None), (30, None), (60, None)]), [(0, 60, 3, true)]);
        let ill = heard(&[(0, None), (30, None), (60, Some("disk")), (90, Some("disk")), (120, None)]);
        assert_eq!(ill, [(0, 30, 2, true), (60, 90, 2, false), (120, 120, 1, true)]);
    }

    #[test]
    fn silence_begins_a_new_one_and_late_words_change_nothing() {
        assert_eq!(heard(&[(0, None), (30, None), (331, None)]), [(0, 30, 2, true), (331, 331, 1, true)]);
        // Of a source with long intervals the same time is no silence.
        assert_eq!(heard(&[(0, None), (900, None), (4_000, None)]), [(0, 4_000, 3, true)]);
        assert_eq!(heard(&[(0, None), (30, None), (10, Some("ill"))]), [(0, 30, 2, true)]);
    }

    #[test]
    fn no_machine_is_remembered_without_end() {
        let flapping: Vec<(i64, Option<&str>)> =
            (0..1_000).map(|second| (second, (second % 2 == 0).then_some("ill"))).collect();
        assert_eq!(heard(&flapping).len(), MOST);
    }
}
