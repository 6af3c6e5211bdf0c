//! Who may do what on NATS: a user for each service, with the subjects that it writes and no others, and one for readers
//! of the event stream. A service that is taken over can then record nothing in another's name.
//!
//! Users are known by nkeys: the server's configuration holds public keys only.

#[cfg(test)]
mod catalogue;

use anyhow::Context as _;
use nightshift_domain::ConsumerName;
use nkeys::{KeyPair, KeyPairType};
use std::collections::BTreeMap;

/// What every service and every reader may ask of JetStream, to read any partition.
const READ: [&str; 6] = [
    "$JS.FC.>",
    "$JS.API.STREAM.INFO.*",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.MSG.GET.*",
    "$JS.API.CONSUMER.CREATE.*",
    "$JS.API.CONSUMER.MSG.NEXT.*.*",
];

/// What a service needs too: it puts away its consumers when it has read its page.
const TIDY: &str = "$JS.API.CONSUMER.DELETE.*.*";

/// What a service needs too that writes: a partition's stream is made when its first event is written. An existing one
/// is neither changed nor emptied by this.
const MAKE_STREAMS: &str = "$JS.API.STREAM.CREATE.*";

/// What readers need too that keep a place in the stream, by any name (durable consumers).
const KEEP_A_PLACE: [&str; 5] = [
    "$JS.ACK.>",
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.CONSUMER.CREATE.*.>",
    "$JS.API.CONSUMER.INFO.*.*",
];

/// A user of NATS.
pub struct User {
    /// Its name: the service's, `reader` or `reporter`.
    pub name: &'static str,
    writes: &'static [&'static str],
    hears: &'static [&'static str],
}

/// All users; the subjects that each writes are those of the table in the design: one writing service an aggregate.
pub const USERS: [User; 7] = [
    User {
        name: nightshift_rollout_planner::NAME,
        writes: &["nightshift.v1.fleet.>", "nightshift.v1.rollout.>"],
        hears: &[],
    },
    User {
        name: nightshift_region_coordinator::NAME,
        writes: &["nightshift.v1.region.*.run.>", "nightshift.v1.region.*.upkeep.>"],
        hears: &[],
    },
    User {
        name: nightshift_health_monitor::NAME,
        // What others report to its gRPC it passes on as signals.
        writes: &[
            "nightshift.v1.region.*.health.>",
            "nightshift.v1.region.*.bake.>",
            "nightshift.signals.v1.>",
        ],
        hears: &["nightshift.signals.v1.>", "nightshift.reports.v1.>"],
    },
    User {
        name: nightshift_agent_gateway::NAME,
        writes: &["nightshift.v1.region.*.agent.>", "nightshift.signals.v1.>"],
        hears: &[],
    },
    // It shows what was heard of a machine.
    User { name: nightshift_console::NAME, writes: &[], hears: &["nightshift.signals.v1.>"] },
    User { name: READER, writes: &[], hears: &[] },
    User { name: REPORTER, writes: &["nightshift.reports.v1.>"], hears: &[] },
];

/// What a consumer with a name of its own may ask of JetStream: to read any partition by its durable consumer of that name
/// (`*` stands for a stream, `<name>` for the name) and by none of anybody else's.
const OWN_PLACE: [&str; 12] = [
    "$JS.API.INFO",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.INFO.*",
    "$JS.API.STREAM.MSG.GET.*",
    "$JS.API.CONSUMER.CREATE.*.<name>",
    "$JS.API.CONSUMER.CREATE.*.<name>.>",
    "$JS.API.CONSUMER.DURABLE.CREATE.*.<name>",
    "$JS.API.CONSUMER.INFO.*.<name>",
    "$JS.API.CONSUMER.MSG.NEXT.*.<name>",
    // To begin again elsewhere.
    "$JS.API.CONSUMER.DELETE.*.<name>",
    "$JS.ACK.*.<name>.>",
];

/// Whoever reads along by consumers of any name.
const READER: &str = "reader";
/// Load balancers, hypervisors, monitoring: they report on machines and read nothing (docs/health.md).
const REPORTER: &str = "reporter";

impl User {
    /// Its entry in the server's configuration.
    fn entry(&self, public_key: &str) -> String {
        let mut publish: Vec<&str> = self.writes.to_vec();
        let inbox = match self.name {
            REPORTER => None,
            READER => {
                publish.extend(READ.iter().chain(&KEEP_A_PLACE));
                // Where clients of every language listen for answers by default.
                Some("_INBOX.>".to_owned())
            }
            service => {
                publish.extend(READ.iter().chain([&TIDY]));
                if !self.writes.is_empty() {
                    publish.push(MAKE_STREAMS);
                }
                Some(format!("_INBOX_{service}.>"))
            }
        };
        let hears: Vec<&str> = self.hears.iter().copied().chain(inbox.as_deref()).collect();
        entry(self.name, public_key, &publish, &hears)
    }
}

/// A consumer of the event stream: the name of its user and of its durable consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer(ConsumerName);

impl std::str::FromStr for Consumer {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        // One token of a subject, and of a file name.
        let name = ConsumerName::new(name).map_err(|error| error.to_string())?;
        if USERS.iter().any(|user| user.name == name.as_str()) {
            return Err(format!("consumer \"{name}\" would have the name of another user: choose another"));
        }
        Ok(Self(name))
    }
}

impl Consumer {
    fn entry(&self, public_key: &str) -> String {
        let publish = OWN_PLACE.map(|subject| subject.replace("<name>", self.0.as_str()));
        entry(self.0.as_str(), public_key, &publish, &[format!("_INBOX_{}.>", self.0)])
    }
}

/// A key for each user and for each of these consumers, and the part of the server's configuration that lets them in.
pub fn issue(consumers: &[Consumer]) -> anyhow::Result<(Vec<(String, String)>, String)> {
    issue_beside(&BTreeMap::new(), consumers)
}

/// As `issue`, where some have their key (a seed) already, by their names: these are let in with it, and what is returned are
/// the keys of the others. Whoever has a key and is none of the services' users is a consumer.
pub fn issue_beside(
    there: &BTreeMap<String, String>,
    consumers: &[Consumer],
) -> anyhow::Result<(Vec<(String, String)>, String)> {
    let mut made = Vec::new();
    let mut public_key = |name: &str| match there.get(name) {
        Some(seed) => Ok(known(seed).with_context(|| format!("{name}.nk"))?.public_key()),
        None => {
            let key = KeyPair::new_user();
            made.push((name.to_owned(), key.seed()?));
            anyhow::Ok(key.public_key())
        }
    };
    let mut entries = String::new();
    for user in &USERS {
        entries += &user.entry(&public_key(user.name)?);
    }
    let mut all = consumers.to_vec();
    for name in there.keys().filter(|name| USERS.iter().all(|user| user.name != *name)) {
        all.push(name.parse().map_err(anyhow::Error::msg).with_context(|| format!("{name}.nk"))?);
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all.dedup();
    for consumer in &all {
        entries += &consumer.entry(&public_key(consumer.0.as_str())?);
    }
    let head = "# Written by `nightshift nats-users`: include it in nats-server's configuration.\n";
    Ok((made, format!("{head}authorization {{ users: [\n{entries}] }}\n")))
}

/// The key of a seed.
fn known(seed: &str) -> anyhow::Result<KeyPair> {
    let key = KeyPair::from_seed(seed.trim())?;
    anyhow::ensure!(key.key_pair_type() == KeyPairType::User, "it is the seed of another kind than a user's");
    Ok(key)
}

/// Whom a configuration lets in: each one's public key and name.
pub(crate) fn let_in(configuration: &str) -> impl Iterator<Item = (&str, &str)> {
    configuration.lines().filter_map(|line| {
        let (key, rest) = line.trim_start().strip_prefix("{ nkey: ")?.split_once(',')?;
        Some((key, rest.split_once("# ")?.1.trim()))
    })
}

fn entry(name: &str, public_key: &str, publish: &[impl AsRef<str>], hears: &[impl AsRef<str>]) -> String {
    format!(
        "    {{ nkey: {public_key}, permissions: {{ # {name}\n        publish: [{}]\n        subscribe: [{}]\n    }} }}\n",
        list(publish),
        list(hears)
    )
}

fn list(subjects: &[impl AsRef<str>]) -> String {
    subjects.iter().map(|subject| format!("\"{}\"", subject.as_ref())).collect::<Vec<_>>().join(", ")
}
