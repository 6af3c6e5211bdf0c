//! All services with a small fleet's topology, and a client that says whatever a test wants.

use nightshift_cli::stack::{Extras, Listen, Stack};
use nightshift_cli::{clients, fleet_file};
use nightshift_protocol::api::v1 as api;
use nightshift_runtime::Clock;
use serde_json::{Value, json};

pub const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";
/// Regions, and nothing in them.
const REGIONS: &str = r#"
    [[region]]
    name = "westeurope"
    time_zone = "Europe/Amsterdam"
    pair = "northeurope"
    zones = ["1", "2", "3"]

    [[region]]
    name = "northeurope"
    time_zone = "Europe/Dublin"
    zones = ["north-1"]
"#;

pub struct Door {
    folder: tempfile::TempDir,
    pub stack: Stack,
    client: reqwest::Client,
}

/// An answer, read to its end.
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }

    /// The code of an error that has the shape of Azure's.
    pub fn code(&self) -> &str {
        let error = &self.body["error"];
        let message = error["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "an error says something: {} {}", self.status, self.body);
        error["code"].as_str().unwrap()
    }

    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }
}

impl Door {
    pub async fn open() -> Self {
        Self::open_with(Extras::default()).await
    }

    /// The same over HTTPS.
    pub async fn open_over_tls() -> Self {
        Self::open_with(Extras { tls: true, ..Extras::default() }).await
    }

    async fn open_with(extras: Extras) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let stack = Stack::start_with(data, Clock::system(), Listen::free(), extras).await.unwrap();
        let declared = regions();
        clients::fleet(&stack.servers).await.unwrap().declare_fleet(declared).await.unwrap();
        let client = client(&stack);
        let door = Self { folder, stack, client };
        door.knows_the_regions().await;
        door
    }

    /// The same installation, ended and started anew.
    pub async fn restart(self) -> Self {
        self.stack.shutdown.cancel();
        self.stack.ended().await.unwrap();
        let data = self.folder.path().join("data");
        let stack = Stack::start(data, Clock::system(), Listen::free()).await.unwrap();
        let client = client(&stack);
        Self { stack, client, ..self }
    }

    /// The fleet was declared at its owner; this door reads of it in the log.
    async fn knows_the_regions(&self) {
        let locations = format!("/subscriptions/{SUBSCRIPTION}/locations?api-version=2022-12-01");
        while self.get(&locations).await.body["value"].as_array().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    }

    /// Registers both features and the provider.
    pub async fn opt_in(&self) {
        for feature in ["InGuestAutoPatchVMPreview", "InGuestPatchVMPreview"] {
            let path = self.feature(feature, "/register");
            self.send("POST", &path, &[], None).await.expect(200);
        }
        let path = format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/register");
        self.send("POST", &format!("{path}?api-version=2020-06-01"), &[], None).await.expect(200);
    }

    pub fn feature(&self, name: &str, verb: &str) -> String {
        let provider = "providers/Microsoft.Features/providers/Microsoft.Compute/features";
        format!("/subscriptions/{SUBSCRIPTION}/{provider}/{name}{verb}?api-version=2015-12-01")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[], Some(body.to_string())).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[], Some(body.to_string())).await
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let link = if path.starts_with("http") { path.to_owned() } else { self.link(path) };
        let mut request = self.client.request(method.parse().unwrap(), link);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        Answer { status, headers, body }
    }

    pub fn link(&self, path: &str) -> String {
        let scheme = if self.stack.door_authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.stack.http)
    }
}

/// The declaration of the regions, to which a test may add machines. Their night is all day but for an hour that is over, so
/// that a test can be run at any hour.
pub fn regions() -> api::DeclareFleetRequest {
    let amsterdam = chrono::Utc::now().with_timezone(&chrono_tz::Europe::Amsterdam);
    let hour = |hours: i64| (amsterdam + chrono::Duration::hours(hours)).format("%H:00");
    let window = format!("window = {{ start = \"{}\", end = \"{}\" }}", hour(-2), hour(-3));
    fleet_file::parse(&format!("{window}\n{REGIONS}")).unwrap().request()
}

/// A client with the admin's token.
fn client(stack: &Stack) -> reqwest::Client {
    let bearer = format!("Bearer {}", admin(stack)).parse().unwrap();
    let headers = reqwest::header::HeaderMap::from_iter([(reqwest::header::AUTHORIZATION, bearer)]);
    let mut client = reqwest::Client::builder().default_headers(headers);
    if let Some(authority) = &stack.door_authority {
        let certificate = reqwest::Certificate::from_pem(&std::fs::read(authority).unwrap()).unwrap();
        client = client.tls_certs_only([certificate]);
    }
    client.build().unwrap()
}

/// The token that the installation left for its admin.
pub fn admin(stack: &Stack) -> String {
    std::fs::read_to_string(stack.servers.token_file.as_ref().unwrap()).unwrap().trim().to_owned()
}

/// The path of a VM in the group `myGroup`, with a verb behind it.
pub fn vm(name: &str, verb: &str) -> String {
    versioned(name, verb, "2020-12-01")
}

pub fn versioned(name: &str, verb: &str, version: &str) -> String {
    let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/myGroup");
    format!("{group}/providers/Microsoft.Compute/virtualMachines/{name}{verb}?api-version={version}")
}

/// A Linux VM of an image that can be patched.
pub fn linux(mode: &str) -> Value {
    json!({
        "location": "westeurope",
        "properties": {
            "hardwareProfile": { "vmSize": "Standard_D2s_v3" },
            "storageProfile": {
                "imageReference": { "publisher": "Canonical", "offer": "UbuntuServer", "sku": "18.04-LTS", "version": "latest" }
            },
            "osProfile": {
                "computerName": "machine",
                "linuxConfiguration": { "provisionVMAgent": true, "patchSettings": { "patchMode": mode } }
            }
        }
    })
}

/// A Windows VM of an image that can be patched.
pub fn windows(mode: &str, automatic_updates: Option<bool>) -> Value {
    json!({
        "location": "westeurope",
        "properties": {
            "storageProfile": {
                "imageReference": { "publisher": "MicrosoftWindowsServer", "offer": "WindowsServer", "sku": "2019-Datacenter", "version": "latest" }
            },
            "osProfile": {
                "windowsConfiguration": {
                    "provisionVMAgent": true,
                    "enableAutomaticUpdates": automatic_updates,
                    "patchSettings": { "patchMode": mode }
                }
            }
        }
    })
}
