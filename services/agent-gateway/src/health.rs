//! What agents say of their machines' health, and what they are to look at while a run watches them.

use nightshift_domain::gateway::Gateway;
use nightshift_domain::health::{Signal, Source};
use nightshift_domain::policy::Probe;
use nightshift_domain::{SourceName, Time, VmId};
use nightshift_protocol::agent::v1 as wire;
use nightshift_protocol::agent::v1::session_response::Message as Down;
use nightshift_runtime::status::id;
use tonic::Status;

/// Characters of an ailment or a finding: a machine that was taken over is not to fill the monitor's memory.
const LONGEST: usize = 500;
/// Findings of one heartbeat.
const MOST: usize = 64;

/// The signal in a heartbeat.
pub(crate) fn heartbeat(vm: VmId, at: Time, heartbeat: wire::Heartbeat) -> Signal {
    let wire::Heartbeat { boot_id, ailment, findings } = heartbeat;
    let mut signal = Signal::heartbeat(vm, at, clipped(boot_id), ailment.map(clipped));
    signal.findings = findings.into_iter().take(MOST).map(clipped).collect();
    signal
}

/// The signal in a probe's result.
pub(crate) fn probed(vm: VmId, at: Time, probed: wire::Probed) -> Result<Signal, Status> {
    let name = id::<SourceName>(probed.name, "probed.name")?;
    Ok(Signal::of(Source::Probe(name), vm, at, probed.ailment.map(clipped)))
}

/// What the VM's agent is to look at, as the log has it.
pub(crate) fn watch(gateway: &Gateway, vm: &VmId) -> Down {
    let probes = gateway.probes_of(vm);
    let watched = probes.is_some();
    let probes = probes.unwrap_or_default().iter().map(|probe: &Probe| probe.into()).collect();
    Down::Watch(wire::Watch { watched, probes })
}

fn clipped(text: String) -> String {
    if text.len() <= LONGEST { text } else { text.chars().take(LONGEST).collect() }
}
