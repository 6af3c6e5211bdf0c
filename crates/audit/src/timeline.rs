//! Something that was one way and then another.

use crate::Record;
use crate::lag::known_since;
use nightshift_domain::Time;

/// How something was from a moment on.
pub(crate) struct Version<'a, T> {
    /// From when.
    pub from: Time,
    /// The event that made it so.
    pub record: &'a Record,
    /// How it was.
    pub value: T,
}

/// All versions of something, in the order of the log.
pub(crate) struct Timeline<'a, T>(Vec<Version<'a, T>>);

impl<T> Default for Timeline<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a, T> Timeline<'a, T> {
    /// Adds what this event made of it.
    pub fn push(&mut self, record: &'a Record, value: T) {
        // The position is the order within a partition: an event cannot be in force before the one that it replaces.
        let from = self.0.last().map_or(record.at, |last| last.from.max(record.at));
        self.0.push(Version { from, record, value });
    }

    /// Every version that may have been in force at that moment: the last before it, and all that began in it, for
    /// nobody can say whether an event of another partition with the same time was before or after them.
    pub fn in_force(&self, at: Time) -> &[Version<'a, T>] {
        let begun = self.0.partition_point(|version| version.from <= at);
        let earlier = self.0.partition_point(|version| version.from < at);
        &self.0[earlier.saturating_sub(1)..begun]
    }

    /// Every version that was in force at that moment, or so shortly before that a coordinator may still act by it
    /// ([`crate::LAG`]).
    pub fn lately(&self, at: Time) -> &[Version<'a, T>] {
        let since = known_since(at);
        let begun = self.0.partition_point(|version| version.from <= at);
        let earlier = self.0.partition_point(|version| version.from < since);
        &self.0[earlier.saturating_sub(1)..begun]
    }

    /// The first version.
    pub fn first(&self) -> Option<&Version<'a, T>> {
        self.0.first()
    }

    /// The last version.
    pub fn last(&self) -> Option<&Version<'a, T>> {
        self.0.last()
    }

    /// All versions that lasted: none that was replaced in the very moment in which it began.
    pub fn lasting(&self) -> impl Iterator<Item = &Version<'a, T>> {
        let next = self.0.iter().skip(1).map(|version| Some(version.from)).chain([None]);
        self.0
            .iter()
            .zip(next)
            .filter(|(version, next)| Some(version.from) != *next)
            .map(|(version, _)| version)
    }
}
