//! The log itself, for those who read along.

use futures::stream::{self, BoxStream, StreamExt as _};
use nightshift_domain::{Follow, Partition};
use nightshift_event_log::{EventLog, ReadError, Recorded};
use std::sync::Arc;

const PAGE: usize = 1_000;

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
    Ok(pages(log, all, after))
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
    futures::TryStreamExt::try_flatten(pages).boxed()
}
