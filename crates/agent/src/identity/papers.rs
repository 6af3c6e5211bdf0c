//! The machine's keys and certificates, as the store keeps them: each key with its certificate in one document, readable
//! for the agent's own user alone.

use crate::store::{Secrecy, Store, StoreError};
use chrono::{DateTime, Duration, Utc};
use rcgen::KeyPair;
use serde::{Deserialize, Serialize};

const CURRENT: &str = "identity/current.json";
const NEXT: &str = "identity/next.json";

/// A key, and what it was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Papers {
    pub(super) key_pem: String,
    /// The token that was traded for the machine's identity: a new one in the configuration asks to enrol anew.
    pub(super) token: Option<String>,
    pub(super) certificate: Option<Certificate>,
    /// The gateway did not take the certificate when it was shown last.
    #[serde(default)]
    pub(super) rejected: bool,
}

/// A certificate, with its life by this machine's clock: how far that is from the gateway's does not matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Certificate {
    pub(super) pem: String,
    /// Absent if it need not be renewed.
    life: Option<Life>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Life {
    renew_at: DateTime<Utc>,
    ends: DateTime<Utc>,
}

impl Certificate {
    /// One that is good for so long from now on; 0 if it need not be renewed.
    pub(super) fn new(pem: String, lifetime_seconds: u32, now: DateTime<Utc>) -> Self {
        let lifetime = Duration::seconds(lifetime_seconds.into());
        Self { pem, life: (lifetime_seconds > 0).then(|| Life::new(lifetime, now, rand::random())) }
    }

    pub(super) fn renew_at(&self) -> Option<DateTime<Utc>> {
        self.life.as_ref().map(|life| life.renew_at)
    }

    pub(super) fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.life.as_ref().is_some_and(|life| now >= life.ends)
    }
}

impl Life {
    /// To be renewed when half to three quarters of it are over (`random` is from 0 to 1): well before its end, and not by a
    /// whole fleet at once that was enrolled in one hour.
    fn new(lifetime: Duration, now: DateTime<Utc>, random: f64) -> Self {
        let seconds = lifetime.as_seconds_f64() * (0.5 + random.clamp(0.0, 1.0) / 4.0);
        #[allow(clippy::cast_possible_truncation, reason = "less than 2^32")]
        let renew_at = now + Duration::milliseconds((seconds * 1_000.0) as i64);
        Self { renew_at, ends: now + lifetime }
    }
}

/// What the machine has: the papers that it speaks with, and those that are to follow them.
pub(super) struct Wallet<'a> {
    store: &'a Store,
    pub(super) current: Papers,
    next: Option<Papers>,
}

impl<'a> Wallet<'a> {
    /// Opens it; a key is made and kept before anything is asked for with it.
    pub(super) fn open(store: &'a Store) -> Result<Self, StoreError> {
        let current = match read(store, CURRENT)? {
            Some(current) => current,
            None => {
                let new = new_papers(CURRENT)?;
                write(store, CURRENT, &new)?;
                new
            }
        };
        Ok(Self { store, current, next: read(store, NEXT)? })
    }

    /// The papers to connect with.
    pub(super) fn newest(&self) -> &Papers {
        self.next.as_ref().filter(|_| self.has_next()).unwrap_or(&self.current)
    }

    /// Whether there is a certificate that has not proved itself yet.
    pub(super) fn has_next(&self) -> bool {
        self.next.as_ref().is_some_and(|next| next.certificate.is_some())
    }

    pub(super) fn enrolled(&mut self, token: String, certificate: Certificate) -> Result<(), StoreError> {
        self.current = Papers {
            token: Some(token),
            certificate: Some(certificate),
            rejected: false,
            ..self.current.clone()
        };
        write(self.store, CURRENT, &self.current)?;
        self.forget_next()
    }

    /// The key that the next certificate is for; kept before it is asked for.
    pub(super) fn next_key(&mut self) -> Result<String, StoreError> {
        if let Some(next) = &self.next {
            return Ok(next.key_pem.clone());
        }
        let next = Papers { token: self.current.token.clone(), ..new_papers(NEXT)? };
        write(self.store, NEXT, &next)?;
        let key_pem = next.key_pem.clone();
        self.next = Some(next);
        Ok(key_pem)
    }

    pub(super) fn renewed(&mut self, certificate: Certificate) -> Result<(), StoreError> {
        if let Some(next) = &mut self.next {
            next.certificate = Some(certificate);
            write(self.store, NEXT, next)?;
        }
        Ok(())
    }

    /// A power cut between the two lines leaves both the same: the next session proves them once more.
    pub(super) fn proved(&mut self, papers: &Papers) -> Result<(), StoreError> {
        if self.next.as_ref() == Some(papers) {
            write(self.store, CURRENT, papers)?;
            self.current = papers.clone();
            return self.forget_next();
        }
        Ok(())
    }

    /// Goes back to the papers before, or remembers that these need renewing.
    pub(super) fn rejected(&mut self) -> Result<(), StoreError> {
        if self.has_next() {
            return self.forget_next();
        }
        if self.current.certificate.is_some() && !self.current.rejected {
            self.current.rejected = true;
            write(self.store, CURRENT, &self.current)?;
        }
        Ok(())
    }

    fn forget_next(&mut self) -> Result<(), StoreError> {
        self.next = None;
        self.store.remove(NEXT)
    }
}

fn new_papers(name: &str) -> Result<Papers, StoreError> {
    let key = KeyPair::generate().map_err(|error| StoreError::new(name, error))?;
    Ok(Papers { key_pem: key.serialize_pem(), token: None, certificate: None, rejected: false })
}

fn read(store: &Store, name: &str) -> Result<Option<Papers>, StoreError> {
    let Some(bytes) = store.get(name)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| StoreError::new(name, error))
}

fn write(store: &Store, name: &str, papers: &Papers) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec_pretty(papers).map_err(|error| StoreError::new(name, error))?;
    store.put(name, &bytes, Secrecy::Secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(pem: &str) -> Certificate {
        Certificate::new(pem.into(), 3_600, Utc::now())
    }

    fn enrolled(store: &Store) -> Wallet<'_> {
        let mut wallet = Wallet::open(store).unwrap();
        wallet.enrolled("token".into(), certificate("first")).unwrap();
        wallet
    }

    #[test]
    fn the_former_key_is_kept_until_the_new_certificate_proved_itself() {
        let store = Store::in_memory();
        let first = enrolled(&store).current.clone();
        // The agent is killed after each line: what it has is what the store has.
        let key = Wallet::open(&store).unwrap().next_key().unwrap();
        assert_eq!(Wallet::open(&store).unwrap().newest(), &first);
        assert_eq!(Wallet::open(&store).unwrap().next_key().unwrap(), key, "asked again for the same key");
        Wallet::open(&store).unwrap().renewed(certificate("second")).unwrap();
        let second = Wallet::open(&store).unwrap().newest().clone();
        assert_eq!((second.key_pem.as_str(), second.token.as_deref()), (key.as_str(), Some("token")));
        assert_eq!(Wallet::open(&store).unwrap().current, first);
        Wallet::open(&store).unwrap().proved(&second).unwrap();
        let wallet = Wallet::open(&store).unwrap();
        assert_eq!((&wallet.current, wallet.has_next()), (&second, false));
    }

    #[test]
    fn a_new_certificate_that_the_gateway_does_not_take_is_dropped_for_the_one_before() {
        let store = Store::in_memory();
        let mut wallet = enrolled(&store);
        let first = wallet.current.clone();
        wallet.next_key().unwrap();
        wallet.renewed(certificate("second")).unwrap();
        wallet.rejected().unwrap();
        assert_eq!(Wallet::open(&store).unwrap().newest(), &first);
        // Not even that one: it is to be renewed with its key.
        Wallet::open(&store).unwrap().rejected().unwrap();
        let wallet = Wallet::open(&store).unwrap();
        assert!(wallet.current.rejected && !wallet.has_next());
    }

    #[test]
    fn a_fleet_that_was_enrolled_at_once_renews_over_a_quarter_of_the_certificates_life() {
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let life = |random| Life::new(Duration::days(7), now, random);
        assert_eq!(life(0.0).renew_at, now + Duration::hours(84));
        assert_eq!(life(1.0).renew_at, now + Duration::hours(126));
        assert_eq!(life(0.3).ends, now + Duration::days(7));
        assert_eq!(Certificate::new("pem".into(), 0, now).renew_at(), None);
    }
}
