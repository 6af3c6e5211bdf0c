//! rpm's rules for names and versions (rpm-version(7)).

use std::cmp::Ordering;
use std::fmt;

/// Whether this is a package's name. Whatever else it is, it is no option, no path and no pattern.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && text.chars().all(allowed)
}

fn is_part(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._+~^".contains(c);
    !text.is_empty() && text.chars().all(allowed)
}

/// Epoch, version and release.
#[derive(Debug, Clone, Eq)]
pub(crate) struct Evr {
    epoch: u32,
    version: String,
    release: String,
}

impl Evr {
    /// `[EPOCH:]VERSION-RELEASE`; `None` if it is anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().ok()?, rest),
            None => (0, text),
        };
        let (version, release) = rest.rsplit_once('-')?;
        (is_part(version) && is_part(release)).then(|| Self {
            epoch,
            version: version.to_owned(),
            release: release.to_owned(),
        })
    }
}

impl fmt::Display for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch != 0 {
            write!(f, "{}:", self.epoch)?;
        }
        write!(f, "{}-{}", self.version, self.release)
    }
}

impl Ord for Evr {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare(&self.version, &other.version))
            .then_with(|| compare(&self.release, &other.release))
    }
}

/// What rpm takes for one version is one, whatever its spelling.
impl PartialEq for Evr {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl PartialOrd for Evr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// rpm's own comparison: stretches of digits and of letters in turn, everything else only separates; `~` is before the
/// end, `^` after it and before everything else.
fn compare(mut left: &str, mut right: &str) -> Ordering {
    let separates = |c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^';
    loop {
        (left, right) = (left.trim_start_matches(separates), right.trim_start_matches(separates));
        match (left.strip_prefix('~'), right.strip_prefix('~')) {
            (Some(l), Some(r)) => (left, right) = (l, r),
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => match (left.strip_prefix('^'), right.strip_prefix('^')) {
                (Some(l), Some(r)) => (left, right) = (l, r),
                (Some(_), None) => return if right.is_empty() { Ordering::Greater } else { Ordering::Less },
                (None, Some(_)) => return if left.is_empty() { Ordering::Less } else { Ordering::Greater },
                (None, None) if left.is_empty() || right.is_empty() => return left.len().cmp(&right.len()),
                (None, None) => {
                    let (l, left_rest) = stretch(left);
                    let (r, right_rest) = stretch(right);
                    let order = compare_stretches(l, r);
                    if order != Ordering::Equal {
                        return order;
                    }
                    (left, right) = (left_rest, right_rest);
                }
            },
        }
    }
}

fn stretch(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let belongs = |c: char| if digits { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// Numbers are newer than letters; as texts, so that no number is too large.
fn compare_stretches(left: &str, right: &str) -> Ordering {
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    match (is_number(left), is_number(right)) {
        (true, true) => {
            let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            left.len().cmp(&right.len()).then_with(|| left.cmp(right))
        }
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => left.cmp(right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const VERSIONS: [&str; 38] = [
        "1.0",
        "1.00",
        "1.0a",
        "1.0.a",
        "1.1",
        "1.9",
        "1.10",
        "2.0",
        "2.0.1",
        "2.0.1a",
        "5.5p1",
        "5.5p10",
        "10xyz",
        "10.1xyz",
        "xyz10",
        "xyz.4",
        "8",
        "6.0.rc1",
        "6.0",
        "10b2",
        "10a1",
        "10a2",
        "20101121",
        "fc4",
        "fc.4",
        "2_0",
        "1.0~rc1",
        "1.0~rc1~git123",
        "1.0~rc2",
        "1.0^",
        "1.0^git1",
        "1.0^git1~pre",
        "1.0^20160101",
        "1.0.1^20160101",
        "1.0~rc1^git1",
        "1..0",
        "0001",
        "a+",
    ];

    /// rpm itself is the oracle: each pair is compared by both.
    #[test]
    fn versions_compare_as_rpm_compares_them() {
        let mut script = String::new();
        for left in VERSIONS {
            for right in VERSIONS {
                script.push_str(&format!("print(rpm.vercmp('{left}', '{right}') .. ' ') "));
            }
        }
        let said = Command::new("rpm").args(["--eval", &format!("%{{lua: {script} }}")]).output();
        let said =
            String::from_utf8(said.expect("rpm is needed; cargo xtask tools brings it").stdout).unwrap();
        let mut orders = said.split_whitespace().map(|order| order.parse::<i32>().unwrap().cmp(&0));
        for left in VERSIONS {
            for right in VERSIONS {
                assert_eq!(compare(left, right), orders.next().unwrap(), "{left} {right}");
            }
        }
        assert_eq!(orders.next(), None);
    }

    #[test]
    fn epochs_rule_and_only_versions_pass() {
        let evr = |text| Evr::parse(text).unwrap();
        assert!(evr("1:0.1-1") > evr("9.0-1") && evr("1.0-2") > evr("1.0-1") && evr("0:1-1") == evr("1-1"));
        assert_eq!(evr("0:1.0-1.el9").to_string(), "1.0-1.el9");
        for bad in ["", "1", "-1", "1-", "1 2-1", "1/2-1", "x:1-1", "1-1;x", "*-1", "$(x)-1"] {
            assert_eq!(Evr::parse(bad), None, "{bad}");
        }
        for good in ["libstdc++", "java-11-openjdk", "glibc.i686", "_x", "0ad"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-y", "--root=/", "a b", "../x", "x=1", "a/b", "ä1", "a*", "a[b]", "@group"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
