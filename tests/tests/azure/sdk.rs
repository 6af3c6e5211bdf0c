//! The releases of Azure's SDK for Python that people have, through all that the reference shows, with an agent that
//! answers. `cargo xtask tools` fetches them.

use crate::door::{Door, admin};
use nightshift_agent::config::Config;
use nightshift_agent::run::{back_end, run as run_agent};
use nightshift_cli::enrolment;
use nightshift_domain::VmId;
use nightshift_runtime::Clock;
use std::path::Path;
use tokio::process::Command;
use tokio::task::JoinSet;

/// The oldest release that knows of patching: it speaks 2020-06-01, which is for Windows.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_release_with_patching() {
    goes_through_it_all("azure-sdk-oldest", "windows").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_release() {
    goes_through_it_all("azure-sdk-newest", "linux").await;
}

async fn goes_through_it_all(release: &str, family: &str) {
    let door = Door::open().await;
    let id = python(&door, release, family, "before").await;
    let mut agents = JoinSet::new();
    agents.spawn(agent(&door, VmId::new(id.trim()).unwrap()).await);
    enrolment::connected(&door.stack.servers, 1).await.unwrap();
    python(&door, release, family, "after").await;
}

/// One part of the script; what it prints.
async fn python(door: &Door, release: &str, family: &str, part: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../target/tools").join(release).join("bin/python");
    let mut command = Command::new(&python);
    command.arg(root.join("tests/azure/sdk.py")).arg(part).kill_on_drop(true);
    command.env("NIGHTSHIFT", door.link("")).env("FAMILY", family).env("VM", "sdk-vm");
    command.env("TOKEN", admin(&door.stack));
    let told = command.output().await;
    let output =
        told.unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask tools` first", python.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{release}, {part}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A simulated machine with a real agent: it enrols, connects over TLS, and answers.
pub async fn agent(door: &Door, vm: VmId) -> impl Future<Output = ()> + use<> {
    let servers = &door.stack.servers;
    let issued = enrolment::tokens(servers, [&vm]).await.unwrap().remove(0);
    let order_keys = enrolment::order_keys(servers).await.unwrap();
    let gateway = format!("https://{}", door.stack.agents);
    let mut config = Config::simulated(vm, gateway, issued.token, issued.authority_pem, order_keys);
    (config.simulated.package_seconds, config.simulated.reboot_seconds) = (1, 1);
    let clock = Clock::system();
    let back_end = back_end(&config, &clock).unwrap();
    let shutdown = door.stack.shutdown.clone();
    async move { run_agent(config, back_end, clock, shutdown).await.unwrap() }
}
