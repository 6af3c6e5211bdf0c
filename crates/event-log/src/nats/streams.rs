//! The streams: one per partition, made when first needed, read through their leaders.

use super::connection::Connection;
use super::message;
use crate::ReadError;
use crate::Recorded;
use crate::selection::unavailable;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{
    Config, Info, RawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{Context, ErrorCode};
use futures::TryStreamExt as _;
use nightshift_domain::{Follow, Partition, RegionName};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SUBJECTS: &str = "nightshift.v1";
/// How long the server itself recognises an event id that it has seen.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Why a stream cannot be used.
#[derive(Debug)]
pub(super) enum StreamError {
    /// It may be usable later.
    Later(String),
    /// It is not made for a log: no use in waiting.
    Never(String),
}

pub(super) struct Streams {
    context: Context,
    lookups: Context,
    replicas: usize,
    known: Mutex<HashSet<Partition>>,
}

/// The stream of a partition. A region's name has no underscore, so no two partitions share one.
pub(super) fn name(partition: &Partition) -> String {
    match partition {
        Partition::Fleet => "nightshift_fleet".into(),
        Partition::Rollout => "nightshift_rollout".into(),
        Partition::Region(region) => format!("nightshift_region_{region}"),
    }
}

fn partition_of(stream: &str) -> Option<Partition> {
    match stream.strip_prefix("nightshift_")? {
        "fleet" => Some(Partition::Fleet),
        "rollout" => Some(Partition::Rollout),
        other => RegionName::new(other.strip_prefix("region_")?).ok().map(Partition::Region),
    }
}

/// The subjects of what is followed.
pub(super) fn filter(follow: &Follow) -> String {
    match follow.kind {
        Some(kind) => format!("{SUBJECTS}.{}.{kind}.>", follow.partition),
        None => format!("{SUBJECTS}.{}.>", follow.partition),
    }
}

impl Streams {
    pub(super) fn new(connection: &Connection, replicas: usize) -> Self {
        let (context, lookups) = (connection.context.clone(), connection.lookups.clone());
        Self { context, lookups, replicas: replicas.max(1), known: Mutex::default() }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Whether a new leader may take a moment to know everything.
    pub(super) fn replicated(&self) -> bool {
        self.replicas > 1
    }

    /// Sees to it that the partition has a stream.
    pub(super) async fn ensure(&self, partition: &Partition) -> Result<(), StreamError> {
        if self.with_known(|known| known.contains(partition)) {
            return Ok(());
        }
        if self.info(partition).await?.is_none() {
            self.create(partition).await?;
        }
        self.with_known(|known| known.insert(partition.clone()));
        Ok(())
    }

    /// Looks again whether the stream is there when it is next needed.
    pub(super) fn doubt(&self, partition: &Partition) {
        self.with_known(|known| known.remove(partition));
    }

    /// The stream's configuration and state, from its leader; `None` if there is no stream.
    pub(super) async fn info(&self, partition: &Partition) -> Result<Option<Info>, StreamError> {
        match self.lookups.get_stream(name(partition)).await {
            Ok(stream) => {
                let info = stream.cached_info().clone();
                match unfit(&info.config) {
                    Some(why) => Err(StreamError::Never(format!("stream {}: {why}", info.config.name))),
                    None => Ok(Some(info)),
                }
            }
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Ok(None)
                }
                _ => Err(StreamError::Later(error.to_string())),
            },
        }
    }

    /// The newest position; 0 if there is no event.
    pub(super) async fn newest(&self, partition: &Partition) -> Result<u64, StreamError> {
        Ok(self.info(partition).await?.map_or(0, |info| info.state.last_sequence))
    }

    async fn create(&self, partition: &Partition) -> Result<(), StreamError> {
        let config = Config {
            name: name(partition),
            description: Some(format!("Nightshift: events of {partition}")),
            subjects: vec![filter(&Follow::all(partition.clone()))],
            storage: StorageType::File,
            num_replicas: self.replicas,
            deny_delete: true,
            deny_purge: true,
            allow_atomic_publish: true,
            duplicate_window: DUPLICATE_WINDOW,
            ..Config::default()
        };
        match self.context.create_stream(config).await {
            Ok(_) => Ok(()),
            // Somebody else was first: how it is made is looked at when it is next asked for.
            Err(error)
                if matches!(error.kind(), CreateStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NAME_EXIST) =>
            {
                Ok(())
            }
            Err(error) => Err(StreamError::Later(format!("{partition} has no stream yet: {error}"))),
        }
    }

    /// The event at this position, as the stream's leader has it.
    pub(super) async fn at(
        &self,
        partition: &Partition,
        position: u64,
    ) -> Result<Option<Recorded>, ReadError> {
        let query = self.lookup(partition).await?.raw_message_builder().sequence(position);
        found(partition, query.send().await)
    }

    /// The first event with this subject from this position on.
    pub(super) async fn next(
        &self,
        partition: &Partition,
        from: u64,
        subject: &str,
    ) -> Result<Option<Recorded>, ReadError> {
        let query =
            self.lookup(partition).await?.raw_message_builder().sequence(from).next_by_subject(subject);
        found(partition, query.send().await)
    }

    /// The newest event with this subject.
    pub(super) async fn last(
        &self,
        partition: &Partition,
        subject: &str,
    ) -> Result<Option<Recorded>, ReadError> {
        let query = self.lookup(partition).await?.raw_message_builder().last_by_subject(subject);
        found(partition, query.send().await)
    }

    async fn lookup(&self, partition: &Partition) -> Result<Stream<()>, ReadError> {
        let stream = self.lookups.get_stream_no_info(name(partition)).await;
        stream.map_err(|error| unavailable(partition, error.to_string()))
    }

    /// The stream, for consumers to be made of it.
    pub(super) async fn stream(&self, partition: &Partition) -> Result<Stream<()>, ReadError> {
        let stream = self.context.get_stream_no_info(name(partition)).await;
        stream.map_err(|error| unavailable(partition, error.to_string()))
    }

    /// The partitions whose streams hold something.
    pub(super) async fn with_events(&self) -> Result<Vec<Partition>, ReadError> {
        let mut partitions = Vec::new();
        let mut streams = self.context.streams();
        let unavailable = |error: &dyn std::fmt::Display| unavailable(&Partition::Fleet, error.to_string());
        while let Some(info) = streams.try_next().await.map_err(|error| unavailable(&error))? {
            let holds_some = info.state.last_sequence > 0;
            partitions.extend(partition_of(&info.config.name).filter(|_| holds_some));
        }
        partitions.sort();
        Ok(partitions)
    }

    fn with_known<R>(&self, work: impl FnOnce(&mut HashSet<Partition>) -> R) -> R {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn found(
    partition: &Partition,
    answer: Result<
        async_nats::jetstream::message::StreamMessage,
        async_nats::jetstream::stream::RawMessageError,
    >,
) -> Result<Option<Recorded>, ReadError> {
    match answer {
        Ok(stored) => message::stored(partition, stored).map(Some),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(unavailable(partition, error.to_string())),
    }
}

/// What of the stream's configuration would lose events.
fn unfit(config: &Config) -> Option<String> {
    let faults = [
        (config.storage != StorageType::File, "it must be stored in files"),
        (!config.allow_atomic_publish, "allow_atomic must be on"),
        (!config.deny_delete || !config.deny_purge, "deny_delete and deny_purge must be on"),
        (config.retention != RetentionPolicy::Limits, "its retention must be limits"),
        (
            config.max_messages > 0 || config.max_bytes > 0 || config.max_messages_per_subject > 0,
            "it must not be limited in messages or bytes",
        ),
        (!config.max_age.is_zero(), "it must not have a max_age"),
    ];
    let why = faults.iter().find(|(fault, _)| *fault).map(|(_, why)| *why)?;
    Some(format!("{why}: make it anew by the shipped configuration, and restore its events"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_a_stream_of_its_own() {
        for text in ["fleet", "rollout", "region.west", "region.fleet", "region.west-2"] {
            let partition: Partition = text.parse().unwrap();
            let name = name(&partition);
            assert!(!name.contains('.'), "{name}");
            assert_eq!(partition_of(&name), Some(partition), "{name}");
        }
        assert_eq!(partition_of("KV_config"), None);
        assert_eq!(partition_of("nightshift_other"), None);
    }

    #[test]
    fn a_stream_that_forgets_is_unfit() {
        let good =
            Config { deny_delete: true, deny_purge: true, allow_atomic_publish: true, ..Config::default() };
        assert_eq!(unfit(&good), None);
        for bad in [
            Config { storage: StorageType::Memory, ..good.clone() },
            Config { deny_purge: false, ..good.clone() },
            Config { max_age: Duration::from_secs(1), ..good.clone() },
            Config { max_bytes: 1, ..good.clone() },
        ] {
            assert!(unfit(&bad).is_some());
        }
    }
}
