//! A door before every service that hands calls on and remembers which there were.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nightshift_cli::arguments::Servers;
use std::collections::BTreeSet;
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
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let recorder = Self { calls: Arc::default(), client, servers: servers.clone() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let door = Router::new().fallback(hand_on).with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, door).await });
        (recorder, address)
    }

    pub fn has(&self, call: &str) -> bool {
        self.calls.lock().unwrap().contains(call)
    }

    pub fn forget(&self) {
        self.calls.lock().unwrap().clear();
    }

    fn owner(&self, service: &str) -> &str {
        match service {
            "ConsoleService" | "OverviewService" | "LookbackService" => &self.servers.console,
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
