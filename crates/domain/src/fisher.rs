//! Fisher's exact test, one-sided: whether one group fares worse than another by more than chance. The package circuit
//! breaker and the analysis of a rollout both rest on it. It is exact for the smallest counts, which a rollout's first steps
//! have, and asks for no rate of illness to be known.

/// The chance that so many (`bad`) or more of all who are ill fall on the first group, if its difference from the second
/// made none. 1 where one group is empty: nothing can be told.
pub fn chance(bad: u32, good: u32, bad_without: u32, good_without: u32) -> f64 {
    let (with, without) = (bad + good, bad_without + good_without);
    let ill = bad + bad_without;
    let ways = ln_choose(with + without, ill);
    let chance = |k: u32| (ln_choose(with, k) + ln_choose(without, ill - k) - ways).exp();
    (bad..=with.min(ill)).filter(|k| ill - k <= without).map(chance).sum::<f64>().min(1.0)
}

fn ln_choose(n: u32, k: u32) -> f64 {
    (1..=k.min(n - k)).map(|i| (f64::from(n - i + 1) / f64::from(i)).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_tables() {
        // The lady tasting tea: 4 of 4 right by chance is 1 in 70.
        assert!((chance(4, 0, 0, 4) - 1.0 / 70.0).abs() < 1e-12);
        assert!((chance(3, 1, 1, 3) - 17.0 / 70.0).abs() < 1e-12);
        // Nobody was without it: nothing can be told.
        assert!((chance(5, 20, 0, 0) - 1.0).abs() < 1e-12);
        assert!((chance(0, 0, 5, 20) - 1.0).abs() < 1e-12);
    }
}
