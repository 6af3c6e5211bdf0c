//! When each VM's window has room for an order. Most VMs of a region share their window and time zone: each pair is
//! worked out once.

use crate::layout::Member;
use crate::mind::Time;
use crate::policy::Policy;
use crate::run::time_limits::DELIVERY;
use crate::window::{Opening, Window};
use chrono_tz::Tz;
use std::collections::HashMap;

pub(in crate::run) struct Fits<'a> {
    now: Time,
    policy: &'a Policy,
    known: HashMap<(Window, Tz), Option<Opening>>,
}

impl<'a> Fits<'a> {
    pub fn new(now: Time, policy: &'a Policy) -> Self {
        Self { now, policy, known: HashMap::new() }
    }

    /// The VM's opening in which an order can still arrive and the longest work be done: the one that is open, or the
    /// next. None if there is none within the days that the policy leaves.
    pub fn of(&mut self, member: &Member) -> Option<Opening> {
        self.of_window(member.window, member.time_zone)
    }

    /// The same for all VMs of a window.
    pub fn of_window(&mut self, window: Window, time_zone: Tz) -> Option<Opening> {
        let (now, policy) = (self.now, self.policy);
        let fit = || room_for(window, time_zone, now, policy);
        *self.known.entry((window, time_zone)).or_insert_with(fit)
    }
}

/// The opening of a window in which an order that is placed from now on can still arrive and the longest work of the policy
/// be done.
pub(crate) fn room_for(window: Window, time_zone: Tz, now: Time, policy: &Policy) -> Option<Opening> {
    let work = DELIVERY + policy.longest_work;
    window.next_fit(time_zone, now, work, |day| policy.is_blackout(day))
}
