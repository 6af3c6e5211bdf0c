//! Answers that need no agent, with 100,000 VMs in the fleet, next to a bare axum handler in the same run: medians of
//! one caller that asks again and again over one connection. `cargo bench -p nightshift-tests --bench rest`.
#![allow(clippy::unwrap_used, reason = "a benchmark says what is wrong by panicking")]

mod fleet;

use nightshift_cli::stack::{Listen, Stack};
use nightshift_cli::{clients, fleet_file};
use nightshift_domain::fleet::Vm;
use nightshift_runtime::Clock;
use std::time::{Duration, Instant};

const VMS: usize = 100_000;
const REQUESTS: usize = 1_000;
const REGION: &str = "[[region]]\nname = \"westeurope\"\ntime_zone = \"Europe/Amsterdam\"\n";

fn vm(number: usize) -> Vm {
    let (subscription, group) = (format!("sub-{}", number % 10), format!("group-{}", number % 100));
    fleet::vm(format!("vm-{number}"), subscription, group, "westeurope")
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(folder.path().join("data"), Clock::system(), Listen::free()).await.unwrap();
    let mut declared = fleet_file::parse(REGION).unwrap().request();
    declared.vms = (0..VMS).map(|number| (&vm(number)).into()).collect();
    clients::fleet(&stack.servers).await.unwrap().declare_fleet(declared).await.unwrap();
    let token = std::fs::read_to_string(stack.servers.token_file.as_ref().unwrap()).unwrap();
    let bearer = format!("Bearer {}", token.trim()).parse().unwrap();
    let headers = reqwest::header::HeaderMap::from_iter([(reqwest::header::AUTHORIZATION, bearer)]);
    let client = reqwest::Client::builder().default_headers(headers).build().unwrap();
    let base = format!("http://{}", stack.http);
    let group = format!("{base}/subscriptions/sub-9/resourceGroups/group-99/providers/Microsoft.Compute");
    let last = format!("{group}/virtualMachines/vm-{}", VMS - 1);
    while !client.get(format!("{last}?api-version=2024-11-01")).send().await.unwrap().status().is_success() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let bare = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bare_at = format!("http://{}/", bare.local_addr().unwrap());
    let router = axum::Router::new().route("/", axum::routing::get(async || axum::Json("ok")));
    tokio::spawn(async move { axum::serve(bare, router).await.unwrap() });
    let features = "providers/Microsoft.Features/providers/Microsoft.Compute/features/InGuestPatchVMPreview";
    for (what, link) in [
        ("bare axum handler", bare_at),
        ("GET VM", format!("{last}?api-version=2024-11-01")),
        ("GET instanceView", format!("{last}/instanceView?api-version=2024-11-01")),
        ("list, a page of 200", format!("{group}/virtualMachines?api-version=2024-11-01")),
        ("GET feature", format!("{base}/subscriptions/sub-9/{features}?api-version=2021-07-01")),
    ] {
        println!("{what:<22} {:>8.3} ms", median(&client, &link).await.as_secs_f64() * 1_000.0);
    }
    stack.shutdown.cancel();
    stack.ended().await.unwrap();
}

async fn median(client: &reqwest::Client, link: &str) -> Duration {
    let mut took = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let response = client.get(link).send().await.unwrap().error_for_status().unwrap();
        response.bytes().await.unwrap();
        took.push(began.elapsed());
    }
    took.sort();
    took[REQUESTS / 2]
}
