//! What the agent costs its machine while there is nothing to do: the shipped program, in session with a real gateway,
//! on this machine's own package manager (which it only reads).
//!
//! `cargo build --profile agent -p nightshift-agent && cargo bench --profile dev -p nightshift-tests --bench agent_idle`

use anyhow::{Context as _, ensure};
use nightshift_cli::clients;
use nightshift_cli::real_fleet::RealFleet;
use nightshift_cli::stack::{Listen, Stack};
use nightshift_protocol::api::v1 as api;
use nightshift_runtime::Clock;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Until its first assessment is over.
const SETTLE: Duration = Duration::from_secs(60);
const MEASURE: Duration = Duration::from_secs(180);
const VM: &str = "east-z1";
/// A tick of /proc/<pid>/stat is a hundredth of a second on every Linux that this runs on (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let program = program()?;
    let folder = tempfile::tempdir()?;
    let stack = Stack::start(folder.path().join("data"), Clock::system(), Listen::free()).await?;
    clients::fleet(&stack.servers).await?.declare_fleet(RealFleet::declared()?.request()).await?;
    let config = configure(folder.path(), &stack).await?;
    let mut run = Command::new(&program);
    run.arg("run").arg("--config").arg(&config).stderr(Stdio::null());
    let agent = Agent(run.spawn().with_context(|| program.display().to_string())?);
    tokio::time::sleep(SETTLE).await;
    let agents = clients::agents(&stack.servers)
        .await?
        .list_agents(api::ListAgentsRequest::default())
        .await?
        .into_inner();
    let connected = agents.agents.iter().any(|agent| agent.vm == VM && !agent.boot_id.is_empty());
    ensure!(connected, "the agent did not come into session");
    let before = ticks(agent.0.id())?;
    tokio::time::sleep(MEASURE).await;
    let after = ticks(agent.0.id())?;
    let share = |ticks: f64| 100.0 * ticks / TICKS_PER_SECOND / MEASURE.as_secs_f64();
    println!("program         {} ({} KiB)", program.display(), fs::metadata(&program)?.len() / 1024);
    println!("resident        {} KiB", status(agent.0.id(), "VmRSS:")?);
    println!("  most          {} KiB", status(agent.0.id(), "VmHWM:")?);
    println!(
        "  of its own    {} KiB (the rest is the program, shared and clean)",
        status(agent.0.id(), "RssAnon:")?
    );
    println!("threads         {}", status(agent.0.id(), "Threads:")?);
    println!("processor       {:.3} % of one core", share(after.0 - before.0));
    println!("  its children  {:.3} %", share(after.1 - before.1));
    stack.shutdown.cancel();
    stack.ended().await
}

/// The program as it is shipped, static or not.
fn program() -> anyhow::Result<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let built =
        ["x86_64-unknown-linux-musl/agent", "agent"].map(|part| target.join(part).join("nightshift-agent"));
    let found = built.into_iter().find(|program| program.is_file());
    Ok(found
        .context("first say `cargo xtask package`, or `cargo build --profile agent -p nightshift-agent`")?
        .canonicalize()?)
}

async fn configure(folder: &Path, stack: &Stack) -> anyhow::Result<PathBuf> {
    let mut gateway = clients::agents(&stack.servers).await?;
    let request = api::IssueEnrolmentTokensRequest { vms: vec![VM.into()], ..Default::default() };
    let issued = loop {
        match gateway.issue_enrolment_tokens(request.clone()).await {
            Err(status) if status.code() == tonic::Code::NotFound => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            issued => break issued?.into_inner().tokens.remove(0),
        }
    };
    let mut coordinator = clients::coordinator(&stack.servers, &stack.servers.coordinators[0]).await?;
    let keys = coordinator.get_order_keys(api::GetOrderKeysRequest {}).await?.into_inner().order_keys_pem;
    let path = |name: &str| folder.join(name).display().to_string();
    fs::write(path("authority.pem"), issued.authority_pem)?;
    fs::write(path("order-keys.pem"), keys)?;
    let text = format!(
        "vm = \"{VM}\"\ngateway = \"https://{}\"\ntoken = \"{}\"\nauthority = \"{}\"\norder_keys = \"{}\"\n\
         state_dir = \"{}\"\nback_end = \"apt\"\n",
        stack.agents,
        issued.token,
        path("authority.pem"),
        path("order-keys.pem"),
        path("state")
    );
    fs::write(path("agent.toml"), text)?;
    Ok(path("agent.toml").into())
}

/// A line of /proc/<pid>/status, without its unit.
fn status(pid: u32, name: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).context(name.to_owned())?;
    Ok(line.trim().trim_end_matches(" kB").to_owned())
}

/// Ticks that the process used, and those of its children that ended.
fn ticks(pid: u32) -> anyhow::Result<(f64, f64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses, and may hold blanks; utime is the 14th.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field =
        |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok()).context("stat");
    Ok((field(14)? + field(15)?, field(16)? + field(17)?))
}
