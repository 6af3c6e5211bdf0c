//! Debian's rules for names and versions (deb-version(7), Debian Policy 5.6.7 and 5.6.12).

use std::cmp::Ordering;

/// Whether this is a package's name, with or without an architecture (`libc6:i386`). Whatever else it is, it is no
/// option and no path.
pub(super) fn is_name(text: &str) -> bool {
    let (name, architecture) = text.split_once(':').unwrap_or((text, "all"));
    let word = |text: &str, also: &str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(c);
        text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) && text.chars().all(allowed)
    };
    name.len() >= 2 && word(name, "+-.") && word(architecture, "-")
}

/// Whether this is a version.
pub(super) fn is_version(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".+-~:".contains(c);
    text.starts_with(|c: char| c.is_ascii_digit() || c.is_ascii_alphabetic()) && text.chars().all(allowed)
}

/// apt, dpkg and what they are made of.
pub(super) fn is_of_package_manager(name: &str) -> bool {
    let name = name.split(':').next().unwrap_or(name);
    ["apt", "apt-utils", "dpkg", "debconf", "debian-archive-keyring", "ubuntu-keyring"].contains(&name)
        || name.starts_with("libapt-pkg")
}

/// Kernels and what every process has in its memory: Debian's and Ubuntu's packages that ask for a reboot when they are
/// new (needrestart(1), /usr/share/update-notifier/notify-reboot-required).
pub(super) fn asks_for_reboot(name: &str) -> bool {
    let name = name.split(':').next().unwrap_or(name);
    let kernel = ["linux-image", "linux-base", "linux-firmware", "firmware-", "grub-", "shim-signed"];
    let everywhere = ["libc6", "systemd", "libsystemd0", "dbus", "intel-microcode", "amd64-microcode"];
    kernel.iter().any(|prefix| name.starts_with(prefix)) || everywhere.contains(&name)
}

/// Which of two versions is newer.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Version::parse(left), Version::parse(right));
    let epochs = left.epoch.cmp(&right.epoch);
    epochs
        .then_with(|| compare_part(left.upstream, right.upstream))
        .then_with(|| compare_part(left.revision, right.revision))
}

struct Version<'a> {
    epoch: u64,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Self {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self { epoch: epoch.parse().unwrap_or(0), upstream, revision }
    }
}

/// Stretches of other characters and numbers in turn.
fn compare_part<'a>(mut left: &'a str, mut right: &'a str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (texts, rests) = split_both(left, right, |c| !c.is_ascii_digit());
        let order = compare_texts(texts.0, texts.1);
        if order != Ordering::Equal {
            return order;
        }
        let (numbers, rests) = split_both(rests.0, rests.1, |c| c.is_ascii_digit());
        let order = compare_numbers(numbers.0, numbers.1);
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = rests;
    }
    Ordering::Equal
}

type Pair<'a> = (&'a str, &'a str);

fn split_both<'a>(left: &'a str, right: &'a str, belongs: fn(char) -> bool) -> (Pair<'a>, Pair<'a>) {
    let (left, left_rest) = split(left, belongs);
    let (right, right_rest) = split(right, belongs);
    ((left, right), (left_rest, right_rest))
}

fn split(text: &str, belongs: fn(char) -> bool) -> Pair<'_> {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// Letters before everything else, and `~` before all, even before the end.
fn compare_texts(left: &str, right: &str) -> Ordering {
    let rank = |c: Option<char>| match c {
        Some('~') => 0,
        None => 1,
        Some(c) if c.is_ascii_alphabetic() => 2 + u32::from(c),
        Some(c) => 1_000 + u32::from(c),
    };
    let (mut left, mut right) = (left.chars(), right.chars());
    loop {
        let (l, r) = (left.next(), right.next());
        let order = rank(l).cmp(&rank(r));
        if order != Ordering::Equal || l.is_none() {
            return order;
        }
    }
}

/// As texts, so that no number is too large.
fn compare_numbers(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_versions_pass() {
        for good in ["libc6", "g++-12", "libc6:i386", "0ad", "lib2geom1.2.0", "a0:kfreebsd-amd64"] {
            assert!(is_name(good), "{good}");
        }
        for bad in
            ["", "a", "-y", "--root=/", "Foo", "a b", "../x", "x=1", "libc6:", "libc6:a:b", "a/b", "ä1"]
        {
            assert!(!is_name(bad), "{bad}");
        }
        for good in ["1.0", "1:2.3-4+deb12u1~bpo1", "2024a-0+deb12u1"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "-1", "1 2", "1/2", "1;x", "~1", "$(x)"] {
            assert!(!is_version(bad), "{bad}");
        }
    }

    /// Each checked with `dpkg --compare-versions`.
    #[test]
    fn versions_compare_as_dpkg_compares_them() {
        let less = [
            ("1.0", "1.1"),
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("1.0~~", "1.0~"),
            ("1.0", "1.0+deb12u1"),
            ("1.0-1", "1.0-1+b1"),
            ("9.0", "1:0.1"),
            ("1.0a", "1.0+"),
            ("1.0-1", "1.0a-1"),
            ("5.2.15-2+b8", "5.2.15-2+b13"),
            ("1.0-1~bpo12+1", "1.0-1"),
        ];
        for (left, right) in less {
            assert_eq!(compare(left, right), Ordering::Less, "{left} {right}");
            assert_eq!(compare(right, left), Ordering::Greater, "{right} {left}");
        }
        for (left, right) in [("1.0", "1.00"), ("0:1", "1"), ("1.0-0", "1.0")] {
            assert_eq!(compare(left, right), Ordering::Equal, "{left} {right}");
        }
    }
}
