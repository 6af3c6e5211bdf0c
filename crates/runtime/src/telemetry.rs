//! Structured tracing: lines on standard error, and OTLP where a collector is configured.

use crate::config::Telemetry;
use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// Keeps the exporter alive; flushes it when dropped.
#[derive(Debug)]
pub struct Guard(Option<SdkTracerProvider>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "the last traces were not exported");
        }
    }
}

/// Starts tracing for this process. Must be called inside a tokio runtime.
pub fn start(service: &'static str, config: &Telemetry) -> anyhow::Result<Guard> {
    let text = config.filter.as_deref().unwrap_or("info,sled=warn,async_nats=warn");
    let filter = EnvFilter::try_new(text).with_context(|| format!("telemetry.filter = \"{text}\""))?;
    // As everything else that is painted: on a terminal, unless somebody does not want it.
    let colors = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colors);
    let lines = if config.json { lines.json().boxed() } else { lines.compact().boxed() };
    let provider = config.otlp.as_deref().map(|address| exporter(service, address)).transpose()?;
    let traces = provider.as_ref().map(|p| tracing_opentelemetry::layer().with_tracer(p.tracer(service)));
    tracing_subscriber::registry().with(filter).with(lines).with(traces).try_init()?;
    Ok(Guard(provider))
}

fn exporter(service: &'static str, address: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(address)
        .build()
        .with_context(|| format!("telemetry.otlp = \"{address}\""))?;
    let resource = opentelemetry_sdk::Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
