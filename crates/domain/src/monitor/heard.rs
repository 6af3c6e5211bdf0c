//! What was last heard of one VM, of each source. Small: a fleet has many VMs, and most are heard of by their agents alone.

use crate::health::{Signal, Source};
use crate::id::VmId;
use crate::mind::Time;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Heard {
    agent: Option<Heartbeat>,
    /// Nothing is allocated for a VM that has none.
    others: Option<Box<Others>>,
}

/// Of any source but the agent.
#[derive(Debug, Clone, Default, PartialEq)]
struct Others(Vec<(Source, Word)>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Word {
    at: Time,
    ailment: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Heartbeat {
    word: Word,
    boot_id: Box<str>,
    findings: Box<[String]>,
}

/// Sources of one VM beyond its agent. Whoever invents more is not heard.
const MOST_OTHERS: usize = 128;

impl Heard {
    /// Nothing yet.
    pub const NOTHING: Self = Self { agent: None, others: None };

    /// Keeps the newest of each source; of two of one moment the worse, so that their order does not matter.
    pub fn hear(&mut self, signal: Signal) {
        let Signal { at, boot_id, ailment, source, findings, .. } = signal;
        let word = Word { at, ailment: ailment.map(String::into_boxed_str) };
        if source == Source::Agent {
            let (boot_id, findings) = (boot_id.into_boxed_str(), findings.into_boxed_slice());
            let heartbeat = Heartbeat { word, boot_id, findings };
            if self.agent.as_ref().is_none_or(|known| *known < heartbeat) {
                self.agent = Some(heartbeat);
            }
            return;
        }
        let Others(others) = &mut **self.others.get_or_insert_default();
        let place = others.iter().position(|(known, _)| *known == source);
        if let Some(place) = place {
            let known = &mut others[place].1;
            if *known < word {
                *known = word;
            }
        } else if others.len() < MOST_OTHERS {
            others.push((source, word));
        }
    }

    /// The newest signal of a source.
    pub fn newest(&self, vm: &VmId, source: &Source) -> Option<Signal> {
        let of = |word: &Word| {
            let ailment = word.ailment.as_deref().map(str::to_owned);
            Signal::of(source.clone(), vm.clone(), word.at, ailment)
        };
        if *source != Source::Agent {
            return self.word(source).map(of);
        }
        self.agent.as_ref().map(|heartbeat| Signal {
            boot_id: heartbeat.boot_id.to_string(),
            findings: heartbeat.findings.to_vec(),
            ..of(&heartbeat.word)
        })
    }

    /// When a source was last heard.
    pub fn at(&self, source: &Source) -> Option<Time> {
        if *source == Source::Agent {
            return self.agent.as_ref().map(|heartbeat| heartbeat.word.at);
        }
        self.word(source).map(|word| word.at)
    }

    /// Every source that was heard.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let others = self.others.iter().flat_map(|others| &others.0).map(|(source, _)| source);
        self.agent.iter().map(|_| &Source::Agent).chain(others)
    }

    fn word(&self, source: &Source) -> Option<&Word> {
        let mut others = self.others.iter().flat_map(|others| &others.0);
        others.find(|(known, _)| known == source).map(|(_, word)| word)
    }
}
