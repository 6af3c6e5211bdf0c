//! The auditor's own reading of package masks (rule S8).

use nightshift_domain::selection::Mask;

/// Whether the mask means the package: `*` stands for any characters, also none.
///
/// The classic walk with one step back: after a mismatch the last star takes one character more.
pub(crate) fn means(mask: &Mask, package: &str) -> bool {
    let (mask, name) = (mask.as_str().as_bytes(), package.as_bytes());
    let (mut m, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if mask.get(m) == Some(&b'*') {
            star = Some((m, n));
            m += 1;
        } else if mask.get(m) == name.get(n) {
            (m, n) = (m + 1, n + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (m, n) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    mask[m..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_also_none() {
        for (mask, package, meant) in [
            ("openssl", "openssl", true),
            ("openssl", "openssl3", false),
            ("openssl", "opensl", false),
            ("linux-*", "linux-", true),
            ("linux-*", "linux", false),
            ("*-dev", "a-dev-dev", true),
            ("*-dev", "a-dev-", false),
            ("a*b*c", "abXbc", true),
            ("a*b*c", "acb", false),
            ("ab*ab", "aba", false),
            ("*", "", true),
            ("**", "x", true),
        ] {
            assert_eq!(means(&Mask::new(mask).unwrap(), package), meant, "{mask} {package}");
        }
    }

    proptest::proptest! {
        /// Against the definition: split at the first star, try every length that it could stand for.
        #[test]
        fn it_is_what_the_definition_says(mask in "[ab*]{1,8}", package in "[ab]{0,8}") {
            fn plainly(mask: &[u8], name: &[u8]) -> bool {
                match mask.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => (0..=name.len()).any(|taken| plainly(rest, &name[taken..])),
                    Some((one, rest)) => name.split_first().is_some_and(|(n, tail)| n == one && plainly(rest, tail)),
                }
            }
            let expected = plainly(mask.as_bytes(), package.as_bytes());
            proptest::prop_assert_eq!(means(&Mask::new(mask).unwrap(), &package), expected);
        }
    }
}
