//! The desk where orders arrive, and the one worker who carries them out one after the other.

use crate::engine::{Engine, EngineError};
use crate::spool::Spool;
use crate::store::StoreError;
use nightshift_domain::event::Order;
use nightshift_domain::{OrderId, Time};
use nightshift_runtime::Clock;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc};

/// Where orders are handed in.
#[derive(Clone)]
pub(crate) struct Desk {
    in_hand: Arc<Mutex<BTreeSet<OrderId>>>,
    queue: mpsc::UnboundedSender<Task>,
    spool: Spool,
}

/// Who carries them out.
pub(crate) struct Worker {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    /// Told after each order: the gateway is to hear of the machine's health at once.
    pub(crate) done: Arc<Notify>,
    desk: Desk,
    tasks: mpsc::UnboundedReceiver<Task>,
}

/// What waits on the desk.
enum Task {
    CarryOut(Box<Order>),
    /// Assess, if it is not later than this.
    Assess(Time),
}

impl Desk {
    /// Hands an order in. The gateway sends it with each session until it has its end: what is in hand, or ended
    /// with the report still on its way, needs nothing.
    pub(crate) fn take(&self, order: Order) {
        if self.spool.holds_end_of(&order.id) || !self.in_hand().insert(order.id.clone()) {
            return;
        }
        // The worker ends only with the whole agent.
        drop(self.queue.send(Task::CarryOut(Box::new(order))));
    }

    /// Asks for an assessment, not later than this.
    pub(crate) fn assess(&self, not_after: Time) {
        drop(self.queue.send(Task::Assess(not_after)));
    }

    fn in_hand(&self) -> MutexGuard<'_, BTreeSet<OrderId>> {
        // The set is whole at every moment, whoever panicked while holding it.
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// A worker, with what the process before left unfinished already on the desk.
    pub(crate) fn new(engine: Engine, spool: Spool, clock: Clock) -> Result<(Self, Desk), StoreError> {
        engine.catch_up()?;
        let (queue, tasks) = mpsc::unbounded_channel();
        let desk = Desk { in_hand: Arc::default(), queue, spool };
        engine.unfinished()?.into_iter().for_each(|order| desk.take(order));
        let done = Arc::default();
        Ok((Self { engine, clock, done, desk: desk.clone(), tasks }, desk))
    }

    /// Works for ever; returns only if the agent's state cannot be kept.
    pub(crate) async fn work(mut self) -> Result<(), EngineError> {
        // An order that was interrupted assesses at its end.
        if self.tasks.is_empty() {
            self.assess(false).await?;
        }
        while let Some(task) = self.tasks.recv().await {
            match task {
                Task::CarryOut(order) => self.carry_out(*order).await?,
                Task::Assess(not_after) if self.clock.now() <= not_after => self.assess(true).await?,
                Task::Assess(not_after) => tracing::info!(%not_after, "too late to assess"),
            }
        }
        Ok(())
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
