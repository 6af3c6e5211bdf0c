//! A gateway for one agent: keeps what it was told, and sends its order with each session until that has its end.

use nightshift_domain::Time;
use nightshift_domain::event::Order;
use nightshift_protocol::agent::v1 as wire;
use nightshift_protocol::agent::v1::agent_gateway_service_server::{
    AgentGatewayService, AgentGatewayServiceServer,
};
use nightshift_protocol::agent::v1::report::Body;
use nightshift_protocol::agent::v1::session_request::Message as Up;
use nightshift_protocol::agent::v1::session_response::Message as Down;
use nightshift_protocol::convert::timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

pub const TOKEN: &str = "a token for once";

/// Survives the gateway's restarts.
#[derive(Default)]
pub struct Told {
    pub enrolments: u32,
    pub renewals: u32,
    /// Keys that sessions were opened with, by their certificates.
    pub speakers: Vec<Vec<u8>>,
    /// How long it says that certificates are good for; 0: for ever.
    pub lifetime_seconds: u32,
    /// The certificate of the enrolment has ended when it is given.
    pub ended: bool,
    pub sessions: u32,
    pub reports: Vec<wire::Report>,
    pub heartbeats: Vec<wire::Heartbeat>,
    pub probed: Vec<wire::Probed>,
    /// What it has the agent look at with each session.
    pub watch: Option<wire::Watch>,
    pub order: Option<Order>,
    /// Orders that it sends before that one.
    pub forged: Vec<Order>,
    /// Assessments that it asks for with each session.
    pub assess: Vec<Time>,
}

#[derive(Clone)]
pub struct Gateway {
    authority: Arc<Authority>,
    told: Arc<Mutex<Told>>,
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Gateway {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::from_ca_cert_pem(&pem, key).unwrap();
        Self { authority: Arc::new(Authority { pem, issuer }), told: Arc::default() }
    }

    pub fn authority_pem(&self) -> String {
        self.authority.pem.clone()
    }

    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// Serves on a runtime of its own: to shut that down is a gateway's sudden end, with all its connections.
    pub async fn serve(&self, at: SocketAddr) -> (SocketAddr, Runtime) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["nightshift-gateway".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.authority.issuer).unwrap();
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate.pem(), key.serialize_pem()))
            .client_ca_root(Certificate::from_pem(&self.authority.pem))
            .client_auth_optional(true);
        let service = AgentGatewayServiceServer::new(self.clone());
        let server = Server::builder().tls_config(tls).unwrap().add_service(service);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.spawn(bind(at)).await.unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (address, runtime)
    }

    fn store(&self, report: wire::Report) {
        let mut told = self.told();
        if report.number > told.last_report() {
            told.reports.push(report);
        }
    }
}

/// The runtime of the gateway before may take a moment to let go of the address.
async fn bind(at: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(at).await {
            Ok(listener) => return listener,
            Err(error) if error.kind() == ErrorKind::AddrInUse => tokio::task::yield_now().await,
            Err(error) => panic!("{at}: {error}"),
        }
    }
}

impl Told {
    pub fn last_report(&self) -> u64 {
        self.reports.last().map_or(0, |report| report.number)
    }

    /// Code and reason of each refusal, by order.
    pub fn refused(&self) -> BTreeMap<&str, (&str, &str)> {
        let refused = self.reports.iter().filter_map(|report| match &report.body {
            Some(Body::Refused(refused)) => Some(refused),
            _ => None,
        });
        refused.map(|it| (it.order.as_str(), (it.code.as_str(), it.why.as_str()))).collect()
    }

    pub fn finished(&self) -> Vec<&wire::Finished> {
        let finished = |report: &'_ wire::Report| matches!(report.body, Some(Body::Finished(_)));
        let reports = self.reports.iter().filter(|report| finished(report));
        reports
            .filter_map(|report| match &report.body {
                Some(Body::Finished(finished)) => Some(finished),
                _ => None,
            })
            .collect()
    }

    fn open_order(&self) -> Option<Order> {
        self.order.clone().filter(|_| self.finished().is_empty())
    }
}

#[tonic::async_trait]
impl AgentGatewayService for Gateway {
    async fn enrol(
        &self,
        request: Request<wire::EnrolRequest>,
    ) -> Result<Response<wire::EnrolResponse>, Status> {
        let request = request.into_inner();
        let mut told = self.told();
        told.enrolments += 1;
        if request.token != TOKEN || told.enrolments > 1 {
            return Err(Status::permission_denied("the token is no good"));
        }
        let mut csr = CertificateSigningRequestParams::from_pem(&request.certificate_request_pem).unwrap();
        csr.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if told.ended {
            csr.params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate_pem = csr.signed_by(&self.authority.issuer).unwrap().pem();
        let (authority_pem, lifetime_seconds) = (self.authority_pem(), told.lifetime_seconds);
        Ok(Response::new(wire::EnrolResponse { certificate_pem, authority_pem, lifetime_seconds }))
    }

    async fn renew(
        &self,
        request: Request<wire::RenewRequest>,
    ) -> Result<Response<wire::RenewResponse>, Status> {
        let request = request.into_inner();
        let mut csr = CertificateSigningRequestParams::from_pem(&request.certificate_request_pem).unwrap();
        csr.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate_pem = csr.signed_by(&self.authority.issuer).unwrap().pem();
        let mut told = self.told();
        told.renewals += 1;
        Ok(Response::new(wire::RenewResponse { certificate_pem, lifetime_seconds: told.lifetime_seconds }))
    }

    type SessionStream = Pin<Box<dyn futures::Stream<Item = Result<wire::SessionResponse, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<wire::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let certificates = request.peer_certs().unwrap_or_default();
        let Some(certificate) = certificates.first() else {
            return Err(Status::unauthenticated("no certificate"));
        };
        self.told().speakers.push(certificate.to_vec());
        let gateway = self.clone();
        let (outbox, responses) = mpsc::channel(16);
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            let say = async |message| {
                let response = wire::SessionResponse { message: Some(message) };
                drop(outbox.send(Ok(response)).await);
            };
            while let Ok(Some(request)) = requests.message().await {
                match request.message.unwrap() {
                    Up::Hello(_) => {
                        let (last_report, forged, order, assess) = {
                            let mut told = gateway.told();
                            told.sessions += 1;
                            (told.last_report(), told.forged.clone(), told.open_order(), told.assess.clone())
                        };
                        say(Down::Welcome(wire::Welcome { last_report, ..Default::default() })).await;
                        for order in forged.into_iter().chain(order) {
                            say(Down::Order((&order).into())).await;
                        }
                        let watch = gateway.told().watch.clone();
                        if let Some(watch) = watch {
                            say(Down::Watch(watch)).await;
                        }
                        for not_after in assess {
                            say(Down::Assess(wire::Assess { not_after: Some(timestamp(not_after)) })).await;
                        }
                    }
                    Up::Probed(probed) => gateway.told().probed.push(probed),
                    Up::Heartbeat(heartbeat) => gateway.told().heartbeats.push(heartbeat),
                    Up::Report(report) => {
                        let number = report.number;
                        gateway.store(report);
                        say(Down::ReportStored(wire::ReportStored { number })).await;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }
}
