//! Who the agent is: a key that was made on the machine, and the certificate that the gateway gave for a token.

use crate::config::Config;
use crate::store::{Secrecy, Store, StoreError};
use nightshift_protocol::agent::v1::EnrolRequest;
use nightshift_protocol::agent::v1::agent_gateway_service_client::AgentGatewayServiceClient;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// The name in the gateway's certificate, whatever address it is reached by.
const SERVER_NAME: &str = "nightshift-gateway";
const KEY: &str = "identity/key.pem";
const ENROLMENT: &str = "identity/enrolment.json";

/// The certificate, with the token that it was given for: a new token in the configuration asks to enrol anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Enrolment {
    token: String,
    certificate_pem: String,
}

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
    #[error("the session ended ({:?}): {}", .0.code(), .0.message())]
    Session(#[from] tonic::Status),
    #[error("the gateway broke the protocol: {0}")]
    Protocol(&'static str),
}

/// A connection with the machine's own certificate; enrols first where that is still to be done.
pub(crate) async fn connect(config: &Config, store: &Store) -> Result<Channel, LinkError> {
    let authority = config.authority_pem().map_err(LinkError::Config)?;
    let key_pem = key(store)?;
    let certificate_pem = certificate(config, store, &authority, &key_pem).await?;
    let identity = Identity::from_pem(certificate_pem, key_pem);
    Ok(endpoint(config, tls(&authority).identity(identity))?.connect().await?)
}

async fn certificate(
    config: &Config,
    store: &Store,
    authority: &str,
    key_pem: &str,
) -> Result<String, LinkError> {
    let enrolment: Option<Enrolment> = match store.get(ENROLMENT)? {
        Some(bytes) => {
            Some(serde_json::from_slice(&bytes).map_err(|error| StoreError::new(ENROLMENT, error))?)
        }
        None => None,
    };
    let token = config.enrolment_token().map_err(LinkError::Config)?;
    match (enrolment, token) {
        (Some(known), None) => Ok(known.certificate_pem),
        (Some(known), Some(token)) if known.token == token => Ok(known.certificate_pem),
        (None, None) => {
            Err(LinkError::Config("`token`: none is given, and the machine is not enrolled".into()))
        }
        (known, Some(token)) => match (enrol(config, store, authority, key_pem, token).await, known) {
            // A token that is no good must not cut off a machine that is enrolled.
            (Err(error @ LinkError::Enrolment(_)), Some(known)) => {
                tracing::warn!(%error, "going on with the certificate that the machine has");
                Ok(known.certificate_pem)
            }
            (result, _) => result,
        },
    }
}

async fn enrol(
    config: &Config,
    store: &Store,
    authority: &str,
    key_pem: &str,
    token: String,
) -> Result<String, LinkError> {
    let request = EnrolRequest {
        vm: config.vm.to_string(),
        token: token.clone(),
        certificate_request_pem: request(config, key_pem)?,
    };
    let channel = endpoint(config, tls(authority))?.connect().await?;
    let response =
        AgentGatewayServiceClient::new(channel).enrol(request).await.map_err(LinkError::Enrolment)?;
    let certificate_pem = response.into_inner().certificate_pem;
    let enrolment = Enrolment { token, certificate_pem: certificate_pem.clone() };
    let bytes = serde_json::to_vec_pretty(&enrolment).map_err(|error| StoreError::new(ENROLMENT, error))?;
    store.put(ENROLMENT, &bytes, Secrecy::Secret)?;
    tracing::info!(vm = %config.vm, "enrolled");
    Ok(certificate_pem)
}

/// The machine's key; made and kept before anything is asked for with it.
fn key(store: &Store) -> Result<String, LinkError> {
    if let Some(bytes) = store.get(KEY)? {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let pem = KeyPair::generate()?.serialize_pem();
    store.put(KEY, pem.as_bytes(), Secrecy::Secret)?;
    Ok(pem)
}

/// Of the request the gateway believes nothing but the key; the name is for people who read it.
fn request(config: &Config, key_pem: &str) -> Result<String, LinkError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, config.vm.as_str());
    Ok(params.serialize_request(&KeyPair::from_pem(key_pem)?)?.pem()?)
}

fn tls(authority: &str) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name(SERVER_NAME)
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
fn causes(error: &tonic::transport::Error) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
