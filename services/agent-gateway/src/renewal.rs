//! How long agents' certificates are good for, and who may have another.

use crate::Settings;
use crate::authority::sha256;
use chrono::{DateTime, Duration, Utc};
use nightshift_protocol::agent::v1 as wire;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use tonic::Status;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// How long certificates are good for, and how long after that they can be renewed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) lifetime: Duration,
    pub(crate) grace: Duration,
}

impl Terms {
    pub(crate) fn new(settings: &Settings) -> Self {
        let lifetime = Duration::hours(settings.certificate_hours.into());
        Self { lifetime, grace: Duration::days(settings.renewal_grace_days.into()) }
    }

    /// When a certificate that is given now ends. By the machine's clock: TLS knows no other.
    pub(crate) fn end(&self) -> DateTime<Utc> {
        Utc::now() + self.lifetime
    }

    pub(crate) fn lifetime_seconds(&self) -> u32 {
        u32::try_from(self.lifetime.num_seconds()).unwrap_or(u32::MAX)
    }
}

/// The key that asks for a renewal (its SHA-256), if whoever asks holds it.
pub(crate) fn asking_key(request: &wire::RenewRequest) -> Result<String, Status> {
    let refused =
        |what: &str| Status::unauthenticated(format!("{what}: enrol the VM anew if this does not pass"));
    let (_, key) = SubjectPublicKeyInfo::from_der(&request.public_key)
        .map_err(|_| refused("public_key: no SubjectPublicKeyInfo"))?;
    let signed = nightshift_protocol::renewal::signed_bytes(&request.vm, &request.certificate_request_pem);
    let point = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.subject_public_key.data.as_ref());
    let verified = point.verify(&signed, &request.signature);
    verified.map_err(|_| refused("signature: it was not made with public_key"))?;
    Ok(sha256(&request.public_key))
}
