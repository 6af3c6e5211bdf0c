//! The gateway's own certificate authority: it signs the gateway's certificate and those of the agents.

use anyhow::Context as _;
use chrono::{DateTime, Datelike as _, Utc};
use nightshift_domain::VmId;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
};
use ring::hmac;
use sha2::{Digest as _, Sha256};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

/// The name in the gateway's certificate. Agents expect it whatever address they reach the gateway by.
const SERVER_NAME: &str = "nightshift-gateway";
/// How an agent's certificate names its VM (a SPIFFE ID).
const VM_URI: &str = "spiffe://nightshift/vm/";

pub(crate) struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Opens the authority in this folder, or founds it there.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("data = {}", folder.display()))?;
        let (key_path, certificate_path) = (folder.join("authority.key"), folder.join("authority.pem"));
        // The certificate is written last: without it the authority was never used.
        if !certificate_path.exists() {
            found(&key_path, &certificate_path)?;
        }
        let read = |path: &Path| fs::read_to_string(path).with_context(|| path.display().to_string());
        let (certificate_pem, key_pem) = (read(&certificate_path)?, read(&key_path)?);
        let key = KeyPair::from_pem(&key_pem).with_context(|| key_path.display().to_string())?;
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key)
            .with_context(|| certificate_path.display().to_string())?;
        Ok(Self { certificate_pem, issuer })
    }

    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// An enrolment token for the VM that nobody can know without the authority's key, and that comes out of the same seed
    /// again: in every instance, and after a restart.
    pub(crate) fn token(&self, seed: &[u8], vm: &VmId) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.issuer.key().serialize_der());
        let mut context = hmac::Context::with_key(&key);
        // Nothing else is made of this key in this way, and a VM's name has no zero byte.
        context.update(b"nightshift enrolment token\0");
        context.update(vm.as_str().as_bytes());
        context.update(b"\0");
        context.update(seed);
        hex::encode(context.sign())
    }

    /// TLS with a fresh certificate of the gateway. A client without a certificate gets as far as enrolment.
    pub(crate) fn server_tls(&self) -> anyhow::Result<ServerTlsConfig> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_after = next_year();
        let certificate = params.signed_by(&key, &self.issuer)?;
        let authority = Certificate::from_pem(&self.certificate_pem);
        Ok(ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate.pem(), key.serialize_pem()))
            .client_ca_root(authority)
            .client_auth_optional(true))
    }

    /// A certificate for the key of this request, good until `ends`. Of the request nothing but the key is believed.
    /// Gives it with the SHA-256 of that key.
    pub(crate) fn certify(
        &self,
        vm: &VmId,
        request_pem: &str,
        ends: DateTime<Utc>,
    ) -> anyhow::Result<(rcgen::Certificate, String)> {
        let mut request = CertificateSigningRequestParams::from_pem(request_pem)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, vm.as_str());
        params.subject_alt_names = vec![SanType::URI(format!("{VM_URI}{vm}").try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.not_after = time::OffsetDateTime::from_unix_timestamp(ends.timestamp())?;
        request.params = params;
        let key = sha256(&request.public_key.subject_public_key_info());
        Ok((request.signed_by(&self.issuer)?, key))
    }
}

/// The VM that a certificate, whose signature TLS has checked, speaks for, and the SHA-256 of its public key.
pub(crate) fn speaker(certificate_der: &[u8]) -> Option<(VmId, String)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate_der).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        x509_parser::extensions::GeneralName::URI(uri) => uri.strip_prefix(VM_URI),
        _ => None,
    });
    Some((VmId::new(uris.next()?).ok()?, sha256(certificate.public_key().raw)))
}

/// SHA-256 in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn found(key_path: &Path, certificate_path: &Path) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Nightshift agents");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    write_durably(key_path, key.serialize_pem().as_bytes(), 0o600)?;
    write_durably(certificate_path, certificate.pem().as_bytes(), 0o644)
}

fn write_durably(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The gateway's own certificate, made at each of its starts, is good for a year, by the machine's clock: TLS knows no other.
fn next_year() -> time::OffsetDateTime {
    let today = Utc::now().date_naive();
    // The first of the month: 29 February has no next year.
    rcgen::date_time_ymd(today.year() + 1, u8::try_from(today.month()).unwrap_or(1), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_carries_the_vm_that_was_enrolled_and_nothing_that_the_request_claims() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut claims = CertificateParams::default();
        claims.subject_alt_names = vec![SanType::URI(format!("{VM_URI}another").try_into().unwrap())];
        let request = claims.serialize_request(&key).unwrap().pem().unwrap();
        let vm = VmId::new("vm-1").unwrap();
        let (certificate, key) =
            authority.certify(&vm, &request, Utc::now() + chrono::Duration::days(7)).unwrap();
        assert_eq!(speaker(certificate.der()), Some((vm, key)));
    }

    #[test]
    fn the_authority_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path()).unwrap().certificate_pem().to_owned();
        assert_eq!(Authority::open(folder.path()).unwrap().certificate_pem(), first);
    }
}
