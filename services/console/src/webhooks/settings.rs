//! What an administrator says of each webhook, and what of it cannot be.

use anyhow::{Context as _, bail, ensure};
use nightshift_domain::{Partition, WebhookName};
use nightshift_protocol::kinds;
use reqwest::Url;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One of `[[service.webhooks]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How people call it; how far it is, is kept by this name.
    pub name: String,
    /// Where events are sent: https, or http at a loopback address.
    pub url: String,
    /// A file with the secret that signs what is sent, as `whsec_…`. While one replaces another it has both, each on a line of
    /// its own: then there are two signatures. It is read for each event.
    pub secret_file: PathBuf,
    /// `fleet`, `rollout`, `region.<name>` or `region.*`; all if absent.
    #[serde(default)]
    pub partitions: Vec<String>,
    /// Kinds of events, such as `OrderFinished`; all if absent.
    #[serde(default)]
    pub types: Vec<String>,
    /// Where it begins when its name is new.
    #[serde(default)]
    pub from: From,
    /// How long the receiver may take to answer, in seconds.
    #[serde(default = "ten_seconds")]
    pub timeout_seconds: u64,
    /// The longest wait between two tries, in seconds; the first is a second, and each is twice as long as the one before.
    #[serde(default = "five_minutes")]
    pub longest_wait_seconds: u64,
    /// The authorities that may vouch for the receiver, in PEM; the system's if absent.
    pub authorities: Option<PathBuf>,
}

/// Where a webhook begins that is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// With the first event after the console has seen it.
    #[default]
    Now,
    /// With the first event that there is.
    Beginning,
}

/// A webhook that can be.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    pub(super) name: WebhookName,
    pub(super) url: Url,
    pub(super) secret_file: PathBuf,
    partitions: Vec<Wanted>,
    types: BTreeSet<String>,
    pub(super) from: From,
    pub(super) timeout: Duration,
    pub(super) longest_wait: Duration,
    pub(super) authorities: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    One(Partition),
    EveryRegion,
}

fn ten_seconds() -> u64 {
    10
}

fn five_minutes() -> u64 {
    300
}

/// All of them; the error names the field and its value.
pub(super) fn check(all: &[Settings]) -> anyhow::Result<Vec<Webhook>> {
    let mut names = BTreeSet::new();
    let mut webhooks = Vec::new();
    for settings in all {
        let called = || format!("service.webhooks, \"{}\"", settings.name);
        let webhook = Webhook::of(settings).with_context(called)?;
        ensure!(names.insert(webhook.name.clone()), "{}: the name is there twice", called());
        webhooks.push(webhook);
    }
    Ok(webhooks)
}

impl Webhook {
    fn of(settings: &Settings) -> anyhow::Result<Self> {
        let seconds = |field: &str, value: u64, most: u64| {
            ensure!((1..=most).contains(&value), "{field} = {value}: must be between 1 and {most}");
            Ok(Duration::from_secs(value))
        };
        Ok(Self {
            name: WebhookName::new(&settings.name).context("name")?,
            url: url(&settings.url).with_context(|| format!("url = \"{}\"", settings.url))?,
            secret_file: settings.secret_file.clone(),
            partitions: settings.partitions.iter().map(|text| wanted(text)).collect::<anyhow::Result<_>>()?,
            types: types(&settings.types)?,
            from: settings.from,
            timeout: seconds("timeout_seconds", settings.timeout_seconds, 300)?,
            longest_wait: seconds("longest_wait_seconds", settings.longest_wait_seconds, 86_400)?,
            authorities: settings.authorities.clone(),
        })
    }

    pub(super) fn wants(&self, partition: &Partition) -> bool {
        let fits = |wanted: &Wanted| match wanted {
            Wanted::One(one) => one == partition,
            Wanted::EveryRegion => matches!(partition, Partition::Region(_)),
        };
        self.partitions.is_empty() || self.partitions.iter().any(fits)
    }

    /// By the CloudEvents type, `nightshift.v1.<Event>`.
    pub(super) fn wants_type(&self, event_type: &str) -> bool {
        let kind = event_type.rsplit('.').next().unwrap_or(event_type);
        self.types.is_empty() || self.types.contains(kind)
    }
}

fn url(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_loopback =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        _ => bail!("must be https (http is for loopback addresses alone)"),
    }
}

fn wanted(text: &str) -> anyhow::Result<Wanted> {
    if text == "region.*" {
        return Ok(Wanted::EveryRegion);
    }
    let partition = text.parse::<Partition>();
    partition
        .map(Wanted::One)
        .map_err(|error| anyhow::anyhow!("partitions: {error}, or region.* for all regions"))
}

fn types(wanted: &[String]) -> anyhow::Result<BTreeSet<String>> {
    let known = kinds::all()?;
    for kind in wanted {
        ensure!(
            known.contains(kind.as_str()),
            "types: \"{kind}\" is no kind of event: docs/events.md has them all"
        );
    }
    Ok(wanted.iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_domain::RegionName;

    const GOOD: &str = "name = \"a\"\nurl = \"https://a.example/x\"\nsecret_file = \"/s\"\n";

    fn read(text: &str) -> Result<Webhook, String> {
        let settings: Settings = toml::from_str(text).map_err(|error| error.to_string())?;
        check(&[settings]).map(|mut all| all.remove(0)).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_is_left_out_is_everything_from_now_on() {
        let webhook = read(GOOD).unwrap();
        assert_eq!(
            (webhook.from, webhook.timeout, webhook.longest_wait.as_secs()),
            (From::Now, Duration::from_secs(10), 300)
        );
        assert!(webhook.wants(&Partition::Fleet) && webhook.wants_type("nightshift.v1.VmRemoved"));
    }

    #[test]
    fn partitions_and_types_are_those_that_are_named() {
        let text = format!(
            "{GOOD}partitions = [\"rollout\", \"region.*\"]\ntypes = [\"OrderFinished\"]\nfrom = \"beginning\""
        );
        let webhook = read(&text).unwrap();
        let west = Partition::Region(RegionName::new("west").unwrap());
        assert_eq!(
            [&Partition::Fleet, &Partition::Rollout, &west].map(|one| webhook.wants(one)),
            [false, true, true]
        );
        assert!(
            webhook.wants_type("nightshift.v1.OrderFinished")
                && !webhook.wants_type("nightshift.v1.OrderPlaced")
        );
    }

    #[test]
    fn each_wrong_field_is_named_with_its_value() {
        let cases = [
            (GOOD.replace("\"a\"", "\"A b\""), "webhook \"A b\" is not an identifier"),
            (
                GOOD.replace("https://a.example/x", "http://a.example/x"),
                "url = \"http://a.example/x\": must be https",
            ),
            (
                GOOD.replace("https://a.example/x", "http://10.0.0.1/x"),
                "http is for loopback addresses alone",
            ),
            (GOOD.replace("https://a.example/x", "nowhere"), "url = \"nowhere\""),
            (format!("{GOOD}partitions = [\"regions\"]"), "partitions: \"regions\" is not a partition"),
            (format!("{GOOD}types = [\"OrderDone\"]"), "types: \"OrderDone\" is no kind of event"),
            (format!("{GOOD}timeout_seconds = 0"), "timeout_seconds = 0: must be between 1 and 300"),
            (format!("{GOOD}longest_wait_seconds = 86401"), "must be between 1 and 86400"),
            (format!("{GOOD}secret = \"whsec_x\""), "unknown field `secret`"),
            (format!("{GOOD}from = \"yesterday\""), "yesterday"),
        ];
        for (text, sentence) in cases {
            let error = read(&text).unwrap_err();
            assert!(error.contains(sentence), "{error}");
        }
        for good in ["http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]:2/"] {
            read(&GOOD.replace("https://a.example/x", good)).unwrap();
        }
        let settings: Settings = toml::from_str(GOOD).unwrap();
        assert!(format!("{:#}", check(&[settings.clone(), settings]).unwrap_err()).contains("there twice"));
    }
}
