//! The demo on sandboxed machines: real apt, dnf and zypper, real reboots, real time.

use super::report::Report;
use super::roll_out;
use crate::real_fleet::RealFleet;
use crate::stack::{Listen, Stack};
use crate::watch::Bars;
use nightshift_runtime::Clock;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

pub(super) async fn run(data: PathBuf, bars: &mut Bars) -> anyhow::Result<Report> {
    std::fs::create_dir_all(&data)?;
    // apt reads the repository as another user.
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755))?;
    let own = std::env::current_exe()?.display().to_string();
    eprintln!("making six machines …");
    let folder = data.join("machines");
    let mut fleet =
        tokio::task::spawn_blocking(move || RealFleet::prepare(&folder, &[&own, "agent"])).await??;
    let stack = Stack::start(data.join("services"), Clock::system(), Listen::free()).await?;
    fleet.go_live(&stack.servers, stack.agents).await?;
    let report = roll_out(&stack, &RealFleet::policy(), bars).await?;
    let machines = tokio::task::spawn_blocking(move || fleet.inspect()).await??;
    stack.shutdown.cancel();
    stack.ended().await?;
    Ok(report.with_machines(machines))
}
