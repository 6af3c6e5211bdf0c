//! The one connection of a process to NATS, and what becomes known about it besides answers.

use super::backoff::Backoff;
use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long the server may take to answer. When it dies, its answers are waited for in vain for so long; when it is only
/// slow, the question is put once more.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a cluster may take to agree on a new stream or consumer.
const AGREE_WITHIN: Duration = Duration::from_secs(5);
/// What is said when an answer can no longer come.
pub(super) const LOST: &str = "the connection was lost";
/// A server that is silent for longer is taken for lost.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Messages that may wait for a subscriber in this process.
const WAITING_MESSAGES: usize = 65_536;

/// How to reach the log.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// For example `nats://127.0.0.1:4222`; any one of a cluster's servers is enough, several are safer.
    pub servers: Vec<String>,
    /// Copies of each partition: 3 where there are three servers. Only for partitions that do not exist yet.
    pub replicas: usize,
    /// Who we are.
    pub login: Login,
    /// How the connection is protected.
    pub tls: Tls,
    /// Beginning of the subjects on which answers come, where permissions are given by it.
    pub inbox_prefix: Option<String>,
    /// How long to try before an append is `Unknown`, a read `Unavailable`, or a connection given up.
    pub patience: Duration,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".into()],
            replicas: 1,
            login: Login::default(),
            tls: Tls::default(),
            inbox_prefix: None,
            patience: Duration::from_secs(15),
        }
    }
}

/// Who a service is to NATS.
#[derive(Debug, Clone, Default)]
pub enum Login {
    /// Whom the server's URL names (`nats://user:password@host`), or nobody in particular.
    #[default]
    Url,
    /// A credentials file (JWT and seed).
    Credentials(PathBuf),
    /// A file with an nkey's seed.
    NkeySeed(PathBuf),
}

/// How a connection is protected. `tls://` in a server's URL asks for TLS too.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Never without TLS.
    pub required: bool,
    /// The authorities that may vouch for the server, in PEM; the system's if absent.
    pub authorities: Option<PathBuf>,
    /// Our certificate and its key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers.
    #[error("no NATS server answers at {servers} ({cause}): start it, or mend the address")]
    NoServer {
        /// Where.
        servers: String,
        /// What the system says.
        cause: String,
    },
    /// The server does not let us in.
    #[error(
        "the NATS server at {servers} does not let us in ({cause}): check the credentials and certificates"
    )]
    Refused {
        /// Where.
        servers: String,
        /// What the server says.
        cause: String,
    },
    /// An address is none.
    #[error("the address of a NATS server is not understood ({cause}): write nats://host:4222")]
    Address {
        /// What is wrong with it.
        cause: String,
    },
    /// A file of the options cannot be used.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
}

pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) context: Context,
    /// The same, for questions that are answered at once.
    pub(super) lookups: Context,
    /// Rises whenever a connection stands anew.
    pub(super) times_connected: watch::Receiver<u64>,
    refusal: Arc<Mutex<Option<String>>>,
}

impl Connection {
    pub(super) async fn open(options: &NatsOptions) -> Result<Self, ConnectError> {
        let (connected, times_connected) = watch::channel(0);
        let connected = Arc::new(connected);
        let refusal = Arc::new(Mutex::new(None));
        let addresses = addresses(options)?;
        let mut backoff = Backoff::within(options.patience);
        let client = loop {
            let attempt = settings(options, &addresses).await?;
            let (connected, refusal) = (connected.clone(), refusal.clone());
            let attempt = attempt.event_callback(move |event| {
                note(&event, &connected, &refusal);
                async {}
            });
            let error = match attempt.connect(addresses.clone()).await {
                Ok(client) => break client,
                Err(error) => error,
            };
            let (servers, cause) = (names(&addresses), error.to_string());
            match error.kind() {
                ConnectErrorKind::AuthorizationViolation
                | ConnectErrorKind::Authentication
                | ConnectErrorKind::Tls => return Err(ConnectError::Refused { servers, cause }),
                _ if !backoff.wait().await => return Err(ConnectError::NoServer { servers, cause }),
                _ => {}
            }
        };
        let mut context = async_nats::jetstream::new(client.clone());
        context.set_timeout(AGREE_WITHIN);
        let mut lookups = context.clone();
        lookups.set_timeout(ANSWER_WITHIN);
        Ok(Self { client, context, lookups, times_connected, refusal })
    }

    /// Waits a moment for the connection to come back: what is sent without one is sent later, when nobody waits for
    /// its answer any more.
    pub(super) async fn ready(&self) -> bool {
        if self.client.connection_state() == State::Connected {
            return true;
        }
        let mut times_connected = self.times_connected.clone();
        let back = async {
            while self.client.connection_state() != State::Connected
                && times_connected.changed().await.is_ok()
            {}
        };
        let _ = tokio::time::timeout(ANSWER_WITHIN, back).await;
        self.client.connection_state() == State::Connected
    }

    /// The answer, unless the connection is lost and made anew first: what was asked on the old one may never be
    /// answered.
    pub(super) async fn answer<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut times_connected = self.times_connected.clone();
        times_connected.mark_unchanged();
        tokio::select! {
            biased;
            answer = work => Some(answer),
            _ = times_connected.changed() => None,
        }
    }

    /// The cause, and what the server refused us lately: it answers a forbidden message with silence.
    pub(super) fn explain(&self, cause: &str) -> String {
        match &*self.refusal.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(refusal) => format!("{cause}; the server said: {refusal}"),
            None => cause.to_owned(),
        }
    }
}

fn addresses(options: &NatsOptions) -> Result<Vec<ServerAddr>, ConnectError> {
    // The address itself may hold a password: it is not repeated.
    let wrong = |error: std::io::Error| ConnectError::Address { cause: error.to_string() };
    let addresses: Result<Vec<ServerAddr>, _> = options.servers.iter().map(|url| url.parse()).collect();
    match addresses.map_err(wrong)? {
        none if none.is_empty() => Err(ConnectError::Address { cause: "there is none".into() }),
        some => Ok(some),
    }
}

/// The addresses without the passwords that they may hold.
fn names(addresses: &[ServerAddr]) -> String {
    let names: Vec<String> =
        addresses.iter().map(|address| format!("{}:{}", address.host(), address.port())).collect();
    names.join(", ")
}

async fn settings(options: &NatsOptions, addresses: &[ServerAddr]) -> Result<ConnectOptions, ConnectError> {
    let mut settings = ConnectOptions::new()
        .name("nightshift")
        .ping_interval(PING_EVERY)
        .request_timeout(Some(ANSWER_WITHIN))
        .subscription_capacity(WAITING_MESSAGES)
        .require_tls(options.tls.required);
    if let Some(prefix) = &options.inbox_prefix {
        settings = settings.custom_inbox_prefix(prefix);
    }
    if let Some(path) = &options.tls.authorities {
        settings = settings.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &options.tls.identity {
        settings = settings.add_client_certificate(certificate.clone(), key.clone());
    }
    match &options.login {
        Login::Url => {
            let named = addresses.iter().find_map(|address| Some((address.username()?, address.password()?)));
            Ok(match named {
                Some((user, password)) => settings.user_and_password(user.to_owned(), password.to_owned()),
                None => settings,
            })
        }
        Login::Credentials(path) => {
            let wrong =
                |error: std::io::Error| ConnectError::File { path: path.clone(), cause: error.to_string() };
            settings.credentials_file(path).await.map_err(wrong)
        }
        Login::NkeySeed(path) => {
            let wrong =
                |error: std::io::Error| ConnectError::File { path: path.clone(), cause: error.to_string() };
            let seed = tokio::fs::read_to_string(path).await.map_err(wrong)?;
            Ok(settings.nkey(seed.trim().to_owned()))
        }
    }
}

fn note(event: &Event, connected: &watch::Sender<u64>, refusal: &Mutex<Option<String>>) {
    let mut refusal = refusal.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        Event::Connected => {
            tracing::info!("connected to NATS");
            *refusal = None;
            connected.send_modify(|times| *times += 1);
        }
        Event::ServerError(error) => {
            tracing::error!(%error, "NATS refuses");
            *refusal = Some(error.to_string());
        }
        Event::Disconnected => tracing::warn!("the connection to NATS is lost"),
        other => tracing::debug!(%other, "NATS"),
    }
}
