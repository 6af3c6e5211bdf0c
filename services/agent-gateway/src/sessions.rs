//! The agents' door: enrolment, sessions, delivery of orders.
//!
//! Who speaks is what the client certificate says. An order leaves here only after it was read from the log; a
//! report is acknowledged only when it is in the log.

use crate::authority::{Authority, sha256, speaker};
use crate::health;
use crate::renewal::{self, Terms};
use chrono::Utc;
use futures::Stream;
use nightshift_domain::agent::{AgentIdentity, RefusedOrder};
use nightshift_domain::event::Order;
use nightshift_domain::gateway::{Gateway, Report};
use nightshift_domain::{Event, OrderId, RegionName, Time, VmId};
use nightshift_protocol::agent::v1 as wire;
use nightshift_protocol::agent::v1::agent_gateway_service_server::AgentGatewayService;
use nightshift_protocol::agent::v1::session_response::Message as Down;
use nightshift_protocol::agent::v1::{report::Body, session_request};
use nightshift_protocol::convert::{time, timestamp};
use nightshift_runtime::status::{id, invalid, refused, required, within};
use nightshift_runtime::{Clock, Host, Signals};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// The oldest agent that understands what this gateway says.
const OLDEST_AGENT: &str = "0.1.0";
/// Messages that may wait for one agent.
const OUTBOX: usize = 64;

type Outbox = mpsc::Sender<Result<wire::SessionResponse, Status>>;

#[derive(Clone)]
pub(crate) struct Sessions {
    host: Host<Gateway>,
    clock: Clock,
    signals: Signals,
    authority: Arc<Authority>,
    terms: Terms,
    live: Arc<Mutex<BTreeMap<VmId, Outbox>>>,
}

/// Who speaks, by its certificate.
#[derive(Clone)]
struct Speaker {
    vm: VmId,
    region: RegionName,
}

#[tonic::async_trait]
impl AgentGatewayService for Sessions {
    async fn enrol(
        &self,
        request: Request<wire::EnrolRequest>,
    ) -> Result<Response<wire::EnrolResponse>, Status> {
        let request = request.into_inner();
        let vm: VmId = id(request.vm, "vm")?;
        let ends = self.terms.end();
        let (certificate, key) = self.certify(&vm, &request.certificate_request_pem, ends)?;
        let token = sha256(request.token.as_bytes());
        let enrol = move |gateway: &Gateway, now| {
            gateway.enrol(&vm, &token, &key, ends, now).map(|decision| decision.into_iter().collect())
        };
        self.host.command(enrol).await?;
        let authority_pem = self.authority.certificate_pem().to_owned();
        let (certificate_pem, lifetime_seconds) = (certificate.pem(), self.terms.lifetime_seconds());
        Ok(Response::new(wire::EnrolResponse { certificate_pem, authority_pem, lifetime_seconds }))
    }

    async fn renew(
        &self,
        request: Request<wire::RenewRequest>,
    ) -> Result<Response<wire::RenewResponse>, Status> {
        let request = request.into_inner();
        let asking = renewal::asking_key(&request)?;
        let vm: VmId = id(request.vm, "vm")?;
        let ends = self.terms.end();
        let (certificate, new) = self.certify(&vm, &request.certificate_request_pem, ends)?;
        let grace = self.terms.grace;
        // By the clock that certificates go by, which in a demo is not the fleet's.
        let renew = move |gateway: &Gateway, _| {
            let decision = gateway.renew(&vm, &asking, &new, ends, Utc::now(), grace)?;
            Ok(decision.into_iter().collect())
        };
        self.host.command(renew).await?;
        let (certificate_pem, lifetime_seconds) = (certificate.pem(), self.terms.lifetime_seconds());
        Ok(Response::new(wire::RenewResponse { certificate_pem, lifetime_seconds }))
    }

    type SessionStream = Pin<Box<dyn Stream<Item = Result<wire::SessionResponse, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<wire::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let speaker = self.authenticate(&request).await?;
        let (outbox, responses) = mpsc::channel(OUTBOX);
        let sessions = self.clone();
        tokio::spawn(async move {
            let vm = speaker.vm.clone();
            if let Err(status) = sessions.converse(speaker, request.into_inner(), &outbox).await {
                tracing::info!(%vm, code = ?status.code(), message = status.message(), "session ended");
                // The agent may have gone away.
                drop(outbox.send(Err(status)).await);
            }
            sessions.leave(&vm, &outbox);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }
}

impl Sessions {
    pub(crate) fn new(
        host: Host<Gateway>,
        clock: Clock,
        signals: Signals,
        authority: Arc<Authority>,
        terms: Terms,
    ) -> Self {
        Self { host, clock, signals, authority, terms, live: Arc::default() }
    }

    fn certify(
        &self,
        vm: &VmId,
        request_pem: &str,
        ends: Time,
    ) -> Result<(rcgen::Certificate, String), Status> {
        let certified = self.authority.certify(vm, request_pem, ends);
        certified.map_err(|error| {
            invalid("certificate_request_pem", format!("certificate_request_pem: {error:#}"))
        })
    }

    /// Hands every order that becomes fact to its VM's session, if there is one. An agent without a session gets it
    /// with its next one.
    pub(crate) async fn deliver(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut facts = self.host.facts();
        loop {
            let fact = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                fact = facts.recv() => fact,
            };
            match fact {
                Ok(fact) => match &fact.event {
                    Event::OrderPlaced { order } => self.hand(&order.vm, Down::Order(order.into())),
                    Event::AssessmentsRequested { vms, not_after, .. } => {
                        vms.iter().for_each(|vm| self.hand(vm, assess(*not_after)));
                    }
                    Event::AssessmentWished { vm, not_after, .. } => self.hand(vm, assess(*not_after)),
                    Event::WatchRequested { vms, .. } | Event::ControlsRequested { vms, .. } => {
                        self.watch(vms).await?
                    }
                    Event::VmSettled { vm, .. }
                    | Event::VmSkipped { vm, .. }
                    | Event::VmDeferred { vm, .. } => self.watch(std::slice::from_ref(vm)).await?,
                    _ => {}
                },
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "orders may have been missed: sending all open ones again");
                    let live: Vec<VmId> = self.live().keys().cloned().collect();
                    self.watch(&live).await?;
                    for vm in live {
                        self.open_orders(&vm)
                            .await?
                            .iter()
                            .for_each(|order| self.hand(&vm, Down::Order(order.into())));
                    }
                }
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }

    async fn authenticate<T>(&self, request: &Request<T>) -> Result<Speaker, Status> {
        let certificates = request.peer_certs();
        let certificate = certificates.as_deref().and_then(|chain| chain.first());
        let certificate = certificate
            .ok_or_else(|| Status::unauthenticated("a session needs a client certificate: enrol first"))?;
        let (vm, key) = speaker(certificate)
            .ok_or_else(|| Status::unauthenticated("the client certificate names no VM of Nightshift"))?;
        let speaker = move |gateway: &Gateway, _| {
            gateway.authenticate(&vm, &key)?;
            let unknown = || nightshift_domain::Refusal::no_vm(&vm);
            let region = gateway.fleet.vms.get(&vm).ok_or_else(unknown)?.region.clone();
            Ok(Speaker { vm, region })
        };
        let speaker: Result<Speaker, nightshift_domain::Refusal> = self.host.look(speaker).await?;
        speaker.map_err(|refusal| refused(&refusal))
    }

    async fn converse(
        &self,
        speaker: Speaker,
        mut requests: Streaming<wire::SessionRequest>,
        outbox: &Outbox,
    ) -> Result<(), Status> {
        while let Some(request) = requests.message().await? {
            match request.message.ok_or_else(|| invalid("message", "message: missing"))? {
                session_request::Message::Hello(hello) => self.welcome(&speaker, hello, outbox).await?,
                session_request::Message::Heartbeat(heartbeat) => self.heard(&speaker, heartbeat).await,
                session_request::Message::Probed(probed) => self.probed(&speaker, probed).await?,
                session_request::Message::Report(report) => self.store(&speaker, report, outbox).await?,
            }
        }
        Ok(())
    }

    async fn welcome(&self, speaker: &Speaker, hello: wire::Hello, outbox: &Outbox) -> Result<(), Status> {
        let identity: AgentIdentity = required(hello.identity, "hello.identity")?;
        let vm = speaker.vm.clone();
        let connected = move |gateway: &Gateway, _| {
            gateway.connected(&vm, identity.clone()).map(|decision| decision.into_iter().collect())
        };
        self.host.command(connected).await?;
        let vm = speaker.vm.clone();
        let last_report = self.host.look(move |gateway, _| gateway.last_report(&vm)).await?;
        let now = Some(timestamp(self.clock.now()));
        send(
            outbox,
            Down::Welcome(wire::Welcome { last_report, now, oldest_agent: OLDEST_AGENT.to_owned() }),
        )
        .await?;
        // First listed, then read: an order in between is sent twice, never not at all.
        self.live().insert(speaker.vm.clone(), outbox.clone());
        for order in self.open_orders(&speaker.vm).await? {
            send(outbox, Down::Order((&order).into())).await?;
        }
        let vm = speaker.vm.clone();
        if let Some(not_after) = self.host.look(move |gateway, now| gateway.open_assessment(&vm, now)).await?
        {
            send(outbox, assess(not_after)).await?;
        }
        let vm = speaker.vm.clone();
        let watch = self.host.look(move |gateway, _| health::watch(gateway, &vm)).await?;
        send(outbox, watch).await
    }

    async fn heard(&self, speaker: &Speaker, heartbeat: wire::Heartbeat) {
        let signal = health::heartbeat(speaker.vm.clone(), self.clock.now(), heartbeat);
        self.signals.send(&speaker.region, signal).await;
    }

    async fn probed(&self, speaker: &Speaker, probed: wire::Probed) -> Result<(), Status> {
        let signal = health::probed(speaker.vm.clone(), self.clock.now(), probed)?;
        self.signals.send(&speaker.region, signal).await;
        Ok(())
    }

    /// Tells agents what to look at now, as far as they are here.
    async fn watch(&self, vms: &[VmId]) -> Result<(), nightshift_runtime::CommandError> {
        let asked = vms.to_vec();
        let find = move |gateway: &Gateway, _| -> Vec<Down> {
            asked.iter().map(|vm| health::watch(gateway, vm)).collect()
        };
        let watches = self.host.look(find).await?;
        vms.iter().zip(watches).for_each(|(vm, watch)| self.hand(vm, watch));
        Ok(())
    }

    async fn store(&self, speaker: &Speaker, report: wire::Report, outbox: &Outbox) -> Result<(), Status> {
        let number = report.number;
        let body = decode(report)?;
        let vm = speaker.vm.clone();
        let store = move |gateway: &Gateway, _| {
            gateway.report(&vm, number, body.clone()).map(|decision| decision.into_iter().collect())
        };
        match self.host.command(store).await {
            Ok(_) => {}
            // No later try would make it a fact; the agent must not be stuck on it for ever.
            Err(nightshift_runtime::CommandError::Refused(refusal)) if refusal.code == "OrderNotFound" => {
                tracing::warn!(%refusal, "a report was passed over");
            }
            Err(nightshift_runtime::CommandError::Refused(refusal)) => return Err(refused(&refusal)),
            Err(error) => return Err(error.into()),
        }
        send(outbox, Down::ReportStored(wire::ReportStored { number })).await
    }

    async fn open_orders(&self, vm: &VmId) -> Result<Vec<Order>, nightshift_runtime::CommandError> {
        let vm = vm.clone();
        self.host.look(move |gateway, _| gateway.open_orders(&vm)).await
    }

    /// Without waiting: an agent that does not read its orders loses its session and gets them with its next one.
    fn hand(&self, vm: &VmId, message: Down) {
        let mut live = self.live();
        let Some(outbox) = live.get(vm) else { return };
        if outbox.try_send(Ok(wire::SessionResponse { message: Some(message) })).is_err() {
            live.remove(vm);
        }
    }

    fn leave(&self, vm: &VmId, outbox: &Outbox) {
        let mut live = self.live();
        if live.get(vm).is_some_and(|newest| newest.same_channel(outbox)) {
            live.remove(vm);
        }
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<VmId, Outbox>> {
        // The map is whole at every moment, whoever panicked while holding it.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn assess(not_after: Time) -> Down {
    Down::Assess(wire::Assess { not_after: Some(timestamp(not_after)) })
}

async fn send(outbox: &Outbox, message: Down) -> Result<(), Status> {
    let response = wire::SessionResponse { message: Some(message) };
    outbox.send(Ok(response)).await.map_err(|_| Status::cancelled("the agent went away"))
}

fn decode(report: wire::Report) -> Result<Report, Status> {
    let order = |text: String| id::<OrderId>(text, "report.order");
    Ok(match report.body.ok_or_else(|| invalid("report.body", "report.body: missing"))? {
        Body::Enabled(_) => Report::Enabled,
        Body::Assessed(body) => Report::Assessed(required(body.assessment, "report.assessed.assessment")?),
        Body::NotAssessed(body) => Report::NotAssessed(body.why),
        Body::Checked(body) => {
            let requirements = body.requirements.into_iter().map(TryInto::try_into);
            let wrong = |error| within("report.checked.requirements", &error);
            Report::Checked(requirements.collect::<Result<_, _>>().map_err(wrong)?)
        }
        Body::Accepted(body) => {
            let began = time(report.at, "at").map_err(|error| within("report", &error))?;
            Report::Accepted(order(body.order)?, began)
        }
        Body::Finished(body) => {
            Report::Finished(order(body.order)?, required(body.result, "report.finished.result")?)
        }
        Body::Refused(body) => {
            Report::Refused(order(body.order)?, RefusedOrder { code: body.code, why: body.why })
        }
        Body::Rebooted(body) => Report::Rebooted(order(body.order)?, body.boot_id),
    })
}
