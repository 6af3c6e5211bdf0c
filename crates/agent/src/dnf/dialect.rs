//! Where dnf and yum differ in their words. yum 3.4 (RHEL 7) is written after its manual pages; it was never run here.

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Dnf,
    Yum,
}

/// One line per package, told apart from whatever plug-ins print.
pub(super) const MARK: &str = "nightshift|";
const FORMAT: &str = "nightshift|%{name}|%{epoch}|%{version}|%{release}|%{arch}";

impl Dialect {
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Dnf => "dnf",
            Self::Yum => "yum",
        }
    }

    /// Files that name the process that holds a lock.
    pub(super) fn pid_files(self) -> &'static [&'static str] {
        match self {
            Self::Dnf => &["/var/lib/dnf/rpmdb_lock.pid"],
            Self::Yum => &["/var/run/yum.pid"],
        }
    }

    /// Fetches the news of every source that answers. Quiet, dnf would say nothing of those that do not.
    pub(super) fn refresh(self) -> &'static [&'static str] {
        match self {
            Self::Dnf => &["--setopt=skip_if_unavailable=1", "--setopt=exit_on_lock=True", "makecache"],
            Self::Yum => {
                &["--setopt=*.skip_if_unavailable=1", "--setopt=exit_on_lock=1", "makecache", "fast"]
            }
        }
    }

    /// What could be newer; with everything, or without what the machine's own configuration excludes. yum names only the
    /// newest version of each.
    pub(super) fn updates(self, everything: bool) -> Vec<&'static str> {
        let mut arguments = match self {
            Self::Dnf => vec!["repoquery", "--upgrades", "--qf", FORMAT],
            Self::Yum => vec!["check-update"],
        };
        arguments.extend(everything.then_some("--disableexcludes=all"));
        arguments
    }

    /// Which updates belong to which advisory.
    pub(super) fn advisories(self) -> &'static [&'static str] {
        match self {
            Self::Dnf => &["updateinfo", "list", "--disableexcludes=all"],
            Self::Yum => &["updateinfo", "list", "available", "--disableexcludes=all"],
        }
    }

    /// Says what would happen, and that nothing can be left out.
    pub(super) fn simulate(self) -> &'static [&'static str] {
        match self {
            Self::Dnf => &["-C", "--setopt=skip_if_unavailable=1", "--assumeno", "--best", "upgrade"],
            Self::Yum => &["-C", "--setopt=*.skip_if_unavailable=1", "--assumeno", "update"],
        }
    }

    pub(super) fn download(self) -> &'static [&'static str] {
        match self {
            Self::Dnf => &["-y", "--downloadonly", "--nobest", "--setopt=exit_on_lock=True", "upgrade"],
            Self::Yum => &["-y", "--downloadonly", "--setopt=exit_on_lock=1", "update"],
        }
    }

    /// With `--nobest` one package that does not fit keeps no other out. Left alone, both wait for a lock for ever.
    pub(super) fn install(self) -> &'static [&'static str] {
        match self {
            Self::Dnf => &["-y", "--nobest", "--setopt=exit_on_lock=True", "upgrade"],
            Self::Yum => &["-y", "--skip-broken", "--setopt=exit_on_lock=1", "update"],
        }
    }

    /// Installs the newest of two versions again and removes the other; yum cannot.
    pub(super) fn remove_duplicates(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Dnf => Some(&["-y", "--setopt=exit_on_lock=True", "remove", "--duplicates"]),
            Self::Yum => None,
        }
    }

    pub(super) fn needs_restarting(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Dnf => ("dnf", &["-q", "-C", "needs-restarting", "-r"]),
            Self::Yum => ("needs-restarting", &["-r"]),
        }
    }
}
