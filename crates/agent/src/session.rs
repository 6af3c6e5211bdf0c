//! The conversation with the gateway: the agent connects out, and again for ever.

use crate::back_end::BackEnd;
use crate::backoff;
use crate::config::Config;
use crate::identity::{self, LinkError};
use crate::lookout::Lookout;
use crate::spool::Spool;
use crate::store::Store;
use crate::welcomed::Welcomed;
use crate::worker::Desk;
use nightshift_clock::Clock;
use nightshift_domain::agent::AgentIdentity;
use nightshift_domain::event::Order;
use nightshift_domain::policy::Probe;
use nightshift_protocol::agent::v1 as wire;
use nightshift_protocol::agent::v1::agent_gateway_service_client::AgentGatewayServiceClient;
use nightshift_protocol::agent::v1::session_request::Message as Up;
use nightshift_protocol::agent::v1::session_response::Message as Down;
use nightshift_protocol::convert::time;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// Messages that may wait for the network.
const OUTBOX: usize = 64;
/// How long the gateway may take to answer Hello.
const WELCOME_WITHIN: Duration = Duration::from_secs(30);

type Outbox = mpsc::Sender<wire::SessionRequest>;

/// How a session ended that did not fail.
enum Ended {
    ByGateway,
    /// There is a new certificate to begin the next one with.
    Renewed,
}

/// The agent's side of its sessions.
pub(crate) struct Link {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) spool: Spool,
    pub(crate) desk: Desk,
    pub(crate) back_end: Arc<dyn BackEnd>,
    pub(crate) lookout: Lookout,
    pub(crate) clock: Clock,
    /// Asks for a heartbeat at once.
    pub(crate) beat: Arc<Notify>,
    pub(crate) welcomed: Welcomed,
}

impl Link {
    /// Keeps a session with the gateway, through its restarts and the network's troubles, for ever.
    pub(crate) async fn keep(&self) {
        let mut failures = 0;
        loop {
            let mut welcomed = false;
            let error = match self.converse(&mut welcomed).await {
                Ok(Ended::Renewed) => continue,
                Ok(Ended::ByGateway) => LinkError::Protocol("it ended the session"),
                Err(error) => error,
            };
            if let Err(error) = identity::failed(&self.store, &error) {
                tracing::error!(%error, "the agent's state cannot be kept");
            }
            failures = if welcomed { 0 } else { failures + 1 };
            let wait = backoff::wait(failures, self.config.longest_backoff(), rand::random());
            tracing::warn!(vm = %self.config.vm, %error, ?wait, "no session with the gateway");
            // Real time: this is about the network, not about the fleet.
            tokio::time::sleep(wait).await;
        }
    }

    async fn converse(&self, welcomed: &mut bool) -> Result<Ended, LinkError> {
        let (channel, papers) = identity::connect(&self.config, &self.store).await?;
        let (outbox, requests) = mpsc::channel(OUTBOX);
        send(&outbox, Up::Hello(self.hello()?)).await?;
        let mut client = AgentGatewayServiceClient::new(channel.clone());
        let mut responses = client.session(ReceiverStream::new(requests)).await?.into_inner();
        self.welcome(&mut responses).await?;
        *welcomed = true;
        identity::proved(&self.store, &papers)?;
        tracing::info!(vm = %self.config.vm, "in session with the gateway");
        // Side by side: who waits to send must go on receiving, or two full queues wait for each other.
        tokio::select! {
            result = self.receive(responses) => result.map(|()| Ended::ByGateway),
            result = self.send_reports(&outbox) => result.map(|()| Ended::ByGateway),
            result = self.send_heartbeats(&outbox) => result.map(|()| Ended::ByGateway),
            result = identity::renew_in_time(&self.config, &self.store, &papers, channel) => {
                result.map(|()| Ended::Renewed)
            }
            result = self.send_probes(&outbox) => result.map(|()| Ended::ByGateway),
        }
    }

    fn hello(&self) -> Result<wire::Hello, LinkError> {
        let boot_id = self.back_end.boot_id().map_err(|error| LinkError::Config(error.to_string()))?;
        let identity = AgentIdentity {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id,
            os: self.back_end.os(),
            back_end: self.back_end.name().to_owned(),
        };
        Ok(wire::Hello { identity: Some((&identity).into()) })
    }

    async fn welcome(&self, responses: &mut Streaming<wire::SessionResponse>) -> Result<(), LinkError> {
        let first = tokio::time::timeout(WELCOME_WITHIN, responses.message()).await;
        let first = first.map_err(|_| LinkError::Protocol("it did not answer Hello in time"))??;
        match first.and_then(|response| response.message) {
            Some(Down::Welcome(welcome)) => {
                // A gateway of before does not say what time it has.
                if let Ok(now) = time(welcome.now, "welcome.now") {
                    self.welcomed.note(self.clock.now() - now, welcome.oldest_agent);
                }
                Ok(self.spool.forget(welcome.last_report)?)
            }
            _ => Err(LinkError::Protocol("its first word was not Welcome")),
        }
    }

    async fn receive(&self, mut responses: Streaming<wire::SessionResponse>) -> Result<(), LinkError> {
        while let Some(response) = responses.message().await? {
            match response.message {
                Some(Down::Order(order)) => self.take(order),
                Some(Down::Assess(assess)) => match time(assess.not_after, "assess.not_after") {
                    Ok(not_after) => self.desk.assess(not_after),
                    Err(error) => tracing::error!(%error, "a wish to assess could not be read"),
                },
                Some(Down::Watch(watch)) => self.watch(watch),
                Some(Down::ReportStored(stored)) => self.spool.forget(stored.number)?,
                Some(Down::Welcome(_)) => return Err(LinkError::Protocol("it said Welcome twice")),
                None => {
                    tracing::warn!("the gateway said something that this version of the agent does not know")
                }
            }
        }
        Ok(())
    }

    /// An order that cannot be understood is not carried out; it settles by its deadline.
    fn take(&self, order: nightshift_protocol::events::v1::Order) {
        match Order::try_from(order) {
            Ok(order) => self.desk.take(order),
            Err(error) => tracing::error!(%error, "an order could not be read"),
        }
    }

    async fn send_reports(&self, outbox: &Outbox) -> Result<(), LinkError> {
        let mut newest = self.spool.watch();
        let mut sent = 0;
        loop {
            for report in self.spool.after(sent) {
                sent = report.number;
                send(outbox, Up::Report((&report).into())).await?;
            }
            // The spool lives as long as the agent: there is no error to meet.
            drop(newest.changed().await);
        }
    }

    async fn send_heartbeats(&self, outbox: &Outbox) -> Result<(), LinkError> {
        loop {
            let heartbeat = self.lookout.heartbeat().await;
            let heartbeat = heartbeat.map_err(|error| LinkError::Config(error.to_string()))?;
            send(outbox, Up::Heartbeat(heartbeat)).await?;
            tokio::select! {
                () = self.clock.sleep(self.config.heartbeat()) => {}
                () = self.beat.notified() => {}
                () = self.lookout.changes() => {}
            }
        }
    }

    async fn send_probes(&self, outbox: &Outbox) -> Result<(), LinkError> {
        let (results, mut taken) = mpsc::channel(1);
        let pass_on = async {
            while let Some(result) = taken.recv().await {
                send(outbox, Up::Probed(result)).await?;
            }
            Ok(())
        };
        tokio::select! {
            result = pass_on => result,
            () = self.lookout.run_probes(results) => Ok(()),
        }
    }

    /// Probes that cannot be understood are not run: what waits for their results is unknown, and never confirmed.
    fn watch(&self, watch: wire::Watch) {
        let read: Result<Vec<Probe>, _> = watch.probes.into_iter().map(Probe::try_from).collect();
        let probes = read.unwrap_or_else(|error| {
            tracing::error!(%error, "the policy's probes could not be read");
            Vec::new()
        });
        self.lookout.watch(watch.watched.then_some(probes));
    }
}

async fn send(outbox: &Outbox, message: Up) -> Result<(), LinkError> {
    let request = wire::SessionRequest { message: Some(message) };
    outbox.send(request).await.map_err(|_| LinkError::Protocol("it takes no more messages"))
}
