//! Sends an event to a webhook's receiver, signed by the convention of Standard Webhooks (standardwebhooks.com).

use super::answer::Answer;
use super::settings::Webhook;
use anyhow::{Context as _, ensure};
use nightshift_domain::Time;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Certificate, Client, Url, redirect};
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook as Signer,
};
use std::path::{Path, PathBuf};

/// CloudEvents' structured mode.
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";
const USER_AGENT: &str = concat!("nightshift/", env!("CARGO_PKG_VERSION"));
/// Of an answer's body nothing is wanted; so much is read, so that the connection serves for the next event.
const READ_OF_BODY: usize = 16 * 1024;
/// Bytes of a secret: the convention has 24 to 64.
const SHORTEST: usize = 16;

pub(super) struct Receiver {
    url: Url,
    secret_file: PathBuf,
    client: Client,
}

impl Receiver {
    /// Fails where its secret or its authorities cannot be read.
    pub(super) fn of(webhook: &Webhook) -> anyhow::Result<Self> {
        let named = || format!("service.webhooks, \"{}\"", webhook.name);
        let secrets = std::fs::read_to_string(&webhook.secret_file).map_err(anyhow::Error::from);
        secrets
            .and_then(|text| signers(&text))
            .with_context(|| format!("{}: secret_file = \"{}\"", named(), webhook.secret_file.display()))?;
        nightshift_runtime::crypto::install();
        let mut client = Client::builder()
            .timeout(webhook.timeout)
            .redirect(redirect::Policy::none())
            .user_agent(USER_AGENT);
        if let Some(path) = &webhook.authorities {
            let trusted = authorities(path);
            let trusted =
                trusted.with_context(|| format!("{}: authorities = \"{}\"", named(), path.display()))?;
            client = client.tls_certs_only(trusted);
        }
        let client = client.build().with_context(named)?;
        Ok(Self { url: webhook.url.clone(), secret_file: webhook.secret_file.clone(), client })
    }

    /// Sends the event with this id once.
    pub(super) async fn send(&self, id: &str, body: String, now: Time) -> Answer {
        let signatures = match self.signatures(id, now.timestamp(), &body).await {
            Ok(signatures) => signatures,
            Err(error) => {
                return Answer::none(format!("secret_file = \"{}\": {error:#}", self.secret_file.display()));
            }
        };
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, CLOUD_EVENT)
            .header(HEADER_WEBHOOK_ID, id)
            .header(HEADER_WEBHOOK_TIMESTAMP, now.timestamp())
            .header(HEADER_WEBHOOK_SIGNATURE, signatures)
            .body(body);
        match request.send().await {
            Ok(response) => {
                let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let answer = Answer::of(response.status(), retry_after, now);
                read_some(response).await;
                answer
            }
            Err(error) => Answer::none(format!("{:#}", anyhow::Error::from(error.without_url()))),
        }
    }

    /// One for each secret of the file, as it is now.
    async fn signatures(&self, id: &str, timestamp: i64, body: &str) -> anyhow::Result<String> {
        let text = tokio::fs::read_to_string(&self.secret_file).await?;
        let signed = signers(&text)?.into_iter().map(|signer| signer.sign(id, timestamp, body.as_bytes()));
        Ok(signed.collect::<Result<Vec<_>, _>>()?.join(" "))
    }
}

async fn read_some(mut response: reqwest::Response) {
    let mut read = 0;
    while let Ok(Some(part)) = response.chunk().await {
        read += part.len();
        if read > READ_OF_BODY {
            return;
        }
    }
}

/// Of the secrets in the text, one a line. What is wrong with one is told without showing it.
fn signers(text: &str) -> anyhow::Result<Vec<Signer>> {
    let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
    let signer = |(number, line): (usize, &str)| {
        let secret = line.strip_prefix("whsec_");
        let secret = secret.with_context(|| format!("line {number} does not begin with whsec_"))?;
        ensure!(
            secret.len() * 3 / 4 >= SHORTEST,
            "line {number}: the secret is shorter than {SHORTEST} bytes; \
             `printf 'whsec_%s\\n' $(head -c 32 /dev/urandom | base64)` makes one"
        );
        Signer::new(line).map_err(|_| anyhow::anyhow!("line {number}: what follows whsec_ is not base64"))
    };
    let signers: Vec<Signer> = lines.map(signer).collect::<anyhow::Result<_>>()?;
    ensure!(!signers.is_empty(), "there is no secret in it");
    Ok(signers)
}

fn authorities(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let trusted = Certificate::from_pem_bundle(&std::fs::read(path)?)?;
    ensure!(!trusted.is_empty(), "there is no certificate in it");
    Ok(trusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the convention's own examples.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn each_secret_signs() {
        let text = format!("{SECRET}\n\n  whsec_{}\n", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY");
        let signers = signers(&text).unwrap();
        let signed: Vec<String> = signers
            .iter()
            .map(|signer| {
                signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#)
            })
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(signed[0], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(signed.len() == 2 && signed[0] != signed[1]);
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_told_without_showing_it() {
        let cases = [
            ("", "there is no secret in it"),
            ("hunter2hunter2hunter2hunter2", "line 1 does not begin with whsec_"),
            ("whsec_aHVudGVyMg==", "line 1: the secret is shorter than 16 bytes"),
            ("whsec_hunter2!hunter2!hunter2!hunter2!", "line 1: what follows whsec_ is not base64"),
        ];
        for (text, sentence) in cases {
            let error = signers(text).err().map(|error| error.to_string()).unwrap();
            assert!(error.starts_with(sentence) && !error.contains("hunter2"), "{error}");
        }
    }
}
