//! Every event of Nightshift's log in a file, each exactly once, whenever this program is killed: what
//! `examples/python/consumer.py` is in Python, with the client library of NATS and the contract's generated types.
//!
//! ```sh
//! nightshift nats-users /etc/nats/nightshift --consumer archive      # makes its user: docs/events.md
//! cargo run -p nightshift-event-log --example consumer -- \
//!     nats://127.0.0.1:4222 archive /etc/nats/nightshift/archive.nk archive.jsonl
//! ```
//!
//! Each line of the file is an event together with its position, so that there is no moment in which the one is written
//! and the other is not. Only what is safely on the disk is acknowledged. An error ends the program; let a supervisor
//! start it anew.

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::{AckKind, Context, Message, stream::Stream};
use futures::TryStreamExt as _;
use nightshift_protocol::envelope::Envelope;
use nightshift_protocol::json::event_json;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// Events that are written together, at most.
const BATCH: usize = 200;
/// A region's stream is made with its first event.
const LOOK_FOR_STREAMS: Duration = Duration::from_secs(2);
/// Without an acknowledgement an event is sent again.
const REDELIVER_AFTER: Duration = Duration::from_secs(5);

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, name, seed, file] = arguments.as_slice() else {
        return Err("say: consumer ADDRESS NAME SEED_FILE OUTPUT_FILE".into());
    };
    let archive = Archive::open(Path::new(file))?;
    let seed = std::fs::read_to_string(seed)?.trim().to_owned();
    let options = async_nats::ConnectOptions::with_nkey(seed).custom_inbox_prefix(format!("_INBOX_{name}"));
    let jetstream = async_nats::jetstream::new(options.connect(address.as_str()).await?);
    let (mut followed, mut tasks) = (HashSet::new(), JoinSet::new());
    loop {
        let mut streams = jetstream.stream_names();
        while let Some(stream) = streams.try_next().await? {
            if stream.starts_with("nightshift_") && followed.insert(stream.clone()) {
                tasks.spawn(follow(jetstream.clone(), stream, name.clone(), archive.clone()));
            }
        }
        tokio::select! {
            Some(ended) = tasks.join_next() => ended??,
            () = tokio::time::sleep(LOOK_FOR_STREAMS) => {}
        }
    }
}

/// Takes a partition's events in order, for ever.
async fn follow(jetstream: Context, stream: String, name: String, archive: Archive) -> Result<(), Failed> {
    let mut place = archive.position(&stream);
    let consumer = consumer(&jetstream.get_stream(&stream).await?, &name, place).await?;
    loop {
        let batch = consumer.fetch().max_messages(BATCH).messages().await?;
        let messages: Vec<Message> = batch.try_collect().await?;
        if messages.is_empty() {
            // Waits on the server for the next one, which then comes with what is there.
            let waiting = consumer.batch().max_messages(1).expires(REDELIVER_AFTER).messages().await?;
            let waited: Vec<Message> = waiting.try_collect().await?;
            place = take(&archive, &stream, place, &waited).await?;
            continue;
        }
        place = take(&archive, &stream, place, &messages).await?;
    }
}

/// Writes what comes next, acknowledges what is written, and says how far that is.
async fn take(archive: &Archive, stream: &str, place: u64, messages: &[Message]) -> Result<u64, Failed> {
    let (mut reached, mut lines) = (place, Vec::new());
    for message in messages {
        let position = message.info()?.stream_sequence;
        if position == reached + 1 {
            lines.push(line(stream, position, message)?);
            reached = position;
        } else if position > reached {
            // What lies between was sent before and not acknowledged: it comes again, and this after it.
            message.ack_with(AckKind::Nak(Some(Duration::from_secs(1)))).await?;
        }
    }
    if !lines.is_empty() {
        archive.add(stream, reached, &lines)?;
    }
    for message in messages {
        if message.info()?.stream_sequence <= reached {
            message.ack().await?;
        }
    }
    Ok(reached)
}

/// The durable consumer of this name, which goes on after our own position.
async fn consumer(stream: &Stream, name: &str, place: u64) -> Result<Consumer<pull::Config>, Failed> {
    if let Ok(there) = stream.get_consumer::<pull::Config>(name).await {
        if there.cached_info().ack_floor.stream_sequence <= place {
            return Ok(there);
        }
        // Our file is an older one, of a backup perhaps: what was acknowledged since is not in it.
        stream.delete_consumer(name).await?;
    }
    let config = pull::Config {
        durable_name: Some(name.to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: place + 1 },
        ack_policy: AckPolicy::Explicit,
        ack_wait: REDELIVER_AFTER,
        max_ack_pending: BATCH as i64,
        ..pull::Config::default()
    };
    Ok(stream.create_consumer(config).await?)
}

/// The event as JSON: its CloudEvents attributes are headers, its body is protobuf.
fn line(stream: &str, position: u64, message: &Message) -> Result<Value, Failed> {
    let headers = message.headers.as_ref().ok_or("a message without headers is no event")?;
    let get = |name: &str| headers.get(name).map(ToString::to_string);
    let envelope = Envelope::from_headers(get, message.payload.to_vec())?;
    // A kind that this program's contract does not know yet is kept as it came.
    let as_it_came =
        |_| json!({ "id": envelope.id, "type": envelope.event_type, "payload": hex::encode(&envelope.data) });
    let event = event_json(&envelope).unwrap_or_else(as_it_came);
    Ok(json!({ "stream": stream, "position": position, "event": event }))
}

/// The events with their positions, one a line.
#[derive(Clone)]
struct Archive(Arc<Mutex<(File, HashMap<String, u64>)>>);

impl Archive {
    fn open(path: &Path) -> Result<Self, Failed> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let (mut positions, mut whole) = (HashMap::new(), 0);
        let mut reader = BufReader::new(&file);
        let mut text = String::new();
        // A line without its end was being written when somebody was killed: it was never acknowledged.
        while reader.read_line(&mut text)? > 0 && text.ends_with('\n') {
            let line: Value = serde_json::from_str(&text)?;
            let stream = line["stream"].as_str().ok_or("a line without its stream")?;
            positions
                .insert(stream.to_owned(), line["position"].as_u64().ok_or("a line without its position")?);
            whole += text.len() as u64;
            text.clear();
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self(Arc::new(Mutex::new((file, positions)))))
    }

    fn position(&self, stream: &str) -> u64 {
        let archive = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        archive.1.get(stream).copied().unwrap_or(0)
    }

    /// Returns once the lines are on the disk.
    fn add(&self, stream: &str, reached: u64, lines: &[Value]) -> Result<(), Failed> {
        let mut archive = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        archive.0.write_all(text.as_bytes())?;
        archive.0.sync_data()?;
        archive.1.insert(stream.to_owned(), reached);
        println!("{stream} {reached}");
        Ok(())
    }
}
