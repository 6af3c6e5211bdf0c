//! One order, or one question, without a gateway: what the tests on sandboxed machines run inside of them.
//!
//! `order CONFIG assess | refresh | repair | disable | restore | reboot-required | carry-out ORDER-AS-JSON`

use anyhow::{Context as _, bail};
use nightshift_agent::config::Config;
use nightshift_agent::engine::Engine;
use nightshift_agent::report::Body;
use nightshift_agent::run;
use nightshift_agent::spool::Spool;
use nightshift_agent::store::Store;
use nightshift_clock::Clock;
use std::path::Path;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, wish, rest @ ..] = arguments.as_slice() else { bail!("say a configuration and a wish") };
    let config = Config::load(Path::new(config))?;
    let back_end = run::back_end(&config, &Clock::system())?;
    let answer = match (wish.as_str(), rest) {
        ("assess", []) => serde_json::to_string(&back_end.assess().await?)?,
        ("refresh", []) => serde_json::to_string(&back_end.refresh().await)?,
        ("reboot-required", []) => serde_json::to_string(&back_end.reboot_required().await?)?,
        ("repair", []) => back_end.repair().await.map(|()| String::new())?,
        ("disable", []) => back_end.disable_native_updates().await.map(|()| String::new())?,
        ("restore", []) => back_end.restore_native_updates().await.map(|()| String::new())?,
        ("carry-out", [order]) => {
            let store = Store::on_disk(config.state_dir.as_deref().context("`state_dir` is wanted")?)?;
            let spool = Spool::open(store.clone())?;
            let (vm, timings) = (config.vm.clone(), config.timings.clone());
            let engine =
                Engine::open(vm, back_end.clone(), Clock::system(), timings, store.clone(), spool.clone())?;
            engine.catch_up()?;
            engine.carry_out(serde_json::from_str(order)?).await?;
            let finished = |body: Body| match body {
                Body::Finished(_, result) => Some(result),
                _ => None,
            };
            let result = spool.after(0).into_iter().rev().find_map(|report| finished(report.body));
            serde_json::to_string(&result.context("the order has no result")?)?
        }
        _ => bail!("no such wish: {wish}"),
    };
    println!("{answer}");
    Ok(())
}
