//! The desk where orders arrive, and the one worker who carries them out one after the other.

use crate::engine::{Engine, EngineError};
use crate::spool::Spool;
use crate::store::StoreError;
use chrono::Duration;
use nightshift_domain::OrderId;
use nightshift_domain::event::Order;
use nightshift_runtime::Clock;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc};

/// Where orders are handed in.
#[derive(Clone)]
pub(crate) struct Desk {
    in_hand: Arc<Mutex<BTreeSet<OrderId>>>,
    queue: mpsc::UnboundedSender<Order>,
    spool: Spool,
}

/// Who carries them out.
pub(crate) struct Worker {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    pub(crate) assessment_every: Duration,
    /// Told after each order: the gateway is to hear of the machine's health at once.
    pub(crate) done: Arc<Notify>,
    desk: Desk,
    orders: mpsc::UnboundedReceiver<Order>,
}

impl Desk {
    /// Hands an order in. The gateway sends it with each session until it has its end: what is in hand, or ended
    /// with the report still on its way, needs nothing.
    pub(crate) fn take(&self, order: Order) {
        if self.spool.holds_end_of(&order.id) || !self.in_hand().insert(order.id.clone()) {
            return;
        }
        // The worker ends only with the whole agent.
        drop(self.queue.send(order));
    }

    fn in_hand(&self) -> MutexGuard<'_, BTreeSet<OrderId>> {
        // The set is whole at every moment, whoever panicked while holding it.
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// A worker, with what the process before left unfinished already on the desk.
    pub(crate) fn new(
        engine: Engine,
        spool: Spool,
        clock: Clock,
        assessment_every: Duration,
    ) -> Result<(Self, Desk), StoreError> {
        engine.catch_up()?;
        let (queue, orders) = mpsc::unbounded_channel();
        let desk = Desk { in_hand: Arc::default(), queue, spool };
        engine.unfinished()?.into_iter().for_each(|order| desk.take(order));
        let done = Arc::default();
        Ok((Self { engine, clock, assessment_every, done, desk: desk.clone(), orders }, desk))
    }

    /// Works for ever; returns only if the agent's state cannot be kept.
    pub(crate) async fn work(mut self) -> Result<(), EngineError> {
        // An order that was interrupted assesses at its end.
        if self.orders.is_empty() {
            self.assess(false).await?;
        }
        let mut next_assessment = self.clock.now() + self.assessment_every;
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.carry_out(order).await?,
                    None => return Ok(()),
                },
                () = self.clock.sleep_until(next_assessment) => {
                    self.assess(true).await?;
                    next_assessment = self.clock.now() + self.assessment_every;
                }
            }
        }
    }

    async fn carry_out(&self, order: Order) -> Result<(), EngineError> {
        let id = order.id.clone();
        tracing::info!(order = %id, "order taken up");
        self.engine.carry_out(order).await?;
        tracing::info!(order = %id, "order over");
        self.desk.in_hand().remove(&id);
        self.done.notify_one();
        Ok(())
    }

    async fn assess(&self, refresh: bool) -> Result<(), EngineError> {
        match self.engine.assess(refresh).await {
            Err(EngineError::BackEnd(error)) => {
                tracing::warn!(%error, "the machine could not be assessed");
                Ok(())
            }
            result => result,
        }
    }
}
