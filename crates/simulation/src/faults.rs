//! What can go wrong, and how often.

/// How often things go wrong. Shares are in percent of VMs, orders or occasions, as each says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// VMs that are off all the time.
    pub always_off: u32,
    /// VMs that are off for the first nights.
    pub off_at_first: u32,
    /// VMs that are ill before anything is done to them.
    pub ill: u32,
    /// Orders whose installation fails.
    pub install_fails: u32,
    /// Orders after which the machine falls ill.
    pub falls_ill: u32,
    /// Orders after which nothing is heard of the machine again: it does not come back from its reboot.
    pub vanishes: u32,
    /// Orders that are accepted and never finished, by a machine that goes on beating.
    pub hangs: u32,
    /// Reports that are sent twice.
    pub repeats: u32,
    /// Reports that come hours late.
    pub late_reports: u32,
    /// Machines that report on orders that they never got.
    pub lies: u32,
    /// Signals that are lost.
    pub lost_signals: u32,
    /// Signals that say ill of a machine that is well.
    pub flaps: u32,
    /// The longest that a fact takes to reach a service, in seconds.
    pub longest_lag: u32,
    /// Chance, each time a service is looked at, that it is killed and reads the log anew.
    pub crashes: u32,
    /// Appends after which the service is killed before it hears that they succeeded.
    pub unknown_appends: u32,
    /// How far the services' clocks, and ten times as far the machines', are apart, in seconds.
    pub skew: u32,
    /// Instances of each service.
    pub instances: usize,
    /// Changes of the fleet in a month.
    pub fleet_changes: u32,
    /// Wishes of people (pause, resume, approve, policy) in a month.
    pub wishes: u32,
    /// Patches that people have installed on one VM, beside all rollouts, in a month.
    pub installs: u32,
}

/// Names of groups of faults that the command line knows.
pub const GROUPS: [&str; 7] = ["power", "patches", "reports", "signals", "services", "clocks", "people"];

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self { instances: 1, ..Self::default() }
    }

    /// Everything at once.
    pub fn all() -> Self {
        Self {
            always_off: 4,
            off_at_first: 10,
            ill: 4,
            install_fails: 3,
            falls_ill: 3,
            vanishes: 2,
            hangs: 2,
            repeats: 20,
            late_reports: 5,
            lies: 3,
            lost_signals: 15,
            flaps: 1,
            longest_lag: 90,
            crashes: 2,
            unknown_appends: 3,
            skew: 3,
            instances: 2,
            fleet_changes: 6,
            wishes: 6,
            installs: 30,
        }
    }

    /// Only the groups of these names; `all` and `none` are names too.
    ///
    /// # Errors
    /// A sentence with the name that is not known.
    pub fn named(names: &str) -> Result<Self, String> {
        let all = Self::all();
        let mut faults = Self::none();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "all" => faults = all,
                "none" => faults = Self::none(),
                "power" => {
                    (faults.always_off, faults.off_at_first) = (all.always_off, all.off_at_first);
                }
                "patches" => {
                    faults.ill = all.ill;
                    faults.install_fails = all.install_fails;
                    faults.falls_ill = all.falls_ill;
                    (faults.vanishes, faults.hangs) = (all.vanishes, all.hangs);
                }
                "reports" => {
                    faults.repeats = all.repeats;
                    (faults.late_reports, faults.lies) = (all.late_reports, all.lies);
                }
                "signals" => (faults.lost_signals, faults.flaps) = (all.lost_signals, all.flaps),
                "services" => {
                    faults.longest_lag = all.longest_lag;
                    faults.crashes = all.crashes;
                    (faults.unknown_appends, faults.instances) = (all.unknown_appends, all.instances);
                }
                "clocks" => faults.skew = all.skew,
                "people" => {
                    (faults.fleet_changes, faults.wishes) = (all.fleet_changes, all.wishes);
                    faults.installs = all.installs;
                }
                other => {
                    return Err(format!(
                        "faults = \"{other}\" is not known: use all, none, or some of {}",
                        GROUPS.join(", ")
                    ));
                }
            }
        }
        Ok(faults)
    }

    /// Whether nothing that a machine does can make an eligible one miss its patches for good.
    pub fn machines_can_miss(&self) -> bool {
        self.always_off
            + self.ill
            + self.install_fails
            + self.falls_ill
            + self.vanishes
            + self.hangs
            + self.flaps
            > 0
    }
}
