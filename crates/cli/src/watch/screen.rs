//! The live view of a rollout: the whole terminal, redrawn as the console tells of changes, with keys to steer.

mod draw;
mod model;
mod news;
mod terminal;
#[cfg(test)]
mod tests;

use super::feed::{Feed, Update};
use crate::arguments::Servers;
use crate::failure::Failure;
use crate::{clients, color, exit, summary};
use anyhow::Context as _;
use crossterm::event::{Event, EventStream};
use draw::{Palette, draw};
use futures::StreamExt as _;
use model::{Action, Model, Wish};
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use terminal::Screen;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// So many changes wait until they are drawn; whoever is slower than that makes the console wait.
const WAITING: usize = 64;

/// Something to be shown.
enum News {
    /// From the console's states.
    Update(Update),
    /// A line of the log.
    Log(model::Line),
    /// The log may be read: its lines stand for what the states say of phases.
    LogOpen,
    /// There is nothing more to come.
    Failed(anyhow::Error),
}

/// Shows a rollout until it is over or the viewer quits; returns it as it was then.
pub(super) async fn run(servers: &Servers, rollout: String) -> anyhow::Result<api::RolloutView> {
    // Whoever asks for what is not there is told on the terminal as it was.
    let feed = Feed::open(servers, rollout.clone(), None).await?;
    let (sender, mut news) = mpsc::channel(WAITING);
    let mut tasks = JoinSet::new();
    tasks.spawn(follow(feed, sender.clone()));
    tasks.spawn(news::follow(servers.clone(), rollout.clone(), sender));
    let mut model = Model::new(rollout);
    let ended = show(servers, &mut model, &mut news).await;
    tasks.abort_all();
    ended?;
    model.now.context("the console ended the watch before it began")
}

async fn follow(mut feed: Feed, sender: mpsc::Sender<News>) {
    loop {
        let news = match feed.next().await {
            Ok(update) => News::Update(update),
            Err(error) => News::Failed(error),
        };
        let failed = matches!(news, News::Failed(_));
        if sender.send(news).await.is_err() || failed {
            return;
        }
    }
}

/// Draws, and listens to keys, signals and the console. The terminal is as it was before when this returns, however it does.
async fn show(servers: &Servers, model: &mut Model, news: &mut mpsc::Receiver<News>) -> anyhow::Result<()> {
    let mut signals = Ends::listen()?;
    let mut screen = Screen::enter()?;
    let mut keys = EventStream::new();
    let mut wishes = JoinSet::new();
    let palette = Palette { colors: color::on_stdout() };
    loop {
        screen.draw(|frame| draw(frame, model, palette))?;
        tokio::select! {
            heard = news.recv() => take(model, heard.context("nobody tells of the rollout any more")?)?,
            key = keys.next() => {
                // A new size is seen by the next drawing.
                let Event::Key(key) = key.context("the terminal is gone")?? else { continue };
                match model.press(key) {
                    Some(Action::Quit) => return Ok(()),
                    Some(Action::Wish(wish, reason)) => {
                        wishes.spawn(send(servers.clone(), model.rollout.clone(), wish, reason));
                    }
                    None => {}
                }
            }
            Some(done) = wishes.join_next() => model.answered(done?),
            () = signals.received() => return Ok(()),
        }
        // What waits is taken in before the next drawing.
        while let Ok(more) = news.try_recv() {
            take(model, more)?;
        }
        if model.now.as_ref().is_some_and(is_over) {
            return Ok(());
        }
    }
}

fn take(model: &mut Model, news: News) -> anyhow::Result<()> {
    match news {
        News::Update(update) => model.update(update),
        News::Log(line) => model.say(line),
        News::LogOpen => model.has_log = true,
        News::Failed(error) => return Err(error),
    }
    Ok(())
}

/// A halted rollout is not over: whoever looks at it can let it go on.
fn is_over(rollout: &api::RolloutView) -> bool {
    summary::has_ended(rollout) && rollout.state() != api::RolloutState::Halted
}

/// Sends a wish and says what came of it.
async fn send(servers: Servers, rollout: String, wish: Wish, reason: String) -> Result<String, String> {
    let name = std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
    let actor = Some(wire::Actor { name, reason });
    let sent = async {
        let mut planner = clients::rollouts(&servers).await?;
        match wish {
            Wish::Pause => {
                planner
                    .pause_rollout(api::PauseRolloutRequest { rollout, actor, ..Default::default() })
                    .await?;
                anyhow::Ok("paused: no new order until it is resumed")
            }
            Wish::Resume => {
                planner
                    .resume_rollout(api::ResumeRolloutRequest { rollout, actor, ..Default::default() })
                    .await?;
                Ok("resumed")
            }
        }
    };
    let sent = sent.await.map(ToOwned::to_owned);
    sent.map_err(|error| match error.downcast_ref::<tonic::Status>() {
        Some(status) => status.message().to_owned(),
        None => error.to_string(),
    })
}

/// The signals that end the view.
struct Ends([Signal; 3]);

impl Ends {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::new(exit::FAILED, format!("signals cannot be heard: {error}")))
        };
        Ok(Self([
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    async fn received(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
