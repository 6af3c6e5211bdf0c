//! `nightshift up`

use crate::arguments::Up;
use crate::fleet_file::Source;
use crate::output::print;
use crate::stack::{ADMIN_TOKEN, Extras, Listen, Stack};
use crate::{clients, exit, fleet_file, installation};
use nightshift_console::Webhook;
use nightshift_runtime::{Clock, config, lifecycle, telemetry};
use serde::Deserialize;
use std::path::Path;
use std::process::ExitCode;

/// What `--webhooks` names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookFile {
    webhooks: Vec<Webhook>,
}

pub(crate) async fn run(up: Up) -> anyhow::Result<ExitCode> {
    let fleet = up.fleet.as_deref().map(fleet_file::read).transpose()?;
    let _telemetry = telemetry::start("nightshift", &config::Telemetry::default())?;
    let mut listen = Listen::usual(up.address);
    listen.agents = up.agents_listen.unwrap_or(listen.agents);
    let webhooks = up.webhooks.as_deref().map(read_webhooks).transpose()?.unwrap_or_default();
    let extras = Extras { tls: up.tls, webhooks, ..Extras::default() };
    let stack = Stack::start_with(up.data.clone(), Clock::system(), listen, extras).await?;
    installation::leave_here(&up.data, &stack.servers)?;
    if let Some(fleet) = fleet {
        let declared =
            clients::fleet(&stack.servers).await?.declare_fleet(fleet.request()).await?.into_inner();
        print(format_args!("fleet    {} changes", declared.changes))?;
    }
    print(format_args!("data     {}", up.data.display()))?;
    print(format_args!("console  {}", stack.servers.console))?;
    print(format_args!("planner  {}", stack.servers.planner))?;
    print(format_args!("gateway  {}   (agents: https://{})", stack.servers.gateway, stack.agents))?;
    let token = up.data.join(ADMIN_TOKEN);
    print(format_args!(
        "token    {}   (the command line finds it; `nightshift token issue` makes others)",
        token.display()
    ))?;
    let signing = "(sign in with the token in that file)";
    match &stack.door_authority {
        None => print(format_args!("page     http://{}/   {signing}", stack.http))?,
        Some(authority) => print(format_args!(
            "page     https://{}/   {signing}\nauthority {}   (of its certificate: have your clients trust it)",
            stack.http,
            authority.display()
        ))?,
    }
    tokio::spawn(lifecycle::end_on_signal(stack.shutdown.clone()));
    stack.ended().await?;
    Ok(exit::DONE)
}

fn read_webhooks(path: &Path) -> anyhow::Result<Vec<Webhook>> {
    let file: WebhookFile = Source::read(path)?.parse()?;
    Ok(file.webhooks)
}
