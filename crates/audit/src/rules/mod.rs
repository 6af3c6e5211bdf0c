//! The rules, one file each.

mod barred;
mod catch_up;
mod certified;
mod compared;
mod confirmed;
mod moved;
mod on_demand;
mod s1;
mod s10;
mod s2;
mod s3;
mod s4;
mod s5;
mod s6;
mod s7;
mod s8;
mod s9;
mod selected;
mod tallies;

use crate::findings::Findings;
use crate::history::History;

/// Puts every rule to the test.
pub(crate) fn check_all(history: &History<'_>, findings: &mut Findings) {
    s1::check(history, findings);
    s2::check(history, findings);
    catch_up::check(history, findings);
    s3::check(history, findings);
    s4::check(history, findings);
    s5::check(history, findings);
    moved::check(history, findings);
    s6::check(history, findings);
    s7::check(history, findings);
    confirmed::check(history, findings);
    compared::check(history, findings);
    barred::check(history, findings);
    tallies::check(history, findings);
    s8::check(history, findings);
    selected::check(history, findings);
    certified::check(history, findings);
    on_demand::check(history, findings);
    s9::check(history, findings);
    s10::check(history, findings);
}
