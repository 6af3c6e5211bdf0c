//! `nightshift rhythm …`

use super::rollout::actor;
use crate::arguments::{Rhythm, Servers};
use crate::output::{Format, print};
use crate::{clients, exit, policy_file};
use nightshift_domain::rhythm::Rhythm as Model;
use nightshift_protocol::api::v1 as api;
use std::process::ExitCode;

pub(crate) async fn run(command: Rhythm, servers: &Servers, output: Format) -> anyhow::Result<ExitCode> {
    let mut planner = clients::rollouts(servers).await?;
    match command {
        Rhythm::Declare { file, wish } => {
            let rhythm = match file {
                Some(file) => policy_file::read_rhythm(&file)?,
                None => Model::default(),
            };
            let (idempotency_key, actor) = (wish.key.clone(), Some(actor(wish)));
            planner
                .declare_rhythm(api::DeclareRhythmRequest {
                    rhythm: Some((&rhythm).into()),
                    actor,
                    idempotency_key,
                })
                .await?;
        }
        Rhythm::Stop { wish } => {
            let (idempotency_key, actor) = (wish.key.clone(), Some(actor(wish)));
            planner
                .declare_rhythm(api::DeclareRhythmRequest { rhythm: None, actor, idempotency_key })
                .await?;
        }
        Rhythm::Show => {}
    }
    let declared = planner.get_rhythm(api::GetRhythmRequest {}).await?.into_inner();
    if output.is_for_programs() {
        output.print(&declared)?;
        return Ok(exit::DONE);
    }
    match (declared.rhythm, declared.next) {
        (Some(rhythm), next) => {
            let rhythm = Model::try_from(rhythm)?;
            let next = nightshift_protocol::convert::time(next, "next")?;
            print(format_args!(
                "{} days after {} number {} of the month, at {} UTC; next {}",
                rhythm.days_after,
                rhythm.weekday,
                rhythm.week,
                rhythm.at.format("%H:%M"),
                next.format("%F %H:%M")
            ))?;
        }
        (None, _) => print("no rollout starts by itself")?,
    }
    Ok(exit::DONE)
}
