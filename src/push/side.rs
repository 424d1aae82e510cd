//! Names of side branches: where commits go that cannot go to their own.

use crate::name::BranchName;

/// Digits of the commit's id in the name of its side branch; more where the name is taken.
pub(super) const SIDE_DIGITS: [usize; 3] = [10, 16, 40];

/// What such names begin with.
pub(super) fn prefix_of(branch: &BranchName) -> String {
    format!("{branch}-")
}

/// Whether a branch is, by its name, a side branch of another.
pub(super) fn is_side_of(branch: &BranchName, name: &BranchName) -> bool {
    let digits = name.as_str().strip_prefix(&prefix_of(branch));
    digits.is_some_and(|digits| {
        SIDE_DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    })
}
