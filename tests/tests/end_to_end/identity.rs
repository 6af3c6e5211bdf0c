//! Who may speak for a machine, tried at the gateway's real door.

use nightshift_cli::arguments::Servers;
use nightshift_cli::clients;
use nightshift_cli::real_fleet::RealFleet;
use nightshift_cli::stack::{Listen, Stack};
use nightshift_protocol::agent::v1 as wire;
use nightshift_protocol::agent::v1::agent_gateway_service_client::AgentGatewayServiceClient;
use nightshift_protocol::api::v1 as api;
use nightshift_protocol::events::v1::AgentIdentity;
use nightshift_protocol::renewal::signed_bytes;
use nightshift_runtime::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData as _, SanType, SigningKey as _,
};
use std::time::Duration;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

/// One gateway with the rest around it, and a token for each of two of its machines.
struct Door {
    _folder: tempfile::TempDir,
    stack: Stack,
    authority: String,
}

impl Door {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stack = Stack::start(folder.path().join("data"), Clock::system(), Listen::free()).await.unwrap();
        let declared = RealFleet::declared().unwrap().request();
        clients::fleet(&stack.servers).await.unwrap().declare_fleet(declared).await.unwrap();
        let authority = issue(&stack.servers, "east-z1").await.authority_pem;
        Self { _folder: folder, stack, authority }
    }

    async fn token(&self, vm: &str) -> String {
        issue(&self.stack.servers, vm).await.token
    }

    async fn client(&self, identity: Option<Identity>) -> AgentGatewayServiceClient<Channel> {
        let authority = Certificate::from_pem(&self.authority);
        let mut tls = ClientTlsConfig::new().domain_name("nightshift-gateway").ca_certificate(authority);
        if let Some(identity) = identity {
            tls = tls.identity(identity);
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", self.stack.agents)).unwrap();
        AgentGatewayServiceClient::new(endpoint.tls_config(tls).unwrap().connect_lazy())
    }

    async fn enrol(&self, vm: &str, token: &str, key: &KeyPair) -> Result<Identity, Status> {
        let certificate_request_pem =
            CertificateParams::default().serialize_request(key).unwrap().pem().unwrap();
        let request = wire::EnrolRequest { vm: vm.into(), token: token.into(), certificate_request_pem };
        let enrolled = self.client(None).await.enrol(request).await?.into_inner();
        Ok(Identity::from_pem(enrolled.certificate_pem, key.serialize_pem()))
    }

    /// Asks with one key for a certificate for another.
    async fn renew(&self, vm: &str, asking: &KeyPair, new: &KeyPair) -> Result<Identity, Status> {
        let renewed = self.client(None).await.renew(renewal(vm, asking, new)).await?.into_inner();
        Ok(Identity::from_pem(renewed.certificate_pem, new.serialize_pem()))
    }

    /// Says hello as this identity; the answer is a welcome or the refusal.
    async fn hello(&self, identity: Option<Identity>) -> Result<(), Status> {
        let machine = AgentIdentity { boot_id: "boot".into(), back_end: "apt".into(), ..Default::default() };
        let hello = wire::Hello { identity: Some(machine) };
        let message = wire::SessionRequest { message: Some(wire::session_request::Message::Hello(hello)) };
        // The session stays open on this side until the answer is there.
        let requests = tokio_stream::StreamExt::chain(tokio_stream::once(message), tokio_stream::pending());
        let mut answers = self.client(identity).await.session(requests).await?.into_inner();
        let answer = answers.message().await?.unwrap();
        assert!(matches!(answer.message, Some(wire::session_response::Message::Welcome(_))));
        Ok(())
    }
}

/// A token, as soon as the gateway has read of the machine in the log.
async fn issue(servers: &Servers, vm: &str) -> api::EnrolmentToken {
    let mut gateway = clients::agents(servers).await.unwrap();
    let request = api::IssueEnrolmentTokensRequest { vms: vec![vm.into()], ..Default::default() };
    loop {
        match gateway.issue_enrolment_tokens(request.clone()).await {
            Err(status) if status.code() == Code::NotFound => {
                tokio::time::sleep(Duration::from_millis(20)).await
            }
            issued => return issued.unwrap().into_inner().tokens.remove(0),
        }
    }
}

fn renewal(vm: &str, asking: &KeyPair, new: &KeyPair) -> wire::RenewRequest {
    let certificate_request_pem = CertificateParams::default().serialize_request(new).unwrap().pem().unwrap();
    let signature = asking.sign(&signed_bytes(vm, &certificate_request_pem)).unwrap();
    let public_key = asking.subject_public_key_info();
    wire::RenewRequest { vm: vm.into(), certificate_request_pem, public_key, signature }
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_needs_a_certificate() {
    let refused = Door::open().await.hello(None).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolled_agent_is_welcome() {
    let door = Door::open().await;
    let identity = door.enrol("east-z1", &door.token("east-z1").await, &key()).await.unwrap();
    door.hello(Some(identity)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_once_and_for_its_own_machine() {
    let door = Door::open().await;
    let token = door.token("east-z1").await;
    let other = door.enrol("east-z2", &token, &key()).await.unwrap_err();
    assert_eq!(other.code(), Code::PermissionDenied, "{other}");
    assert!(other.message().contains("east-z2"), "{other}");
    let owner = key();
    let first = door.enrol("east-z1", &token, &owner).await.unwrap();
    let thief = door.enrol("east-z1", &token, &key()).await.unwrap_err();
    assert_eq!(thief.code(), Code::PermissionDenied, "{thief}");
    // An agent that was killed before it could keep the answer asks again, with the key that it has.
    let again = door.enrol("east-z1", &token, &owner).await.unwrap();
    for identity in [first, again] {
        door.hello(Some(identity)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_enrols_anew_shuts_out_its_former_key() {
    let door = Door::open().await;
    let former = door.enrol("east-z1", &door.token("east-z1").await, &key()).await.unwrap();
    let current = door.enrol("east-z1", &door.token("east-z1").await, &key()).await.unwrap();
    let refused = door.hello(Some(former)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    door.hello(Some(current)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_by_the_key_before_it_and_by_no_other() {
    let door = Door::open().await;
    let (first, second, third) = (key(), key(), key());
    let enrolled = door.enrol("east-z1", &door.token("east-z1").await, &first).await.unwrap();
    let renewed = door.renew("east-z1", &first, &second).await.unwrap();
    // Until the next one both are good: the agent keeps the former one until this has proved itself.
    door.hello(Some(enrolled.clone())).await.unwrap();
    door.hello(Some(renewed)).await.unwrap();
    door.hello(Some(door.renew("east-z1", &second, &third).await.unwrap())).await.unwrap();
    let late = door.hello(Some(enrolled)).await.unwrap_err();
    assert_eq!(late.code(), Code::PermissionDenied, "{late}");

    let stranger = door.renew("east-z1", &key(), &key()).await.unwrap_err();
    assert_eq!(stranger.code(), Code::PermissionDenied, "{stranger}");
    let of_another = door.renew("east-z2", &third, &key()).await.unwrap_err();
    assert_eq!(of_another.code(), Code::PermissionDenied, "{of_another}");
    // Who only overheard a request, or knows the public key, has nothing.
    let thief = key();
    let mut altered = renewal("east-z1", &third, &key());
    altered.certificate_request_pem = renewal("east-z1", &thief, &thief).certificate_request_pem;
    let mut claimed = renewal("east-z1", &thief, &thief);
    claimed.public_key = third.subject_public_key_info();
    for forged in [altered, claimed, wire::RenewRequest { public_key: vec![1, 2], ..Default::default() }] {
        let refused = door.client(None).await.renew(forged).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_foreign_authority_is_worth_nothing() {
    let door = Door::open().await;
    let (own, foreign) = (key(), key());
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(authority, foreign);
    let mut claims = CertificateParams::default();
    claims.subject_alt_names = vec![SanType::URI("spiffe://nightshift/vm/east-z1".try_into().unwrap())];
    let forged = claims.signed_by(&own, &issuer).unwrap();
    let identity = Identity::from_pem(forged.pem(), own.serialize_pem());
    let refused = door.hello(Some(identity)).await.unwrap_err();
    let cause = std::error::Error::source(&refused).expect("no word of the gateway: a broken connection");
    assert!(cause.is::<tonic::transport::Error>(), "the TLS handshake itself must fail: {refused}");
}
