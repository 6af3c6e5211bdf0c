//! The cryptography behind TLS: ring, for everything in a process; and files in PEM that are to be what they are named for.

use anyhow::{Context as _, bail};
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// Makes ring the process's choice, which HTTP clients and servers need before their first TLS. Whoever comes first has
/// installed the same.
pub fn install() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// The PEM file that this field names, which has a certificate in it.
pub fn certificate_file(field: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    certificates(field, path).map(|(pem, _)| pem)
}

/// The PEM file that this field names, with a certificate in it that may vouch for others'.
pub fn authority_file(field: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    let (pem, certificates) = certificates(field, path)?;
    // Whoever is given them passes silently over those that cannot be read, and then trusts nobody.
    if RootCertStore::empty().add_parsable_certificates(certificates).0 == 0 {
        bail!(
            "{}: there is no certificate in it that could be read: is the file damaged?",
            said(field, path)
        );
    }
    Ok(pem)
}

/// The PEM file that this field names, which has a private key in it.
pub fn key_file(field: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    let pem = read(field, path)?;
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(_) => Ok(pem),
        Err(pem::Error::NoItemsFound) => bail!("{}: there is no private key in it (PEM)", said(field, path)),
        Err(error) => bail!("{}: it is no PEM that could be read: {error}", said(field, path)),
    }
}

fn certificates(field: &str, path: &Path) -> anyhow::Result<(Vec<u8>, Vec<CertificateDer<'static>>)> {
    let pem = read(field, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok((pem, found)),
        Ok(_) => bail!("{}: there is no certificate in it (PEM)", said(field, path)),
        Err(error) => bail!("{}: it is no PEM that could be read: {error}", said(field, path)),
    }
}

fn read(field: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| said(field, path))
}

fn said(field: &str, path: &Path) -> String {
    format!("{field} = \"{}\"", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_tls;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn a_file_is_what_it_is_named_for_or_says_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let (own, authority) = local_tls::identity(folder.path(), IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        certificate_file("tls.certificate", &own.certificate).unwrap();
        key_file("tls.key", &own.key).unwrap();
        authority_file("authority", &authority).unwrap();

        let said = |read: anyhow::Result<Vec<u8>>| format!("{:#}", read.unwrap_err());
        let error = said(certificate_file("tls.certificate", &own.key));
        let named = format!("tls.certificate = \"{}\": ", own.key.display());
        assert_eq!(error, format!("{named}there is no certificate in it (PEM)"));
        let error = said(key_file("tls.key", &own.certificate));
        assert!(error.ends_with("door.pem\": there is no private key in it (PEM)"), "{error}");
        let error = said(authority_file("authority", &own.key));
        assert!(error.ends_with("there is no certificate in it (PEM)"), "{error}");

        let damaged = folder.path().join("damaged.pem");
        for (text, told) in [
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "that could be read"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "it is no PEM that could be read"),
            ("", "there is no certificate in it (PEM)"),
        ] {
            std::fs::write(&damaged, text).unwrap();
            let error = said(authority_file("authority", &damaged));
            assert!(error.contains("damaged.pem") && error.contains(told), "{error}");
        }
        std::fs::remove_file(&damaged).unwrap();
        assert!(said(authority_file("authority", &damaged)).contains("No such file"));
    }
}
