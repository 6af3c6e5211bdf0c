//! Where an installation answers: as the command line says it, and as it was found.

use crate::installation::Origins;
use clap::Args;
use std::path::PathBuf;

/// What the command line says of the installation. What it leaves open is sought in the environment, in the context, in
/// what `nightshift up` left in ./nightshift-data, and then among its usual addresses, in this order.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Where the installation answers")]
pub struct Flags {
    /// A context of `nightshift context list`. [env: NIGHTSHIFT_CONTEXT]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The console's gRPC. [env: NIGHTSHIFT_CONSOLE]
    #[arg(long, global = true, value_name = "URL")]
    pub console: Option<String>,
    /// The rollout-planner's gRPC. [env: NIGHTSHIFT_PLANNER]
    #[arg(long, global = true, value_name = "URL")]
    pub planner: Option<String>,
    /// The gRPC of the region-coordinators, separated by commas: all whose orders new agents are to carry out.
    /// [env: NIGHTSHIFT_COORDINATORS]
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',')]
    pub coordinators: Vec<String>,
    /// The agent-gateway's gRPC for people. [env: NIGHTSHIFT_GATEWAY]
    #[arg(long, global = true, value_name = "URL")]
    pub gateway: Option<String>,
    /// The health-monitor's gRPC. [env: NIGHTSHIFT_HEALTH]
    #[arg(long, global = true, value_name = "URL")]
    pub health: Option<String>,
    /// The file with your token. [env: NIGHTSHIFT_TOKEN_FILE; or the token itself: NIGHTSHIFT_TOKEN]
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The authority (PEM) that vouches for https addresses; the system's authorities if absent. [env: NIGHTSHIFT_CA]
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Where the services of an installation answer, and how one is let in.
#[derive(Debug, Clone)]
pub struct Servers {
    /// The console's gRPC.
    pub console: String,
    /// The rollout-planner's gRPC.
    pub planner: String,
    /// The gRPC of the region-coordinators: all whose orders new agents are to carry out.
    pub coordinators: Vec<String>,
    /// The agent-gateway's gRPC for people.
    pub gateway: String,
    /// The health-monitor's gRPC.
    pub health: String,
    /// The file with the caller's token.
    pub token_file: Option<PathBuf>,
    /// The token itself, where there is no file.
    pub token: Option<String>,
    /// The authority (PEM) that vouches for https addresses.
    pub ca: Option<PathBuf>,
    /// Where each of these was taken from, for whoever finds nobody there.
    pub origins: Origins,
}

/// Those of `nightshift up`, without a token.
impl Default for Servers {
    fn default() -> Self {
        let usual = |port: u16| format!("http://127.0.0.1:{port}");
        Self {
            console: usual(7700),
            planner: usual(7701),
            coordinators: vec![usual(7702)],
            health: usual(7703),
            gateway: usual(7704),
            token_file: None,
            token: None,
            ca: None,
            origins: Origins::default(),
        }
    }
}
