//! conv-max counts of a convolution, summed from (label, prediction) cells into groups.

use crate::{Csr, ExplainError};
use summit_tables::{ConvInfo, ConvMaxCounts, GroupId};

/// The counts of one group: the sum of the cells for which `include(label, prediction)` holds.
///
/// Returns `[outputs, inputs]`, u32, images. `O(E)` for a single cell, `O(E log E)` else.
///
/// # Errors
/// When an entry lies outside the convolution's shape.
pub fn cell_counts(
    counts: &ConvMaxCounts,
    conv: &ConvInfo,
    include: impl Fn(u32, u32) -> bool,
) -> Result<Csr, ExplainError> {
    let triplets = counts
        .entries
        .iter()
        .filter(|entry| include(entry.label, entry.prediction))
        .map(|entry| (entry.output, entry.input, entry.count))
        .collect();
    Csr::from_triplets(conv.outputs, conv.inputs, triplets)
}

/// The counts of all groups at once: element g is `[outputs, inputs]`, u32, images of group g.
///
/// `assign(label, prediction)` is the group of a cell, `None` to leave it out.
///
/// # Errors
/// When an entry lies outside the convolution's shape, or a group is not below `groups`.
pub fn group_counts(
    counts: &ConvMaxCounts,
    conv: &ConvInfo,
    groups: u32,
    assign: impl Fn(u32, u32) -> Option<GroupId>,
) -> Result<Vec<Csr>, ExplainError> {
    let mut by_group: Vec<(GroupId, (u32, u32, u32))> = Vec::with_capacity(counts.entries.len());
    for entry in &counts.entries {
        let Some(group) = assign(entry.label, entry.prediction) else {
            continue;
        };
        if group.0 >= groups {
            return Err(ExplainError::IdOutside {
                what: "group",
                value: group.0,
                limit: groups,
            });
        }
        by_group.push((group, (entry.output, entry.input, entry.count)));
    }
    // Grouping by label leaves the entries in order already.
    if !by_group.is_sorted() {
        by_group.sort_unstable();
    }
    let mut rest = by_group.as_slice();
    let mut result = Vec::new();
    for group in 0..groups {
        let length = rest
            .iter()
            .take_while(|(found, _)| found.0 == group)
            .count();
        let (mine, others) = rest.split_at(length);
        rest = others;
        let triplets = mine.iter().map(|&(_, triplet)| triplet).collect();
        result.push(Csr::from_triplets(conv.outputs, conv.inputs, triplets)?);
    }
    Ok(result)
}
