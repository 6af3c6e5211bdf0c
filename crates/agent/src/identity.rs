//! Who the agent is: a key that was made on the machine, and the certificate that the gateway gave for it. The first for a
//! token; each later one, for a key of its own, because the key before asks for it.

mod papers;

use crate::config::Config;
use crate::store::{Store, StoreError};
use chrono::Utc;
use nightshift_protocol::agent::v1::agent_gateway_service_client::AgentGatewayServiceClient;
use nightshift_protocol::agent::v1::{EnrolRequest, RenewRequest};
use nightshift_protocol::renewal::signed_bytes;
pub(crate) use papers::Papers;
use papers::{Certificate, Wallet};
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _, SigningKey as _};
use std::error::Error;
use std::time::Duration;
use tonic::transport::{Certificate as Pem, Channel, ClientTlsConfig, Endpoint, Identity};

/// The name in the gateway's certificate, whatever address it is reached by.
const SERVER_NAME: &str = "nightshift-gateway";

/// Why there is no session; each is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("{0}")]
    Config(String),
    #[error("the agent's state cannot be kept: {0}")]
    Store(#[from] StoreError),
    #[error("the agent's key: {0}")]
    Key(#[from] rcgen::Error),
    #[error("the gateway cannot be reached: {}", causes(.0))]
    Transport(#[from] tonic::transport::Error),
    #[error("the gateway refused the enrolment ({:?}): {}", .0.code(), .0.message())]
    Enrolment(tonic::Status),
    #[error("the gateway refused to renew the certificate ({:?}): {}", .0.code(), .0.message())]
    Renewal(tonic::Status),
    #[error("the session ended ({:?}): {}", .0.code(), causes(.0))]
    Session(#[from] tonic::Status),
    #[error("the gateway broke the protocol: {0}")]
    Protocol(&'static str),
}

impl LinkError {
    /// Whether the gateway does not take the certificate that was shown.
    fn of_certificate(&self) -> bool {
        use tonic::Code::{PermissionDenied, Unauthenticated};
        let alert = |error: &(dyn Error + 'static)| causes(error).contains("received fatal alert");
        match self {
            Self::Session(status) => {
                matches!(status.code(), PermissionDenied | Unauthenticated) || alert(status)
            }
            Self::Transport(error) => alert(error),
            _ => false,
        }
    }
}

/// A connection with the machine's own certificate, and whose that is; enrols or renews first where that is due.
pub(crate) async fn connect(config: &Config, store: &Store) -> Result<(Channel, Papers), LinkError> {
    let mut wallet = Wallet::open(store)?;
    if let Some(token) = config.enrolment_token().map_err(LinkError::Config)?
        && wallet.current.token.as_ref() != Some(&token)
    {
        match enrol(config, &mut wallet, token).await {
            // A token that is no good must not cut off a machine that is enrolled.
            Err(error @ LinkError::Enrolment(_)) if wallet.current.certificate.is_some() => {
                tracing::warn!(%error, "going on with the certificate that the machine has");
            }
            result => result?,
        }
    }
    let Some(certificate) = &wallet.current.certificate else {
        let why = "`token`: none is given, and the machine is not enrolled";
        return Err(LinkError::Config(why.into()));
    };
    // It is of no use any more, by this machine's clock or because the gateway said so.
    if !wallet.has_next() && (wallet.current.rejected || certificate.has_ended(Utc::now())) {
        let anonymous = endpoint(config, tls(config)?)?.connect().await?;
        renew(config, &mut wallet, anonymous).await?;
    }
    let papers = wallet.newest().clone();
    let certificate_pem = papers.certificate.as_ref().map(|certificate| certificate.pem.clone());
    let identity = Identity::from_pem(certificate_pem.unwrap_or_default(), &papers.key_pem);
    Ok((endpoint(config, tls(config)?.identity(identity))?.connect().await?, papers))
}

/// These papers led to a session: the ones before are needed no more.
pub(crate) fn proved(store: &Store, papers: &Papers) -> Result<(), StoreError> {
    Wallet::open(store)?.proved(papers)
}

/// The session did not come about, or ended: a certificate that the gateway does not take is not shown again.
pub(crate) fn failed(store: &Store, error: &LinkError) -> Result<(), StoreError> {
    if error.of_certificate() { Wallet::open(store)?.rejected() } else { Ok(()) }
}

/// Waits until the certificate is to be renewed, and renews it; returns when there is a new one to connect with.
pub(crate) async fn renew_in_time(
    config: &Config,
    store: &Store,
    papers: &Papers,
    channel: Channel,
) -> Result<(), LinkError> {
    let Some(renew_at) = papers.certificate.as_ref().and_then(Certificate::renew_at) else {
        return std::future::pending().await;
    };
    // Certificates go by the machine's clock, whatever the fleet's is. In naps, because a clock can be set.
    let clock = nightshift_clock::Clock::system();
    clock.sleep_until(renew_at).await;
    let mut wait = FIRST_RETRY;
    loop {
        let mut wallet = Wallet::open(store)?;
        match renew(config, &mut wallet, channel.clone()).await {
            Err(LinkError::Renewal(status)) => {
                tracing::warn!(code = ?status.code(), message = status.message(), ?wait, "not renewed: later again");
                tokio::time::sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
                wait = (wait * 2).min(LONGEST_RETRY);
            }
            result => return result,
        }
    }
}

/// Between two tries to renew a certificate.
const FIRST_RETRY: Duration = Duration::from_secs(60);
const LONGEST_RETRY: Duration = Duration::from_secs(3_600);

async fn enrol(config: &Config, wallet: &mut Wallet<'_>, token: String) -> Result<(), LinkError> {
    let request = EnrolRequest {
        vm: config.vm.to_string(),
        token: token.clone(),
        certificate_request_pem: request(config, &wallet.current.key_pem)?,
    };
    let channel = endpoint(config, tls(config)?)?.connect().await?;
    let response =
        AgentGatewayServiceClient::new(channel).enrol(request).await.map_err(LinkError::Enrolment)?;
    let response = response.into_inner();
    let certificate = Certificate::new(response.certificate_pem, response.lifetime_seconds, Utc::now());
    wallet.enrolled(token, certificate)?;
    tracing::info!(vm = %config.vm, "enrolled");
    Ok(())
}

/// Asks for a certificate for a new key, which the current one vouches for. Asked again after a crash, it is for the same
/// new key.
async fn renew(config: &Config, wallet: &mut Wallet<'_>, channel: Channel) -> Result<(), LinkError> {
    let current = KeyPair::from_pem(&wallet.current.key_pem)?;
    let certificate_request_pem = request(config, &wallet.next_key()?)?;
    let signature = current.sign(&signed_bytes(config.vm.as_str(), &certificate_request_pem))?;
    let request = RenewRequest {
        vm: config.vm.to_string(),
        certificate_request_pem,
        public_key: current.subject_public_key_info(),
        signature,
    };
    let response =
        AgentGatewayServiceClient::new(channel).renew(request).await.map_err(LinkError::Renewal)?;
    let response = response.into_inner();
    wallet.renewed(Certificate::new(response.certificate_pem, response.lifetime_seconds, Utc::now()))?;
    tracing::info!(vm = %config.vm, "certificate renewed");
    Ok(())
}

/// Of the request the gateway believes nothing but the key; the name is for people who read it.
fn request(config: &Config, key_pem: &str) -> Result<String, LinkError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, config.vm.as_str());
    Ok(params.serialize_request(&KeyPair::from_pem(key_pem)?)?.pem()?)
}

/// Believes a gateway of the pinned authority, and no other.
fn tls(config: &Config) -> Result<ClientTlsConfig, LinkError> {
    let authority = config.authority_pem().map_err(LinkError::Config)?;
    // The transport would take it, and then call every gateway a stranger.
    if !authority.contains("-----BEGIN CERTIFICATE-----") {
        let sentence = format!("`authority`: {}: there is no certificate in it (PEM)", config.authority);
        return Err(LinkError::Config(sentence));
    }
    Ok(ClientTlsConfig::new().ca_certificate(Pem::from_pem(authority)).domain_name(SERVER_NAME))
}

fn endpoint(config: &Config, tls: ClientTlsConfig) -> Result<Endpoint, LinkError> {
    let endpoint = Endpoint::from_shared(config.gateway.clone())?
        .tls_config(tls)?
        .connect_timeout(Duration::from_secs(10))
        // A gateway that died without a word is noticed by its silence.
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(true);
    Ok(endpoint)
}

/// The transport's own words are "transport error": what happened is in the causes.
fn causes(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_domain::VmId;

    #[test]
    fn an_authority_that_is_none_says_so() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "nonsense").unwrap();
        let path = file.path().display().to_string();
        let config = Config::simulated(VmId::new("a").unwrap(), "https://localhost", "", path.clone(), "");
        let error = tls(&config).err().unwrap().to_string();
        assert_eq!(error, format!("`authority`: {path}: there is no certificate in it (PEM)"));
    }
}
