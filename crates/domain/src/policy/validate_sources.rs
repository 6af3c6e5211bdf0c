//! The bounds of probes, reporters and queries.

use super::Policy;
use super::sources::{Check, Need, Probe, Query, Scope};
use super::validate::{Checked, good};
use chrono::Duration;
use std::collections::BTreeSet;

/// Sources that one policy may name: each costs every watched machine its time.
const MOST: usize = 32;
/// Characters of a query.
const LONGEST_QUERY: usize = 4_096;

impl Policy {
    pub(super) fn check_sources(&self) -> Checked {
        let lists = [
            ("probes", self.probes.iter().map(|probe| &probe.name).collect::<Vec<_>>()),
            ("reports", self.reports.iter().map(|reporter| &reporter.name).collect()),
            ("queries", self.queries.iter().map(|query| &query.name).collect()),
        ];
        for (list, names) in &lists {
            good(names.len() <= MOST, list, names.len(), "must be at most 32")?;
            let mut seen = BTreeSet::new();
            for name in names {
                good(seen.insert(name), &format!("{list}.name"), name, "must be unique in its list")?;
            }
        }
        self.check_probes()?;
        self.check_queries()?;
        let reports = self.reports.iter().map(|reporter| ("reports", &reporter.name, reporter.failures));
        let probes = self.probes.iter().map(|probe| ("probes", &probe.name, probe.failures));
        let queries = self.queries.iter().map(|query| ("queries", &query.name, query.failures));
        for (list, name, failures) in probes.chain(reports).chain(queries) {
            let field = format!("{list}.{name}.failures");
            good((1..=100).contains(&failures), &field, failures, "must be 1 to 100")?;
        }
        Ok(())
    }

    fn check_probes(&self) -> Checked {
        for probe in &self.probes {
            let field = |field: &str| format!("probes.{}.{field}", probe.name);
            self.check_interval(&field("interval_seconds"), probe.interval)?;
            let limit = probe.time_limit;
            let fits = Duration::seconds(1) <= limit && limit <= Duration::minutes(1);
            good(fits, &field("time_limit_seconds"), limit.num_seconds(), "must be 1 to 60")?;
            let (good_target, must) = target(probe);
            good(good_target, &field("check"), format!("{:?}", probe.check), must)?;
        }
        Ok(())
    }

    fn check_queries(&self) -> Checked {
        for query in &self.queries {
            let field = |field: &str| format!("queries.{}.{field}", query.name);
            self.check_interval(&field("interval_seconds"), query.interval)?;
            let fits = (1..=LONGEST_QUERY).contains(&query.promql.len());
            good(fits, &field("promql"), &query.promql, "must be 1 to 4096 characters")?;
            let limited = query.above.is_some() || query.below.is_some();
            good(limited, &field("above"), "absent", "must be given, or `below`: a query needs a limit")?;
            self.check_bake(query)?;
        }
        Ok(())
    }

    /// While a phase bakes no VM, step or zone is watched: such a query is about regions or the phase, and decides.
    fn check_bake(&self, query: &Query) -> Checked {
        if !query.is_of_bake() {
            return Ok(());
        }
        let field = |field: &str| format!("queries.{}.{field}", query.name);
        let whole = matches!(query.scope, Scope::Region | Scope::Phase);
        let must = "must be region or phase for a query that is asked while the phase bakes";
        good(whole, &field("scope"), format!("{:?}", query.scope).to_lowercase(), must)?;
        let named = ["$vm", "$step", "$zone"].into_iter().find(|name| query.promql.contains(name));
        let must = "must name no VM, step or zone where the query is asked while the phase bakes";
        good(named.is_none(), &field("promql"), named.unwrap_or_default(), must)?;
        let required = query.need == Need::Required;
        good(
            required,
            &field("need"),
            "advisory",
            "must be required where the query is asked while the phase bakes",
        )
    }

    /// What comes more seldom than silence is always old.
    fn check_interval(&self, field: &str, interval: Duration) -> Checked {
        let fits = Duration::seconds(1) <= interval && interval <= self.silence;
        good(fits, field, interval.num_seconds(), "must be 1 to silence_seconds")
    }
}

fn target(probe: &Probe) -> (bool, &'static str) {
    match &probe.check {
        Check::Http(url) => {
            let host = url.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
            let fits = host.is_some_and(|host| !host.is_empty() && !host.contains('@')) && printable(url);
            (fits, "must be a URL such as http://127.0.0.1:8080/health, without a user")
        }
        Check::Tcp(at) => {
            let port = at.rsplit_once(':').filter(|(host, _)| !host.is_empty() && printable(host));
            let fits = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
            (fits, "must be host:port, such as 127.0.0.1:5432")
        }
        Check::Command(_) => (true, ""),
        Check::Unit(unit) => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || ":_.\\@-".contains(c);
            let fits = (1..=255).contains(&unit.len()) && unit.chars().all(allowed) && !unit.starts_with('-');
            (fits && unit.contains('.'), "must be a systemd unit with its suffix, such as nginx.service")
        }
    }
}

fn printable(text: &str) -> bool {
    text.len() <= 2_048 && text.chars().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(list: &str, source: &str) -> String {
        let text = format!(r#"{{"{list}": [{source}]}}"#);
        match serde_json::from_str::<Policy>(&text) {
            Ok(policy) => policy.validate().map_or_else(|error| error.to_string(), |()| "valid".to_owned()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_query_of_a_bake_is_about_regions_or_the_phase_and_decides() {
        let of_bake = |rest: &str, promql: &str| {
            error(
                "queries",
                &format!(r#"{{"name": "q", "promql": "{promql}", "above": 1, "during": "bake"{rest}}}"#),
            )
        };
        assert_eq!(of_bake(r#", "scope": "phase""#, "errors{region=~'$region'}"), "valid");
        assert_eq!(of_bake(r#", "scope": "region""#, "up"), "valid");
        let scope = of_bake("", "up");
        assert!(scope.contains("queries.q.scope") && scope.contains("region or phase"), "{scope}");
        let named = of_bake(r#", "scope": "phase""#, "errors{vm=~'$vms'}");
        assert!(named.contains("queries.q.promql") && named.contains("$vm"), "{named}");
        let advisory = of_bake(r#", "scope": "phase", "need": "advisory""#, "up");
        assert!(advisory.contains("queries.q.need"), "{advisory}");
    }

    #[test]
    fn good_sources_are_valid() {
        let checks = [
            r#"{"http": "http://127.0.0.1:8080/health"}"#,
            r#"{"tcp": "[::1]:5432"}"#,
            r#"{"command": "check-app"}"#,
            r#"{"unit": "getty@tty1.service"}"#,
        ];
        for check in checks {
            assert_eq!(error("probes", &format!(r#"{{"name": "a", "check": {check}}}"#)), "valid", "{check}");
        }
        assert_eq!(error("reports", r#"{"name": "load-balancer", "need": "advisory"}"#), "valid");
        assert_eq!(error("queries", r#"{"name": "errors", "promql": "up", "below": 1}"#), "valid");
    }

    #[test]
    fn each_bad_source_is_named_with_its_value() {
        let probe = |rest: &str| format!(r#"{{"name": "a", {rest}}}"#);
        let cases = [
            ("probes", probe(r#""check": {"http": "https://x/"}"#), "probes.a.check"),
            ("probes", probe(r#""check": {"http": "http://me@127.0.0.1/"}"#), "probes.a.check"),
            ("probes", probe(r#""check": {"tcp": "localhost"}"#), "probes.a.check"),
            ("probes", probe(r#""check": {"command": "rm -rf"}"#), "rm -rf"),
            ("probes", probe(r#""check": {"unit": "--all.service"}"#), "probes.a.check"),
            (
                "probes",
                probe(r#""check": {"unit": "x.service"}, "interval_seconds": 901"#),
                "interval_seconds = 901",
            ),
            (
                "probes",
                probe(r#""check": {"unit": "x.service"}, "time_limit_seconds": 0"#),
                "time_limit_seconds = 0",
            ),
            ("probes", probe(r#""check": {"unit": "x.service"}, "failures": 0"#), "probes.a.failures = 0"),
            ("reports", r#"{"name": "b"}, {"name": "b"}"#.to_owned(), "reports.name = b"),
            ("queries", r#"{"name": "c", "promql": "up"}"#.to_owned(), "queries.c.above = absent"),
            ("queries", r#"{"name": "c", "promql": "", "above": 1}"#.to_owned(), "queries.c.promql"),
        ];
        for (list, source, clue) in cases {
            let error = error(list, &source);
            assert!(error.contains(clue), "{error}");
        }
    }
}
