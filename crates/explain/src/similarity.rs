//! Which groups look alike to a layer: cosine of rows of A (docs/method.md section 5).
//!
//! Place in the flow: rows `[channels]` of A go in, similarities and neighbours per layer come out.
//! `O(rows x channels)` for one group; the rows' norms are taken once.

use crate::ActivationCounts;
use serde::Serialize;
use summit_tables::GroupId;

/// Cosine of two rows of A, in `[0, 1]`; `None` where one of them is 0 everywhere: nothing was
/// counted, so nothing can be compared. Products are exact integers, so it depends on no order.
///
/// * `left`, `right`: `[channels]`, u32, images. Beyond the shorter one, counts are 0.
#[must_use]
pub fn cosine(left: &[u32], right: &[u32]) -> Option<f64> {
    let dot = dot(left, right);
    let (left, right) = (dot_self(left), dot_self(right));
    if left == 0 || right == 0 {
        return None;
    }
    // Equal directions give exactly 1: the root is of one product.
    let cosine = dot as f64 / (left as f64 * right as f64).sqrt();
    Some(cosine.clamp(0.0, 1.0))
}

fn dot(left: &[u32], right: &[u32]) -> u128 {
    let products = left
        .iter()
        .zip(right)
        .map(|(&a, &b)| u64::from(a) * u64::from(b));
    products.map(u128::from).sum()
}

fn dot_self(row: &[u32]) -> u128 {
    dot(row, row)
}

/// A group and how like it is to the one asked about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Neighbour {
    /// The group.
    pub group: GroupId,
    /// Cosine of its row of A with the other's, `[0, 1]`.
    pub similarity: f64,
}

/// The groups most like a row, most similar first; ties: lower group. Groups without counts are left
/// out, and so is `except`.
///
/// * `row`: `[channels]`, u32, images.
/// * `limit`: the most returned.
#[must_use]
pub fn neighbours(
    row: &[u32],
    all: &ActivationCounts,
    except: Option<GroupId>,
    limit: usize,
) -> Vec<Neighbour> {
    let mut found: Vec<Neighbour> = (0..all.groups())
        .map(GroupId)
        .filter(|&group| Some(group) != except)
        .filter_map(|group| {
            let similarity = cosine(row, all.group(group))?;
            Some(Neighbour { group, similarity })
        })
        .collect();
    // Stable: equal ones stay by group.
    found.sort_by(|left, right| right.similarity.total_cmp(&left.similarity));
    found.truncate(limit);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cosines() {
        assert_eq!(cosine(&[1, 0], &[0, 1]), Some(0.0));
        assert_eq!(cosine(&[1, 2, 3], &[2, 4, 6]), Some(1.0));
        assert_eq!(cosine(&[0, 0], &[1, 1]), None);
        assert_eq!(cosine(&[], &[]), None);
        assert_eq!(cosine(&[u32::MAX; 3], &[u32::MAX; 3]), Some(1.0));
        assert!((cosine(&[1, 1], &[1, 0]).unwrap() - 0.5f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn neighbours_are_ordered() {
        let rows = [vec![2, 0], vec![1, 1], vec![0, 0], vec![4, 0], vec![0, 3]];
        let all = ActivationCounts::from_rows(2, &rows).unwrap();
        let found = neighbours(&[1, 0], &all, Some(GroupId(0)), 10);
        let groups: Vec<u32> = found.iter().map(|neighbour| neighbour.group.0).collect();
        assert_eq!(groups, [3, 1, 4]);
        assert_eq!(neighbours(&[1, 0], &all, None, 1)[0].group, GroupId(0));
    }

    proptest! {
        #[test]
        fn between_0_and_1_and_symmetric(
            left in prop::collection::vec(0u32..1000, 0..20),
            right in prop::collection::vec(0u32..1000, 0..20),
        ) {
            let found = cosine(&left, &right);
            prop_assert_eq!(found, cosine(&right, &left));
            prop_assert!(found.is_none_or(|value| (0.0..=1.0).contains(&value)));
        }
    }
}
