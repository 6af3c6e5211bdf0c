//! A door before every service that hands calls on and remembers which there were.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nightshift_cli::arguments::Servers;
use nightshift_runtime::local_tls;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Remembers calls as `ConsoleService/ListVms`.
#[derive(Clone)]
pub struct Recorder {
    calls: Arc<Mutex<BTreeSet<String>>>,
    client: Client<HttpConnector, Body>,
    servers: Servers,
}

impl Recorder {
    /// Listens, and returns its address: that of every service.
    pub async fn start(servers: &Servers) -> (Self, String) {
        let recorder = Self::before(servers);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let door = Router::new().fallback(hand_on).with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, door).await });
        (recorder, address)
    }

    /// The same over TLS, by an authority that it makes in this folder; returns its certificate as well.
    pub async fn start_tls(servers: &Servers, folder: &Path) -> (Self, String, PathBuf) {
        nightshift_runtime::crypto::install();
        let recorder = Self::before(servers);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let (own, authority) = local_tls::identity(folder, address.ip()).unwrap();
        let tls = RustlsConfig::from_pem_file(&own.certificate, &own.key).await.unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let door = Router::new().fallback(hand_on).with_state(recorder.clone());
        let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
        tokio::spawn(async move { server.serve(door.into_make_service()).await });
        (recorder, address, authority)
    }

    fn before(servers: &Servers) -> Self {
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        Self { calls: Arc::default(), client, servers: servers.clone() }
    }

    pub fn has(&self, call: &str) -> bool {
        self.calls.lock().unwrap().contains(call)
    }

    pub fn forget(&self) {
        self.calls.lock().unwrap().clear();
    }

    fn owner(&self, service: &str) -> &str {
        match service {
            "ConsoleService" | "OverviewService" | "LookbackService" | "WebhookService" => {
                &self.servers.console
            }
            "FleetService" | "RolloutService" => &self.servers.planner,
            "RegionService" => &self.servers.coordinators[0],
            "HealthService" => &self.servers.health,
            "AgentService" => &self.servers.gateway,
            other => panic!("nobody here serves {other}"),
        }
    }
}

async fn hand_on(State(recorder): State<Recorder>, mut request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let call = path.trim_start_matches("/nightshift.api.v1.").to_owned();
    let owner = recorder.owner(call.split('/').next().unwrap()).to_owned();
    recorder.calls.lock().unwrap().insert(call);
    *request.uri_mut() = format!("{owner}{path}").parse().unwrap();
    *request.version_mut() = axum::http::Version::HTTP_2;
    recorder.client.request(request).await.unwrap().into_response()
}
