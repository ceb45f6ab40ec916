//! Whole-group influence of every convolution from the gradients of its weights (method.md section
//! 3.2), in the form that conv-max counts have, so that the same bridge and PageRank serve both.
//!
//! Cost: one forward and one backward pass an image, whatever the number of pairs. Memory: all pairs of
//! channels of all convolutions, once and once a thread.

use crate::{InfluenceError, Member, Subject, in_parallel};
use summit_explain::graph::TOTALS_UNIT;
use summit_explain::{Csr, ExplainError};
use summit_nn::flow::Totals;
use summit_nn::layers::BlockConv;

/// Images between two additions to the sums.
const CHUNK: usize = 16;

/// Per convolution `[outputs][inputs]`: the sum over images of `T_i->j`, logits.
pub type GroupTotals = Vec<Vec<f64>>;

/// Sums over the members, in their order.
///
/// # Errors
/// When there are no members, an image cannot be read, or the network cannot be differentiated.
pub fn group_totals(
    subject: &Subject<'_>,
    convs: &[BlockConv],
    name: &str,
    members: &[Member],
) -> Result<GroupTotals, InfluenceError> {
    if members.is_empty() {
        return Err(InfluenceError::NoImages(name.to_owned()));
    }
    let totals = Totals::new(subject.graph, convs)?;
    let mut sessions = subject.workers(|| totals.session());
    let mut sums: GroupTotals = Vec::new();
    for chunk in members.chunks(CHUNK) {
        let found = in_parallel(chunk, &mut sessions, |session, member| {
            let input = subject.input(member.image)?;
            let own = totals.of_image(session, &input, &mut |logits| member.explained.seed(logits));
            own.map_err(|reason| InfluenceError::Run {
                reason,
                image: member.image,
            })
        })?;
        for own in found {
            sums.resize(own.len(), Vec::new());
            for (sums, own) in sums.iter_mut().zip(own) {
                sums.resize(own.len(), 0.0);
                for (sum, value) in sums.iter_mut().zip(own) {
                    *sum += f64::from(value);
                }
            }
        }
    }
    Ok(sums)
}

/// What raises z, as weights `[outputs, inputs]` of each convolution: one factor for all of them makes
/// the largest total [`TOTALS_UNIT`].
///
/// # Errors
/// When a convolution is larger than tables may be.
pub fn as_weights(totals: &GroupTotals, convs: &[BlockConv]) -> Result<Vec<Csr>, ExplainError> {
    let largest = totals.iter().flatten().fold(0.0f64, |a, &b| a.max(b));
    let factor = f64::from(TOTALS_UNIT) / largest.max(f64::MIN_POSITIVE);
    let conv = |(pairs, conv): (&Vec<f64>, &BlockConv)| {
        let (outputs, inputs) = (conv.info.outputs, conv.info.inputs);
        let entries = pairs.iter().enumerate().filter_map(|(position, &total)| {
            let weight = (total * factor).round() as u32;
            let position = u32::try_from(position).ok()?;
            (weight > 0).then_some((position / inputs, position % inputs, weight))
        });
        Csr::from_triplets(outputs, inputs, entries.collect::<Vec<_>>())
    };
    totals.iter().zip(convs).map(conv).collect()
}
