//! An authority of an installation's own, for the TLS of `nightshift up`: whoever trusts its certificate reaches this
//! machine's door without anybody between.

use crate::access::write_secret;
use crate::config::TlsIdentity;
use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The authority's certificate, for its clients.
const AUTHORITY: &str = "door-authority.pem";
const AUTHORITY_KEY: &str = "door-authority.key";

/// A certificate for this machine's names and this address, anew at each start, by the folder's authority, which is made
/// where there is none. Gives it with the file that clients are to trust.
pub fn identity(folder: &Path, address: IpAddr) -> anyhow::Result<(TlsIdentity, PathBuf)> {
    let authority = authority(folder)?;
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    // One that stands for all addresses is no name of any.
    if !address.is_unspecified() && !names.contains(&address.to_string()) {
        names.push(address.to_string());
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "nightshift console");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &authority)?;
    let paths = TlsIdentity { certificate: folder.join("door.pem"), key: folder.join("door.key") };
    let write =
        |path: &Path, text: &str| write_secret(path, text).with_context(|| path.display().to_string());
    write(&paths.key, &key.serialize_pem())?;
    fs::write(&paths.certificate, certificate.pem())
        .with_context(|| paths.certificate.display().to_string())?;
    Ok((paths, folder.join(AUTHORITY)))
}

fn authority(folder: &Path) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let (certificate_path, key_path) = (folder.join(AUTHORITY), folder.join(AUTHORITY_KEY));
    // The certificate is written last: without it the authority was never used.
    if !certificate_path.exists() {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "nightshift console authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2045, 1, 1);
        let certificate = params.self_signed(&key)?;
        let write =
            |path: &Path, text: &str| write_secret(path, text).with_context(|| path.display().to_string());
        write(&key_path, &key.serialize_pem())?;
        // For everybody to read: who trusts it may be another user.
        let part = certificate_path.with_extension("new");
        fs::write(&part, certificate.pem())?;
        fs::rename(&part, &certificate_path).with_context(|| certificate_path.display().to_string())?;
    }
    let read = |path: &Path| fs::read_to_string(path).with_context(|| path.display().to_string());
    let key = KeyPair::from_pem(&read(&key_path)?).with_context(|| key_path.display().to_string())?;
    Issuer::from_ca_cert_pem(&read(&certificate_path)?, key)
        .with_context(|| certificate_path.display().to_string())
}
