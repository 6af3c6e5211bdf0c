//! The whole agent, from its start to its end.

use crate::apt::Apt;
use crate::back_end::BackEnd;
use crate::config::{BackEndChoice, Config};
use crate::detect;
use crate::dnf::Dnf;
use crate::engine::{Engine, EngineError};
use crate::lookout::Lookout;
use crate::session::Link;
use crate::simulated::SimulatedMachine;
use crate::spool::Spool;
use crate::store::{Store, StoreError};
use crate::windows::Windows;
use crate::worker::Worker;
use crate::zypper::Zypper;
use nightshift_clock::Clock;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Why the agent could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// The machine is none that the agent can work on.
    #[error(transparent)]
    BackEnd(#[from] crate::back_end::BackEndError),
    /// The agent's own documents cannot be read or written.
    #[error("the agent's state: {0}")]
    Store(#[from] StoreError),
    /// The worker had to stop.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The back end that the configuration chooses.
pub fn back_end(config: &Config, clock: &Clock) -> Result<Arc<dyn BackEnd>, AgentError> {
    let choice = match config.back_end {
        BackEndChoice::Auto => detect::back_end(config)?,
        chosen => chosen,
    };
    match choice {
        BackEndChoice::Simulated => {
            let machine = SimulatedMachine::new(config.vm.clone(), config.simulated.clone(), clock.clone());
            Ok(Arc::new(machine))
        }
        BackEndChoice::Auto | BackEndChoice::Apt => Ok(Arc::new(Apt::open(config)?)),
        BackEndChoice::Dnf => Ok(Arc::new(Dnf::open(config)?)),
        BackEndChoice::Windows => Ok(Arc::new(Windows::open(config)?)),
        BackEndChoice::Zypper => Ok(Arc::new(Zypper::open(config)?)),
    }
}

/// Runs an agent until it is told to end. An install that runs then goes on by itself, and the next start takes it
/// over. When a simulated machine goes down its agent ends as it stands, and starts anew when the machine is up.
pub async fn run(
    config: Config,
    back_end: Arc<dyn BackEnd>,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<(), AgentError> {
    config.validate().map_err(AgentError::Config)?;
    // Without it no gateway will ever be trusted: better told at the start than tried for ever.
    config.authority_pem().map_err(AgentError::Config)?;
    config.order_keys().map_err(AgentError::Config)?;
    let store = match config.state_folder() {
        Some(folder) => Store::on_disk(&folder)?,
        None => Store::in_memory(),
    };
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = back_end.goes_down() => {}
            result = one_boot(&config, &back_end, &clock, &store) => return result,
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = back_end.comes_up() => {}
        }
    }
}

async fn one_boot(
    config: &Config,
    back_end: &Arc<dyn BackEnd>,
    clock: &Clock,
    store: &Store,
) -> Result<(), AgentError> {
    let spool = Spool::open(store.clone())?;
    let engine = Engine::open(
        config.vm.clone(),
        back_end.clone(),
        clock.clone(),
        config.timings.clone(),
        store.clone(),
        spool.clone(),
    )?;
    let (stuck, welcomed) = (engine.stuck(), engine.welcomed());
    let (worker, desk) = Worker::new(engine, config.clone(), spool.clone(), clock.clone())?;
    let lookout = Lookout::new(config, back_end.clone(), clock.clone(), desk.clone(), stuck);
    let link = Link {
        config: config.clone(),
        store: store.clone(),
        spool,
        desk,
        back_end: back_end.clone(),
        lookout,
        clock: clock.clone(),
        beat: worker.done.clone(),
        welcomed,
    };
    tokio::select! {
        result = worker.work() => Ok(result?),
        () = link.keep() => Ok(()),
    }
}
