//! HTTP, in the clear or over TLS, until the service is told to end.

use anyhow::Context as _;
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use nightshift_runtime::config::TlsIdentity;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long requests in progress may take to end; event streams never do.
const DRAIN: Duration = Duration::from_secs(3);

pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsIdentity>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let Some(TlsIdentity { certificate, key }) = tls else {
        return Ok(axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await?);
    };
    nightshift_runtime::crypto::install();
    let read = RustlsConfig::from_pem_file(&certificate, &key).await;
    let config = read.with_context(|| {
        let (certificate, key) = (certificate.display(), key.display());
        format!("service.tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}")
    })?;
    let handle = Handle::new();
    let told = handle.clone();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        told.graceful_shutdown(Some(DRAIN));
    });
    let server = axum_server::from_tcp_rustls(listener.into_std()?, config)?;
    Ok(server.handle(handle).serve(router.into_make_service()).await?)
}
