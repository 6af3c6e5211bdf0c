//! One order, or one question, without a gateway: what the tests on sandboxed machines run inside of them.
//!
//! `order CONFIG assess | refresh | repair | disable | restore | reboot-required | doctor | reports | round`, or
//! `order CONFIG carry-out ORDER-AS-JSON [before|after NUMBER]`: with a number it tells of each write of the journal, and
//! stands still at that one.

use anyhow::{Context as _, bail};
use nightshift_agent::back_end::BackEnd;
use nightshift_agent::config::Config;
use nightshift_agent::doctor;
use nightshift_agent::engine::Engine;
use nightshift_agent::report::Body;
use nightshift_agent::run;
use nightshift_agent::spool::Spool;
use nightshift_agent::store::{Moment, Store, Watcher};
use nightshift_clock::Clock;
use nightshift_domain::event::Order;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, wish, rest @ ..] = arguments.as_slice() else { bail!("say a configuration and a wish") };
    let config = Config::load(Path::new(config))?;
    let store = Store::on_disk(config.state_dir.as_deref().context("`state_dir` is wanted")?)?;
    let back_end = run::back_end(&config, &Clock::system())?;
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let answer = match (wish.as_str(), rest.as_slice()) {
        ("assess", []) => serde_json::to_string(&back_end.assess().await?)?,
        ("refresh", []) => serde_json::to_string(&back_end.refresh().await)?,
        ("reboot-required", []) => serde_json::to_string(&back_end.reboot_required().await?)?,
        ("repair", []) => back_end.repair().await.map(|()| String::new())?,
        ("disable", []) => back_end.disable_native_updates().await.map(|()| String::new())?,
        ("restore", []) => back_end.restore_native_updates().await.map(|()| String::new())?,
        ("doctor", []) => serde_json::to_string(&doctor::examine(back_end.as_ref(), None).await)?,
        ("reports", []) => serde_json::to_string(&Spool::open(store)?.after(0))?,
        ("round", []) => {
            // What the agent does by itself every few hours.
            engine(&config, back_end, store.clone())?.assess(false).await?;
            serde_json::to_string(&Spool::open(store)?.after(0))?
        }
        ("carry-out", [order]) => carry_out(&config, back_end, store, order).await?,
        ("carry-out", [order, moment, number]) => {
            let moment = if *moment == "before" { Moment::Before } else { Moment::After };
            let store = store.clone().watched(stops_at(moment, number.parse()?, store));
            carry_out(&config, back_end, store, order).await?
        }
        _ => bail!("no such wish: {wish}"),
    };
    println!("{answer}");
    Ok(())
}

fn engine(config: &Config, back_end: Arc<dyn BackEnd>, store: Store) -> anyhow::Result<Engine> {
    let spool = Spool::open(store.clone())?;
    let (vm, timings) = (config.vm.clone(), config.timings.clone());
    Ok(Engine::open(vm, back_end, Clock::system(), timings, store, spool)?)
}

/// One life of the agent, as its worker lives it; the answer is the result of the order.
async fn carry_out(
    config: &Config,
    back_end: Arc<dyn BackEnd>,
    store: Store,
    order: &str,
) -> anyhow::Result<String> {
    let engine = engine(config, back_end, store.clone())?;
    let order: Order = serde_json::from_str(order)?;
    engine.catch_up()?;
    for unfinished in engine.unfinished()? {
        engine.carry_out(unfinished).await?;
    }
    if !Spool::open(store.clone())?.holds_end_of(&order.id) {
        engine.carry_out(order.clone()).await?;
    }
    let result = |body: Body| match body {
        Body::Finished(id, result) if id == order.id => Some(result),
        _ => None,
    };
    let result = Spool::open(store)?.after(0).into_iter().rev().find_map(|report| result(report.body));
    Ok(serde_json::to_string(&result.context("the order has no result")?)?)
}

/// Tells of every write of the journal, and stands still for ever at this one of this process.
fn stops_at(when: Moment, number: usize, store: Store) -> Watcher {
    let count = AtomicUsize::new(0);
    Arc::new(move |name, moment| {
        if !name.starts_with("orders/") {
            return;
        }
        if moment == Moment::After {
            let document: Option<serde_json::Value> =
                store.get(name).ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            println!("journal {}", document.unwrap_or_default()["stage"]);
        }
        if moment == when && count.fetch_add(1, Ordering::SeqCst) == number {
            println!("standing still");
            // Nobody who listens: then nobody waits either.
            drop(std::io::stdout().flush());
            loop {
                std::thread::park();
            }
        }
    })
}
