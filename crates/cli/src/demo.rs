//! `nightshift demo`: a whole rollout, from the fleet to the auditor's verdict.

mod real;
mod report;
pub mod simulated;

use crate::arguments::Demo;
use crate::clients;
use crate::exit;
use crate::output::Format;
use crate::stack::Stack;
use crate::watch::Bars;
use nightshift_domain::policy::Policy;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1 as wire;
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// The name of the demo's rollout.
const ROLLOUT: &str = "monthly";

/// Shows a rollout and says how it ended.
pub(crate) async fn run(demo: Demo, output: Format) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let folder = Folder::new(demo.data.clone())?;
    let mut bars = Bars::for_output(output);
    let report = if demo.real {
        real::run(folder.path.clone(), &mut bars).await?
    } else {
        simulated::run(&demo, folder.path.clone(), &mut bars).await?
    };
    output.answer(&report, &report)?;
    if !output.is_for_programs() {
        eprintln!("\n{} s on this clock", began.elapsed().as_secs());
    }
    Ok(exit_code(&report, demo.bad_patch.is_some()))
}

/// A bad patch is to halt the rollout; nothing else is.
fn exit_code(report: &Report, halt_wanted: bool) -> ExitCode {
    if report.violations > 0 {
        ExitCode::from(exit::VIOLATED)
    } else if (report.outcome == "halted") == halt_wanted {
        exit::DONE
    } else {
        ExitCode::from(exit::HALTED)
    }
}

/// Starts the rollout, follows it to its end, and lets the auditor read the log.
async fn roll_out(stack: &Stack, policy: &Policy, bars: &mut Bars) -> anyhow::Result<Report> {
    let actor = wire::Actor { name: "demo".into(), reason: "monthly patches".into() };
    let request = api::StartRolloutRequest {
        rollout: ROLLOUT.into(),
        policy: Some(policy.into()),
        actor: Some(actor),
        ..Default::default()
    };
    clients::rollouts(&stack.servers).await?.start_rollout(request).await?;
    let last = bars.watch(&stack.servers, ROLLOUT.into()).await?;
    let audit = crate::audit::run(&stack.servers).await?;
    Ok(Report::new(last, audit))
}

/// Where the demo keeps its data: a given folder that is kept, or one of its own that goes with it.
struct Folder {
    path: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Folder {
    fn new(given: Option<PathBuf>) -> anyhow::Result<Self> {
        match given {
            Some(path) if path.exists() => {
                anyhow::bail!(
                    "--data {}: it exists already; the demo wants a folder of its own",
                    path.display()
                )
            }
            Some(path) => Ok(Self { path, _temporary: None }),
            None => {
                let temporary = tempfile::Builder::new().prefix("nightshift-demo-").tempdir()?;
                Ok(Self { path: temporary.path().to_owned(), _temporary: Some(temporary) })
            }
        }
    }
}
