//! The releases of Azure's SDK for Python that people have, through all that the reference shows, with an agent that
//! answers. `cargo xtask tools` fetches them.

use crate::door::{Door, admin};
use nightshift_agent::config::Config;
use nightshift_agent::run::{back_end, run as run_agent};
use nightshift_cli::enrolment;
use nightshift_cli::real_fleet::RealFleet;
use nightshift_domain::VmId;
use nightshift_runtime::Clock;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tokio::process::Command;
use tokio::task::JoinSet;

/// The oldest release that knows of patching: it speaks 2020-06-01, which is for Windows. That machine is simulated.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_release_with_patching() {
    let (door, script) = (Door::open().await, Script { release: "azure-sdk-oldest", family: "windows" });
    let id = script.run(&door, "before").await;
    let mut agents = JoinSet::new();
    agents.spawn(agent(&door, VmId::new(id.trim()).unwrap()).await);
    enrolment::connected(&door.stack.servers, 1).await.unwrap();
    script.run(&door, "after").await;
}

/// With a machine that is patched by the real apt.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_release() {
    let (door, script) = (Door::open().await, Script { release: "azure-sdk-newest", family: "linux" });
    let id = VmId::new(script.run(&door, "before").await.trim()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("nightshift-agent");
    let program = program.canonicalize().expect("cargo build --workspace --bins first");
    let mut machine = RealFleet::prepare_one(folder.path(), &[&program.display().to_string()], id).unwrap();
    machine.power_on(&door.stack.servers, door.stack.agents).await.unwrap();
    script.run(&door, "after").await;
    let packages = &machine.inspect().unwrap()[0].packages;
    assert!(packages[PACKAGE].starts_with("1.1"), "{packages:?}");
    assert_eq!(packages["fx-both"], "1.0", "nothing else was asked for");
}

/// What is installed alone.
const PACKAGE: &str = "fx-sec";

struct Script {
    release: &'static str,
    family: &'static str,
}

impl Script {
    /// One part of the script; what it prints.
    async fn run(&self, door: &Door, part: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("../target/tools").join(self.release).join("bin/python");
        let mut command = Command::new(&python);
        command.arg(root.join("tests/azure/sdk.py")).arg(part).kill_on_drop(true);
        command.env("NIGHTSHIFT", door.link("")).env("FAMILY", self.family).env("VM", "sdk-vm");
        command.env("TOKEN", admin(&door.stack)).env("PACKAGE", PACKAGE);
        let told = command.output().await;
        let output = told
            .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask tools` first", python.display()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}, {part}: {said}", self.release);
        String::from_utf8(output.stdout).unwrap()
    }
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
