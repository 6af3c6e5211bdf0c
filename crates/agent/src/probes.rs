//! What ails the machine: by commands that its owner named, and by the probes of the policy that watches it.
//!
//! A policy names what is looked at, never what runs: its commands are those that the agent's own configuration has under
//! that name, and its addresses are the machine's own unless that configuration allows more.

mod reach;

use crate::config::Config;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use nightshift_domain::policy::{Check, Probe};
use reach::Reach;
use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::Command;

/// What the machine can be asked for.
#[derive(Debug, Clone)]
pub struct Probes {
    commands: Vec<Vec<String>>,
    limit: Duration,
    named: BTreeMap<String, Vec<String>>,
    reach: Reach,
}

impl Probes {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        Self {
            commands: config.health_commands.clone(),
            limit: Duration::from_secs(config.health_command_seconds.into()),
            named: config.probe_commands.clone(),
            reach: Reach::new(config.probe_targets.iter().cloned()),
        }
    }

    /// What the first of the owner's commands that does not end well says; `None` if all do.
    pub async fn ailment(&self) -> Option<String> {
        for argv in &self.commands {
            if let Err(ailment) = ask(argv, self.limit).await {
                return Some(ailment);
            }
        }
        None
    }

    /// What a probe of the policy says ails the machine; `None` if it is well. Takes no longer than the probe's limit.
    pub async fn look(&self, probe: &Probe) -> Option<String> {
        let limit = probe.time_limit.to_std().unwrap_or_default();
        let looked = match &probe.check {
            Check::Http(url) => in_time(limit, url, self.get(url)).await,
            Check::Tcp(at) => in_time(limit, at, self.connect(at)).await,
            Check::Command(name) => match self.named.get(name.as_str()) {
                Some(argv) => ask(argv, limit).await,
                None => Err(format!("the agent's configuration has no probe_commands.{name}")),
            },
            Check::Unit(unit) => ask(&["systemctl", "is-active", "--", unit].map(str::to_owned), limit).await,
        };
        looked.err()
    }

    /// One request over a connection to an address that was checked. Redirects are answers, not ways.
    async fn get(&self, url: &str) -> Result<(), String> {
        let about = |error: &dyn std::error::Error| format!("{url}: {}", root(error));
        let uri: Uri = url.parse().map_err(|error: hyper::http::uri::InvalidUri| about(&error))?;
        let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else {
            return Err(format!("{url} names no host"));
        };
        let addresses = self.reach.addresses(host, uri.port_u16().unwrap_or(80)).await?;
        let stream = TcpStream::connect(&*addresses).await.map_err(|error| about(&error))?;
        let connected = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.map_err(|error| about(&error))?;
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let request = Request::get(path)
            .header(HOST, authority.as_str())
            .header(USER_AGENT, "nightshift-agent")
            .body(Empty::<&[u8]>::new());
        let request = request.map_err(|error| about(&error))?;
        let answer = tokio::select! {
            answer = sender.send_request(request) => answer.map_err(|error| about(&error))?,
            Err(error) = connection => return Err(about(&error)),
        };
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("{url} answered {status}")) }
    }

    async fn connect(&self, at: &str) -> Result<(), String> {
        let (host, port) = at.rsplit_once(':').ok_or_else(|| format!("{at} has no port"))?;
        let port = port.parse().map_err(|_| format!("{at} has no port"))?;
        let addresses = self.reach.addresses(host.trim_matches(['[', ']']), port).await?;
        TcpStream::connect(&*addresses).await.map(drop).map_err(|error| format!("{at}: {error}"))
    }
}

async fn in_time(
    limit: Duration,
    what: &str,
    look: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    let late = |_| Err(format!("{what} did not answer within {} s", limit.as_secs()));
    tokio::time::timeout(limit, look).await.unwrap_or_else(late)
}

async fn ask(argv: &[String], limit: Duration) -> Result<(), String> {
    let name = argv.join(" ");
    let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(limit, command.output()).await {
        Err(_) => Err(format!("`{name}` did not end within {} s", limit.as_secs())),
        Ok(Err(error)) => Err(format!("`{name}` could not be run: {error}")),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => Err(format!("`{name}` ended with {}{}", output.status, first_line(&output))),
    }
}

fn first_line(output: &Output) -> String {
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let said = String::from_utf8_lossy(said);
    let line: String = said.lines().next().unwrap_or_default().chars().take(200).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

/// What lies at the bottom of an error: "Connection refused" says more than "error sending request".
fn root(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn probes(commands: &[&[&str]], limit: Duration) -> Probes {
        let owned = |argv: &&[&str]| argv.iter().map(|text| (*text).to_owned()).collect();
        let named = [("good".to_owned(), vec!["true".to_owned()])].into();
        Probes { commands: commands.iter().map(owned).collect(), limit, named, reach: Reach::new([]) }
    }

    async fn look(check: &str) -> Option<String> {
        let text = format!(r#"{{"name": "p", "time_limit_seconds": 1, "check": {check}}}"#);
        probes(&[], Duration::ZERO).look(&serde_json::from_str(&text).unwrap()).await
    }

    /// A server that answers so to whoever comes, and where it is.
    async fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1_024];
                drop(stream.read(&mut request).await);
                drop(stream.write_all(answer.as_bytes()).await);
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
            }
        });
        at
    }

    #[tokio::test]
    async fn the_first_ill_command_speaks() {
        let minute = Duration::from_secs(60);
        assert_eq!(probes(&[&["true"]], minute).ailment().await, None);
        let ailment = probes(&[&["true"], &["ls", "/no/such/place"]], minute).ailment().await.unwrap();
        assert!(ailment.contains("/no/such/place") && ailment.contains("exit status: 2"), "{ailment}");
        let ailment = probes(&[&["/no/such/program"]], minute).ailment().await.unwrap();
        assert!(ailment.contains("could not be run"), "{ailment}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_an_ailment() {
        let ailment = probes(&[&["sleep", "600"]], Duration::from_millis(50)).ailment().await.unwrap();
        assert!(ailment.contains("did not end"), "{ailment}");
    }

    #[tokio::test]
    async fn each_kind_of_probe_tells_well_from_ill() {
        let good = server("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(look(&format!(r#"{{"http": "http://{good}/health"}}"#)).await, None);
        assert_eq!(look(&format!(r#"{{"tcp": "{good}"}}"#)).await, None);
        assert_eq!(look(r#"{"command": "good"}"#).await, None);
        let bad = server("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let cases = [
            (format!(r#"{{"http": "http://{bad}/"}}"#), "answered 503"),
            (format!(r#"{{"http": "http://{gone}/"}}"#), "refused"),
            (format!(r#"{{"tcp": "{gone}"}}"#), "refused"),
            (r#"{"command": "other"}"#.to_owned(), "no probe_commands.other"),
            (r#"{"unit": "no-such.service"}"#.to_owned(), "systemctl is-active"),
        ];
        for (check, clue) in cases {
            let ailment = look(&check).await.unwrap();
            assert!(ailment.contains(clue), "{ailment}");
        }
    }

    #[tokio::test]
    async fn who_accepts_and_never_answers_is_ill_in_time() {
        let ailment = look(&format!(r#"{{"http": "http://{}/"}}"#, server("").await)).await.unwrap();
        assert!(ailment.contains("did not answer within 1 s"), "{ailment}");
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let inner = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let answer = format!("HTTP/1.1 302 Found\r\nlocation: http://{inner}/\r\ncontent-length: 0\r\n\r\n");
        let redirects = server(Box::leak(answer.into_boxed_str())).await;
        let ailment = look(&format!(r#"{{"http": "http://{redirects}/"}}"#)).await.unwrap();
        assert!(ailment.contains("answered 302"), "{ailment}");
    }

    #[tokio::test]
    async fn a_probe_reaches_the_machine_itself_and_no_other() {
        for check in [
            r#"{"http": "http://169.254.169.254/metadata"}"#,
            r#"{"tcp": "192.0.2.1:80"}"#,
            r#"{"http": "http://[2001:db8::1]/"}"#,
            r#"{"http": "http://[::ffff:169.254.169.254]/"}"#,
            r#"{"tcp": "0.0.0.0:80"}"#,
        ] {
            let ailment = look(check).await.unwrap();
            assert!(ailment.contains("probe_targets"), "{ailment}");
        }
    }
}
