//! The doors for people and programs, gRPC and HTTP alike: in the clear or over TLS, until the service is told to end.

use crate::config::TlsIdentity;
use crate::crypto::{certificate_file, key_file};
use anyhow::Context as _;
use axum::Router;
use axum_server::Handle;
pub use axum_server::tls_rustls::RustlsConfig;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long calls in progress may take to end; streams never do by themselves.
const DRAIN: Duration = Duration::from_secs(3);
/// How often the files of a certificate are looked at: whoever renews it need not tell anybody.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The certificate for all doors of this process, taken anew from its files until `shutdown`. Opened before anything begins:
/// who cannot be served learns it from one sentence, not from a service that said it serves.
pub async fn open(identity: TlsIdentity, shutdown: &CancellationToken) -> anyhow::Result<RustlsConfig> {
    let renewal = Renewal::begin(identity).await?;
    let config = renewal.config.clone();
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(renewal.follow()));
    Ok(config)
}

/// Serves on a socket that is already bound, until `shutdown`; without a certificate in the clear.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<RustlsConfig>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let listen = listener.local_addr()?;
    if tls.is_none() && !listen.ip().is_loopback() {
        tracing::warn!(
            %listen,
            "tokens cross the network in the clear: name a certificate as `tls`, or have something else encrypt"
        );
    }
    let handle = Handle::new();
    let told = handle.clone();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        told.graceful_shutdown(Some(DRAIN));
    });
    let (listener, service) = (listener.into_std()?, router.into_make_service());
    match tls {
        None => axum_server::from_tcp(listener)?.handle(handle).serve(service).await?,
        Some(tls) => axum_server::from_tcp_rustls(listener, tls)?.handle(handle).serve(service).await?,
    }
    Ok(())
}

/// A certificate in use, and the files that it is from.
struct Renewal {
    identity: TlsIdentity,
    config: RustlsConfig,
    in_use: (Vec<u8>, Vec<u8>),
}

impl Renewal {
    async fn begin(identity: TlsIdentity) -> anyhow::Result<Self> {
        crate::crypto::install();
        let in_use = read(&identity)?;
        let (certificate, key) = in_use.clone();
        let config = RustlsConfig::from_pem(certificate, key).await.with_context(|| told(&identity))?;
        Ok(Self { identity, config, in_use })
    }

    /// For ever.
    async fn follow(mut self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.look().await {
                Ok(false) => {}
                Ok(true) => tracing::info!("{}: the renewed certificate is in use", told(&self.identity)),
                // Half written, perhaps: the next look tells. Until then the former one is good enough.
                Err(error) => tracing::warn!("{error:#}; the former certificate stays in use"),
            }
        }
    }

    /// Takes what the files have into use, if that is something new; connections that are open keep what they have.
    async fn look(&mut self) -> anyhow::Result<bool> {
        let found = read(&self.identity)?;
        if found == self.in_use {
            return Ok(false);
        }
        let (certificate, key) = found.clone();
        self.config.reload_from_pem(certificate, key).await.with_context(|| told(&self.identity))?;
        self.in_use = found;
        Ok(true)
    }
}

fn read(TlsIdentity { certificate, key }: &TlsIdentity) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    Ok((certificate_file("tls.certificate", certificate)?, key_file("tls.key", key)?))
}

fn told(TlsIdentity { certificate, key }: &TlsIdentity) -> String {
    format!("tls = {{ certificate = \"{}\", key = \"{}\" }}", certificate.display(), key.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_tls;
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::Path;

    /// A certificate and its key, by a folder's authority: anew each time.
    fn certificate(folder: &Path) -> TlsIdentity {
        local_tls::identity(folder, IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap().0
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_taken_into_use_and_a_damaged_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let identity = certificate(folder.path());
        let mut renewal = Renewal::begin(identity.clone()).await.unwrap();
        let first = renewal.config.get_inner();
        assert!(!renewal.look().await.unwrap());
        assert!(std::sync::Arc::ptr_eq(&first, &renewal.config.get_inner()));

        certificate(folder.path());
        assert!(renewal.look().await.unwrap());
        let second = renewal.config.get_inner();
        assert!(!std::sync::Arc::ptr_eq(&first, &second));
        assert!(!renewal.look().await.unwrap());

        // Between the two files of the next renewal, and when it went wrong.
        let good = std::fs::read(&identity.key).unwrap();
        certificate(folder.path());
        std::fs::write(&identity.key, good).unwrap();
        for (wrong, told) in [(None, "door.key"), (Some("nonsense"), "there is no certificate in it")] {
            if let Some(wrong) = wrong {
                std::fs::write(&identity.certificate, wrong).unwrap();
            }
            let error = format!("{:#}", renewal.look().await.unwrap_err());
            assert!(error.contains("door.pem") && error.contains(told), "{error}");
            assert!(std::sync::Arc::ptr_eq(&second, &renewal.config.get_inner()));
        }
        std::fs::remove_file(&identity.certificate).unwrap();
        let error = format!("{:#}", renewal.look().await.unwrap_err());
        assert!(error.starts_with("tls.certificate = ") && error.contains("door.pem"), "{error}");
    }

    #[tokio::test]
    async fn a_service_does_not_start_with_a_certificate_that_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let identity = certificate(folder.path());
        Renewal::begin(identity.clone()).await.map(drop).unwrap();
        std::fs::write(&identity.key, "nonsense").unwrap();
        let error = format!("{:#}", Renewal::begin(identity.clone()).await.map(drop).unwrap_err());
        assert!(error.starts_with("tls.key = ") && error.contains("no private key in it"), "{error}");
        std::fs::write(&identity.certificate, "nonsense").unwrap();
        let error = format!("{:#}", Renewal::begin(identity.clone()).await.map(drop).unwrap_err());
        assert!(error.starts_with("tls.certificate = ") && error.contains("no certificate in it"), "{error}");
        // Each for itself is one, but they do not belong together.
        let other = tempfile::tempdir().unwrap();
        let pair =
            TlsIdentity { certificate: certificate(other.path()).certificate, ..certificate(folder.path()) };
        let error = format!("{:#}", Renewal::begin(pair.clone()).await.map(drop).unwrap_err());
        assert!(error.contains("tls = { certificate = ") && error.contains("door.key"), "{error}");
    }
}
