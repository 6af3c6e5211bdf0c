//! The installation itself, and how the command line finds one.

use super::DATA;
use crate::commands;
use clap::{Args, Subcommand};
use nightshift_domain::SubscriptionId;
use nightshift_runtime::access::Role;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `nightshift up`
#[derive(Debug, Args)]
pub struct Up {
    /// Where everything is kept.
    #[arg(long, default_value = DATA)]
    pub data: PathBuf,
    /// A fleet to declare at the start.
    #[arg(long)]
    pub fleet: Option<PathBuf>,
    /// The address that the services listen on; their ports are 7700 to 7704, 7709 for agents and 7780 for HTTP.
    #[arg(long, default_value = "127.0.0.1")]
    pub address: std::net::IpAddr,
    /// Serve gRPC and HTTP over TLS, with a certificate of this installation's own authority, which is made in its folder.
    #[arg(long)]
    pub tls: bool,
    /// Where agents connect, if not at port 7709 of the address.
    #[arg(long)]
    pub agents_listen: Option<SocketAddr>,
    /// Receivers that are sent events by HTTP, as `[[webhooks]]` of this file (TOML) says: docs/events.md.
    #[arg(long, value_name = "FILE")]
    pub webhooks: Option<PathBuf>,
}

/// `nightshift token …`
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Print a token of an installation's own issuer. It cannot be taken back: let it be short.
    Issue {
        /// The name that goes into events.
        #[arg(long, value_parser = commands::token::name)]
        name: String,
        /// reader, operator, approver or admin; several, separated by commas.
        #[arg(long, required = true, value_delimiter = ',')]
        role: Vec<Role>,
        /// Only for these subscriptions, separated by commas; for all if absent.
        #[arg(long, value_delimiter = ',')]
        subscription: Vec<SubscriptionId>,
        /// How long it is good for, such as 8h, 30m or 7d; at most 366d.
        #[arg(long, default_value = "8h", value_parser = commands::token::ttl)]
        ttl: std::time::Duration,
        /// The folder with the issuer's key.
        #[arg(long, default_value = DATA)]
        data: PathBuf,
    },
    /// Print the public keys (JWKS) by which services check such tokens: `access.keys` of each. An issuer's key is made in the
    /// folder if there is none.
    Keys {
        /// The folder with the issuer's key.
        #[arg(long, default_value = DATA)]
        data: PathBuf,
    },
}

/// `nightshift context …`
#[derive(Debug, Subcommand)]
pub enum Context {
    /// Remember an installation by a name: its addresses (--console, --planner, …), its token file, its authority.
    Add {
        /// The name: letters, digits, dashes and underscores, at most 64.
        name: String,
        /// All services at this host, at the usual ports; single ones can be elsewhere. With --ca they are https.
        #[arg(long)]
        host: Option<String>,
        /// What `nightshift up` left in this folder: its addresses and its admin's token.
        #[arg(long, value_name = "FOLDER", conflicts_with = "host")]
        from: Option<PathBuf>,
        /// Use it from now on.
        #[arg(long = "use")]
        then_use: bool,
        /// Put it in the place of the one that has this name.
        #[arg(long)]
        replace: bool,
    },
    /// All contexts; a * is before the one that is used.
    List,
    /// From now on commands go to this installation, unless they are told otherwise.
    Use {
        /// The context.
        #[arg(required_unless_present = "none")]
        name: Option<String>,
        /// No context: ./nightshift-data, or the usual addresses.
        #[arg(long, conflicts_with = "name")]
        none: bool,
    },
    /// What commands use from here, and where each value is from.
    Show {
        /// As with --context NAME.
        name: Option<String>,
    },
    /// Forget a context; its token file stays where it is.
    Remove {
        /// The context.
        name: String,
    },
}
