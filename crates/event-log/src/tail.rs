//! A subscription on top of pages: reads what is there, then waits until there is more.

use crate::{Page, ReadError, Recorded};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch;

/// Events taken in one read.
const PAGE: usize = 1_000;
/// Between two reads of a store that does not answer.
const RETRY: Duration = Duration::from_millis(250);

/// Reads a page after a position.
pub(crate) type ReadPage =
    Box<dyn Fn(u64, usize) -> BoxFuture<'static, Result<Page, ReadError>> + Send + Sync>;

struct Tail {
    read: ReadPage,
    newest: watch::Receiver<u64>,
    read_to: u64,
    ready: VecDeque<Recorded>,
    ended: bool,
}

/// All events after the position, for ever.
pub(crate) fn tail(
    read: ReadPage,
    newest: watch::Receiver<u64>,
    after: u64,
) -> BoxStream<'static, Result<Recorded, ReadError>> {
    let tail = Tail { read, newest, read_to: after, ready: VecDeque::new(), ended: false };
    stream::unfold(tail, |mut tail| async move { tail.next().await.map(|item| (item, tail)) }).boxed()
}

impl Tail {
    async fn next(&mut self) -> Option<Result<Recorded, ReadError>> {
        loop {
            if let Some(recorded) = self.ready.pop_front() {
                return Some(Ok(recorded));
            }
            if self.ended {
                return None;
            }
            match self.refill().await {
                Ok(()) => {}
                Err(ReadError::Unavailable { .. }) => tokio::time::sleep(RETRY).await,
                Err(damaged) => {
                    self.ended = true;
                    return Some(Err(damaged));
                }
            }
        }
    }

    async fn refill(&mut self) -> Result<(), ReadError> {
        let read_to = self.read_to;
        if self.newest.wait_for(|newest| *newest > read_to).await.is_err() {
            // The store is gone, and with it everything that could come.
            std::future::pending::<()>().await;
        }
        let page = (self.read)(self.read_to, PAGE).await?;
        self.read_to = page.read_to;
        self.ready.extend(page.events);
        Ok(())
    }
}
