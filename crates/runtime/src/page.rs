//! Pages of long lists. A page begins behind a key, not at a number: whatever comes and goes meanwhile, nothing that stays is
//! left out or shown twice.

use crate::status::invalid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::marker::PhantomData;
use tonic::Status;

/// Bytes of a token that tell whether it is whole.
const CHECK: usize = 8;

/// Which page somebody asks for; `K` is what the list is in the order of.
#[derive(Debug)]
pub struct Page<K> {
    list: &'static str,
    size: usize,
    after: Option<K>,
    keys: PhantomData<K>,
}

impl<K: Serialize + DeserializeOwned + Ord> Page<K> {
    /// The page of this list that a request asks for: at most `most` items, which is also what 0 means.
    ///
    /// # Errors
    /// If the token is damaged, or of another list.
    pub fn of(list: &'static str, most: usize, size: u32, token: &str) -> Result<Self, Status> {
        let size = if size == 0 { most } else { most.min(size as usize) };
        let after = match token.is_empty() {
            true => None,
            false => Some(read(list, token).ok_or_else(|| {
                let shown: String = token.escape_debug().take(80).collect();
                let sentence = format!(
                    "page_token = \"{shown}\": not a `next_page_token` of {list}; begin again without one"
                );
                invalid("page_token", sentence)
            })?),
        };
        Ok(Self { list, size, after, keys: PhantomData })
    }

    /// Behind which item the page begins; at the beginning of the list if absent.
    pub fn after(&self) -> Option<&K> {
        self.after.as_ref()
    }

    /// The items of the page out of all that there are behind [`Page::after`], and the token for the next page: empty if
    /// there is none.
    pub fn cut<T>(&self, items: impl IntoIterator<Item = (K, T)>) -> (Vec<T>, String) {
        let mut items = items.into_iter();
        let (mut page, mut last) = (Vec::new(), None);
        for (key, item) in items.by_ref().take(self.size) {
            page.push(item);
            last = Some(key);
        }
        let more = last.filter(|_| items.next().is_some());
        (page, more.map(|key| write(self.list, &key)).unwrap_or_default())
    }

    /// The same out of the whole list, which is in the order of its keys.
    pub fn find<T>(&self, all: impl IntoIterator<Item = (K, T)>) -> (Vec<T>, String) {
        let behind = |key: &K| self.after.as_ref().is_none_or(|after| key > after);
        self.cut(all.into_iter().skip_while(|(key, _)| !behind(key)))
    }
}

fn check(list: &str, key: &[u8]) -> Vec<u8> {
    let hash = Sha256::new_with_prefix(list).chain_update([0]).chain_update(key).finalize();
    hash.into_iter().take(CHECK).collect()
}

fn write(list: &str, key: &impl Serialize) -> String {
    // Keys are names and numbers: they can always be written.
    let key = serde_json::to_vec(key).unwrap_or_default();
    hex::encode([check(list, &key), key].concat())
}

fn read<K: DeserializeOwned>(list: &str, token: &str) -> Option<K> {
    let bytes = hex::decode(token).ok()?;
    let (sum, key) = bytes.split_at_checked(CHECK)?;
    (sum == check(list, key)).then(|| serde_json::from_slice(key).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tonic_types::StatusExt as _;

    fn page(size: u32, token: &str) -> Page<u32> {
        Page::of("numbers", 100, size, token).unwrap()
    }

    #[test]
    fn what_stays_is_shown_once_whatever_comes_and_goes() {
        let mut there: BTreeSet<u32> = (0..50).map(|n| n * 2).collect();
        let (mut seen, mut token) = (Vec::new(), String::new());
        for round in 0.. {
            let (items, next) = page(7, &token).find(there.iter().map(|n| (*n, *n)));
            seen.extend(items);
            if next.is_empty() {
                break;
            }
            token = next;
            // The item that the page ended with goes, as does one before it; one comes before it, and one behind.
            let last = *seen.last().unwrap();
            for gone in [last, last.saturating_sub(4)] {
                there.remove(&gone);
            }
            there.extend([last.saturating_sub(1), last + 1 + 2 * (round % 2)]);
        }
        let evens: Vec<u32> = seen.iter().copied().filter(|n| n % 2 == 0).collect();
        assert_eq!(evens, (0..50).map(|n| n * 2).collect::<Vec<_>>());
        assert!(seen.is_sorted_by(|a, b| a < b), "nothing twice: {seen:?}");
    }

    #[test]
    fn the_last_page_says_so_and_no_page_is_larger_than_the_most() {
        let all = || (0..200).map(|n| (n, n));
        for size in [0, 100, 101, u32::MAX] {
            assert_eq!(page(size, "").find(all()).0.len(), 100, "{size}");
        }
        let (first, next) = page(100, "").find(all());
        let (second, end) = page(100, &next).find(all());
        assert_eq!((first.len(), second.len(), second[0], end.as_str()), (100, 100, 100, ""));
    }

    #[test]
    fn a_token_that_is_damaged_or_of_another_list_is_refused() {
        let (_, good) = page(3, "").find((0..9).map(|n| (n, n)));
        let mut damaged: Vec<String> = vec!["3".into(), "vm-1".into(), "é".into(), good[2..].into()];
        for place in 0..good.len() {
            let other = if good.as_bytes()[place] == b'0' { "1" } else { "0" };
            damaged.push(format!("{}{other}{}", &good[..place], &good[place + 1..]));
        }
        for token in damaged {
            let status = Page::<u32>::of("numbers", 100, 3, &token).unwrap_err();
            let details = status.get_details_bad_request().unwrap();
            assert_eq!(details.field_violations[0].field, "page_token", "{token}");
        }
        assert!(Page::<u32>::of("others", 100, 3, &good).is_err());
    }
}
