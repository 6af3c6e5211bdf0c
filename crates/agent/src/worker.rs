//! The desk where orders arrive, and the one worker who carries them out one after the other.

use crate::config::Config;
use crate::engine::{Engine, EngineError, Newest};
use crate::journal::Journal;
use crate::report::Body;
use crate::spool::Spool;
use crate::store::StoreError;
use nightshift_clock::Clock;
use nightshift_domain::agent::RefusedOrder;
use nightshift_domain::event::Order;
use nightshift_domain::{OrderId, Time};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc};

/// Tasks that may wait; a machine has one order at a time, so more come only from a gateway that went mad.
const TASKS: usize = 256;
/// Reports that may wait when one more says that an order is not believed: whoever forges many fills no disk.
const REPORTS: usize = 256;

/// Where orders are handed in.
#[derive(Clone)]
pub(crate) struct Desk {
    in_hand: Arc<Mutex<BTreeSet<OrderId>>>,
    queue: mpsc::Sender<Task>,
    spool: Spool,
    journal: Journal,
    config: Config,
    newest: Newest,
}

/// Who carries them out.
pub(crate) struct Worker {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    /// Told after each order: the gateway is to hear of the machine's health at once.
    pub(crate) done: Arc<Notify>,
    desk: Desk,
    tasks: mpsc::Receiver<Task>,
}

/// What waits on the desk.
enum Task {
    CarryOut(Box<Order>),
    /// Say that an order is not believed. The journal does not hear of it: the true one may still come.
    PassOver(OrderId, RefusedOrder),
    /// Assess, if it is not later than this.
    Assess(Time),
}

impl Desk {
    /// Hands an order in. The gateway sends it with each session until it has its end: what is in hand, or ended
    /// with the report still on its way, needs nothing.
    pub(crate) fn take(&self, order: Order) {
        if self.in_hand().contains(&order.id) || self.spool.holds_end_of(&order.id) {
            return;
        }
        let id = order.id.clone();
        match self.distrust(&order) {
            Ok(None) => {
                self.in_hand().insert(id.clone());
                self.newest.note(&order);
                if !self.queue_up(Task::CarryOut(Box::new(order))) {
                    self.in_hand().remove(&id);
                }
            }
            Ok(Some(refused)) => {
                tracing::error!(order = %id, code = refused.code, why = refused.why, "order not believed");
                self.queue_up(Task::PassOver(id, refused));
            }
            // Who cannot look whether it was believed before does nothing; the worker will not get far either.
            Err(error) => tracing::error!(order = %id, %error, "order passed over"),
        }
    }

    /// Why the order is not believed, if it is not. One that is in the journal was believed when it came, and it is the
    /// journal's copy that counts: a key that was replaced since does not stop it half-way.
    fn distrust(&self, order: &Order) -> Result<Option<RefusedOrder>, StoreError> {
        if self.journal.get(&order.id)?.is_some() {
            return Ok(None);
        }
        let refused = |code: &str, why: String| RefusedOrder { code: code.to_owned(), why };
        Ok(match self.config.order_keys() {
            Err(why) => Some(refused("OrderKeysUnreadable", why)),
            Ok(keys) => keys.verify(order).err().map(|why| refused(why.code(), why.to_string())),
        })
    }

    /// Asks for an assessment, not later than this.
    pub(crate) fn assess(&self, not_after: Time) {
        self.queue_up(Task::Assess(not_after));
    }

    fn queue_up(&self, task: Task) -> bool {
        let queued = self.queue.try_send(task);
        if queued.is_err() {
            tracing::warn!(
                waiting = TASKS,
                "the gateway asks for more than this machine can do: passed over"
            );
        }
        queued.is_ok()
    }

    /// Whether an order is in hand.
    pub(crate) fn is_busy(&self) -> bool {
        !self.in_hand().is_empty()
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
        config: Config,
        spool: Spool,
        clock: Clock,
    ) -> Result<(Self, Desk), StoreError> {
        engine.catch_up()?;
        let (queue, tasks) = mpsc::channel(TASKS);
        let journal = engine.journal().clone();
        let newest = engine.newest();
        let desk = Desk { in_hand: Arc::default(), queue, spool, journal, config, newest };
        engine.unfinished()?.into_iter().for_each(|order| desk.take(order));
        let done = Arc::default();
        Ok((Self { engine, clock, done, desk: desk.clone(), tasks }, desk))
    }

    /// Works for ever; returns only if the agent's state cannot be kept.
    pub(crate) async fn work(mut self) -> Result<(), EngineError> {
        // An order that was interrupted assesses at its end.
        if self.tasks.is_empty() {
            self.engine.assess(false).await?;
        }
        while let Some(task) = self.tasks.recv().await {
            match task {
                Task::CarryOut(order) => self.carry_out(*order).await?,
                Task::PassOver(order, refused) => self.pass_over(order, refused)?,
                Task::Assess(not_after) if self.clock.now() <= not_after => self.engine.assess(true).await?,
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

    fn pass_over(&self, order: OrderId, refused: RefusedOrder) -> Result<(), StoreError> {
        if self.desk.spool.waiting() < REPORTS {
            self.desk.spool.append(self.clock.now(), Body::NotBelieved(order, refused))?;
        }
        Ok(())
    }
}
