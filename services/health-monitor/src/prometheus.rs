//! Asks Prometheus what the policies want to know. What is asked, and what an answer means, the mind says.

use anyhow::{Context as _, bail};
use chrono::Duration;
use futures::StreamExt as _;
use nightshift_domain::monitor::{Monitor, Question};
use nightshift_runtime::{Clock, Host};
use reqwest::Url;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

/// How often the mind is asked what there is to ask.
const ROUND: Duration = Duration::seconds(1);
/// How long an answer may take, by the machine's own clock.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(10);
/// Questions under way at once.
const AT_ONCE: usize = 16;
/// Bytes of an answer: one number needs a few hundred.
const LARGEST: usize = 64 * 1024;

pub(crate) struct Prometheus {
    /// Of instant queries (prometheus.io/docs/prometheus/latest/querying/api).
    query: Url,
    client: reqwest::Client,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Sample>),
    Scalar((f64, String)),
    /// No number of one moment.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Sample {
    value: (f64, String),
}

impl Prometheus {
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        let what = || format!("service.prometheus = \"{url}\"");
        let base = Url::parse(url).with_context(what)?;
        if !matches!(base.scheme(), "http" | "https") {
            bail!("{}: must be an http or https URL, such as http://127.0.0.1:9090", what());
        }
        let query = base.join("api/v1/query").with_context(what)?;
        nightshift_runtime::crypto::install();
        let client = reqwest::Client::builder().timeout(LIMIT).redirect(reqwest::redirect::Policy::none());
        Ok(Self { query, client: client.build().with_context(what)? })
    }

    /// Asks what is due, again and again.
    pub(crate) async fn ask_for_ever(
        self,
        host: Host<Monitor>,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = clock.sleep(ROUND) => {}
            }
            let (questions, due) = tokio::sync::oneshot::channel();
            let find = move |monitor: &mut Monitor, now| drop(questions.send(monitor.questions(now)));
            if host.tell(find).await.is_err() {
                return Ok(());
            }
            let Ok(due) = due.await else { return Ok(()) };
            let asked = futures::stream::iter(due).for_each_concurrent(AT_ONCE, |question| {
                let (prometheus, host, clock) = (&self, host.clone(), clock.clone());
                async move { prometheus.ask(question, &host, &clock).await }
            });
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = asked => {}
            }
        }
    }

    /// An answer that does not come is no answer: nothing was heard.
    async fn ask(&self, question: Question, host: &Host<Monitor>, clock: &Clock) {
        let answer = self.number(&question.promql).await;
        let query = question.name().clone();
        match answer {
            Ok(number) => {
                let at = clock.now();
                let hear = move |monitor: &mut Monitor, now| monitor.answer(&question, at, number, now);
                // The service is ending: fine.
                drop(host.tell(hear).await);
            }
            Err(error) => tracing::warn!(%query, error = format!("{error:#}"), "Prometheus gave no answer"),
        }
    }

    /// The one number that is the answer; `None` if Prometheus knows none.
    async fn number(&self, promql: &str) -> anyhow::Result<Option<f64>> {
        let mut url = self.query.clone();
        url.query_pairs_mut().append_pair("query", promql);
        let mut response = self.client.get(url).send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST {
                bail!("its answer is too long: the query must give one number");
            }
        }
        number(&body).with_context(|| format!("{}: {promql}", response.status()))
    }
}

fn number(body: &[u8]) -> anyhow::Result<Option<f64>> {
    let answer: Answer = serde_json::from_slice(body).context("its answer cannot be read")?;
    if answer.status != "success" {
        bail!("{}", answer.error);
    }
    let text = match answer.data.context("its answer has no data")? {
        Data::Scalar((_, value)) => value,
        Data::Vector(samples) => match &samples[..] {
            [] => return Ok(None),
            [sample] => sample.value.1.clone(),
            more => bail!("it gave {} numbers, not one: aggregate, for example with max()", more.len()),
        },
        Data::Other => bail!("it gave no number of this moment, but a range or a text"),
    };
    // "NaN", "+Inf" and "-Inf" are numbers of Prometheus, and of Rust.
    text.parse().map(Some).with_context(|| format!("\"{text}\" is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_number_or_none_or_an_error_that_says_what_to_do() {
        let vector = |samples: &str| {
            number(
                format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{samples}]}}}}"#)
                    .as_bytes(),
            )
        };
        let sample = |value: &str| format!(r#"{{"metric":{{"job":"x"}},"value":[1700000000.1,"{value}"]}}"#);
        assert_eq!(vector("").unwrap(), None);
        assert_eq!(vector(&sample("0.25")).unwrap(), Some(0.25));
        assert_eq!(vector(&sample("+Inf")).unwrap(), Some(f64::INFINITY));
        assert!(vector(&sample("NaN")).unwrap().unwrap().is_nan());
        let error = vector(&format!("{},{}", sample("1"), sample("2"))).unwrap_err().to_string();
        assert!(error.contains("2 numbers"), "{error}");
        let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[1700000000.1,"3"]}}"#;
        assert_eq!(number(scalar).unwrap(), Some(3.0));
        let matrix = br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert!(number(matrix).is_err());
        let failed = br#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert!(number(failed).unwrap_err().to_string().contains("parse error"));
        assert!(number(b"<html>").is_err());
    }

    #[test]
    fn a_bad_address_is_named() {
        for bad in ["somewhere", "prometheus:9090", "ftp://x"] {
            let error = format!("{:#}", Prometheus::new(bad).err().unwrap());
            assert!(error.contains("service.prometheus") && error.contains(bad), "{error}");
        }
        assert_eq!(
            Prometheus::new("http://p:9090/x/").unwrap().query.as_str(),
            "http://p:9090/x/api/v1/query"
        );
        assert!(Prometheus::new("https://prometheus.example/").is_ok());
    }
}
