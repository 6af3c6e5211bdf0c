//! The log itself, for those who read along.

use chrono::Duration;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use nightshift_domain::{Follow, Partition, Time};
use nightshift_event_log::{EventLog, ReadError, Recorded};
use std::pin::Pin;
use std::sync::Arc;

const PAGE: usize = 1_000;
/// Services decide by their own machines' clocks: events of a partition may be out of the order of their times by less than
/// this.
const CLOCKS_DIFFER: Duration = Duration::minutes(5);

/// The events of a partition after a position: those that are there, and if `follow` those that come.
pub(crate) async fn read(
    log: Arc<dyn EventLog>,
    partition: Partition,
    after: u64,
    follow: bool,
) -> Result<BoxStream<'static, Result<Recorded, ReadError>>, ReadError> {
    let all = Follow::all(partition);
    if follow {
        return log.subscribe(&all, after).await;
    }
    let mut pages = pages(log, all, after).peekable();
    // Whether there is such a position shows at once, not with the first event.
    match Pin::new(&mut pages).next_if(Result::is_err).await {
        Some(Err(error)) => Err(error),
        _ => Ok(pages.boxed()),
    }
}

/// The position after which to read so that the first event is the first that was decided at this moment or later.
pub(crate) async fn before(
    log: Arc<dyn EventLog>,
    partition: Partition,
    from: Time,
) -> Result<u64, ReadError> {
    let newest = log.newest(&partition).await?;
    let surely_earlier = from.checked_sub_signed(CLOCKS_DIFFER).unwrap_or(Time::MIN_UTC);
    let all = Follow::all(partition);
    // Everything up to `low` is surely earlier; what follows `high` is not.
    let (mut low, mut high) = (0, newest + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let page = log.read(&all, middle - 1, 1).await?;
        match page.events.first() {
            Some(found) if found.envelope.time < surely_earlier => low = middle,
            _ => high = middle,
        }
    }
    let mut rest = pages(log, all, low);
    while let Some(recorded) = rest.try_next().await? {
        if recorded.envelope.time >= from {
            return Ok(recorded.position - 1);
        }
        low = recorded.position;
    }
    Ok(low)
}

/// What is there after a position, and nothing that comes.
pub(crate) fn pages(
    log: Arc<dyn EventLog>,
    wanted: Follow,
    after: u64,
) -> BoxStream<'static, Result<Recorded, ReadError>> {
    let pages = stream::try_unfold(Some(after), move |after| {
        let (log, wanted) = (log.clone(), wanted.clone());
        async move {
            let Some(after) = after else { return Ok::<_, ReadError>(None) };
            let page = log.read(&wanted, after, PAGE).await?;
            let next = (!page.at_end).then_some(page.read_to);
            Ok(Some((stream::iter(page.events.into_iter().map(Ok)), next)))
        }
    });
    pages.try_flatten().boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_domain::{Chain, Event, VmId};
    use nightshift_event_log::{Draft, Head, MemoryLog, Write};

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    /// A log of events that were decided at these moments, in this order.
    async fn log(moments: &[i64]) -> Arc<dyn EventLog> {
        let log = MemoryLog::new();
        let mut head = Head::START;
        for (number, moment) in (0..).zip(moments) {
            let event = Event::VmRemoved { vm: VmId::new("a").unwrap() };
            let id = uuid::Uuid::from_u128(number);
            let draft =
                Draft { id, source: "test", at: at(*moment), event, traceparent: None, command: None };
            let chain = Chain::Whole(Partition::Fleet);
            let write = Write { chain, expected: head, events: vec![draft] };
            head = log.append(&Partition::Fleet, vec![write]).await.unwrap()[0];
        }
        Arc::new(log)
    }

    #[tokio::test]
    async fn a_moment_is_found_wherever_it_lies_and_however_clocks_differ() {
        let moments: Vec<i64> =
            (0..3_000).map(|number| number * 10 + [0, 40, -30][number as usize % 3]).collect();
        let log = log(&moments).await;
        for from in [-500, 0, 1, 9, 10, 11, 5_000, 12_345, 29_989, 29_990, 30_029, 40_000] {
            let wanted = moments.iter().take_while(|moment| **moment < from).count() as u64;
            let found = before(log.clone(), Partition::Fleet, at(from)).await.unwrap();
            assert_eq!(found, wanted, "{from}");
        }
        assert_eq!(before(log.clone(), Partition::Rollout, at(0)).await.unwrap(), 0);
        assert_eq!(before(log, Partition::Fleet, Time::MIN_UTC).await.unwrap(), 0);
    }
}
