//! Bridged conv-max weights between consecutive layers (docs/method.md section 3.1).
//!
//! Place in the flow: per-convolution counts of a group go in, one matrix of weights between the
//! two layers around a block comes out; PageRank and selection walk on it.
//!
//! weight(i -> j) is the maximum over the paths through the block of the minimum of the counts on
//! the path, a max-min product of matrices. Paths are never enumerated: every tensor of the block
//! carries three matrices `[its channels, channels of the lower layer]`, the best path with none,
//! exactly one, and at least two ordinary convolutions, because truncation treats these classes
//! differently. A densely connected block therefore costs its edges, not its paths.
//!
//! Cost per convolution `[outputs, inputs]`: the sum over its entries (j, m) of the entries of row
//! m of its source; memory: the non-zero weights of the tensors of one block.

mod counts;
mod dense;
mod plan;
mod rows;

pub use counts::{CountSum, group_counts};
pub use plan::BridgePlan;

use crate::{Csr, ExplainError};
use dense::{DenseAccumulator, DenseRows};
use plan::Step;
use rows::{RowAccumulator, TensorPaths};
use summit_tables::ConvId;

/// Edges kept where a block has no direct channel to take the number from.
pub const KEEP_WITHOUT_DIRECT: u32 = 16;

/// The most entries of one bridged matrix, and the unit of the work limit.
const MAX_ENTRIES: u64 = 1 << 28;

/// The most max-min steps for one block and group; a real block needs some ten million.
const MAX_STEPS: u64 = 1 << 37;

/// The bridged weights of one block and one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridged {
    /// `[channels of the upper layer, channels of the lower layer]`, u32, images; untruncated.
    pub full: Csr,
    /// As `full`, after truncation of the channels reached by two or more convolutions.
    pub kept: Csr,
    /// Edges kept for each truncated channel.
    pub keep: u32,
    /// Upper channels reached by a path of exactly one ordinary convolution.
    pub direct_channels: u32,
    /// Upper channels reached by a path of two or more convolutions: those truncated.
    pub bridged_channels: u32,
}

impl BridgePlan {
    /// Bridges the counts of one group.
    ///
    /// * `counts`: the group's counts of a convolution, `[outputs, inputs]`, u32, images; asked only
    ///   for the ordinary convolutions of the block.
    /// * `images`: images of the group, the weight of identity and depthwise links.
    ///
    /// # Errors
    /// When counts are missing or of another shape, or the result would exceed the size limits.
    pub fn bridge<'a>(
        &self,
        counts: impl Fn(ConvId) -> Option<&'a Csr>,
        images: u32,
    ) -> Result<Bridged, ExplainError> {
        self.bridge_by(counts, images, true)
    }

    /// As [`Self::bridge`]; `dense_rows` allows the product on dense rows where it pays.
    fn bridge_by<'a>(
        &self,
        counts: impl Fn(ConvId) -> Option<&'a Csr>,
        images: u32,
        dense_rows: bool,
    ) -> Result<Bridged, ExplainError> {
        let lower_channels = self.lower_channels();
        let mut tensors = Vec::with_capacity(self.tensors.len());
        tensors.push(TensorPaths::lower_layer(lower_channels, images)?);
        let mut rows = RowsInWork::new(lower_channels);
        for tensor in 1..self.tensors.len() {
            let sources = self.sources(tensor, &tensors, &counts)?;
            let mut paths = self.tensor_paths(tensor, &sources, &mut rows)?;
            if dense_rows && self.feeds_convolution(tensor) {
                paths.add_dense_copies();
            }
            tensors.push(paths);
        }
        let Some(last) = tensors.pop() else {
            return Err(ExplainError::EmptyBlock { layer: self.layer });
        };
        Ok(self.finish(&last, &mut rows.none))
    }

    fn feeds_convolution(&self, tensor: usize) -> bool {
        self.incoming
            .iter()
            .flatten()
            .any(|edge| edge.from == tensor && matches!(edge.step, Step::Conv { .. }))
    }

    fn tensor_paths(
        &self,
        tensor: usize,
        sources: &[Source<'_>],
        rows: &mut RowsInWork,
    ) -> Result<TensorPaths, ExplainError> {
        let mut paths = TensorPaths::with_columns(self.lower_channels());
        for channel in 0..self.tensors[tensor] {
            // A concatenation's slot, or a pooled tensor: nothing to be joined.
            if let Some((from, input)) = only_link(sources, channel) {
                paths.none.push_copy(&from.none, input);
                paths.one.push_copy(&from.one, input);
                paths.many.push_copy(&from.many, input);
                check_limit("bridged weights", paths.entries(), MAX_ENTRIES)?;
                continue;
            }
            for source in sources {
                match source {
                    Source::Link { from, step } => step.for_each_source(channel, |input| {
                        rows.none.raise(&from.none, input);
                        rows.one.raise(&from.one, input);
                        rows.many.raise(&from.many, input);
                    }),
                    Source::Conv { from, counts } => {
                        for (input, count) in counts.row_entries(channel) {
                            rows.steps += from.row_length(input);
                            rows.one.raise_limited(&from.none, input, count);
                            rows.raise_many(&from.one, from.one_dense.as_ref(), input, count);
                            rows.raise_many(&from.many, from.many_dense.as_ref(), input, count);
                        }
                    }
                }
            }
            rows.drain_into(&mut paths);
            check_limit("bridged weights", paths.entries(), MAX_ENTRIES)?;
            check_limit("bridging", rows.steps, MAX_STEPS)?;
        }
        Ok(paths)
    }

    fn sources<'p, 'a: 'p>(
        &'p self,
        tensor: usize,
        done: &'p [TensorPaths],
        counts: &impl Fn(ConvId) -> Option<&'a Csr>,
    ) -> Result<Vec<Source<'p>>, ExplainError> {
        let mut sources = Vec::new();
        for edge in &self.incoming[tensor] {
            let from = &done[edge.from];
            sources.push(match &edge.step {
                Step::Conv {
                    conv,
                    outputs,
                    inputs,
                } => {
                    let found = counts(*conv);
                    match found {
                        Some(matrix)
                            if matrix.rows() == *outputs && matrix.columns() == *inputs =>
                        {
                            Source::Conv {
                                from,
                                counts: matrix,
                            }
                        }
                        _ => {
                            return Err(ExplainError::CountsMismatch {
                                conv: conv.0,
                                rows: found.map_or(0, Csr::rows),
                                columns: found.map_or(0, Csr::columns),
                            });
                        }
                    }
                }
                step => Source::Link { from, step },
            });
        }
        Ok(sources)
    }

    /// Joins the three classes and truncates (golden reading 2: all edges of a channel together).
    fn finish(&self, last: &TensorPaths, accumulator: &mut RowAccumulator) -> Bridged {
        let channels = self.tensors.last().copied().unwrap_or(0);
        let mut full = Csr::with_columns(self.lower_channels());
        let mut direct_inputs = 0usize;
        for channel in 0..channels {
            let classes = [&last.none, &last.one, &last.many];
            let mut filled = classes
                .into_iter()
                .filter(|matrix| !matrix.row(channel).0.is_empty());
            match (filled.next(), filled.next()) {
                (Some(only), None) => full.push_copy(only, channel),
                _ => {
                    classes
                        .into_iter()
                        .for_each(|matrix| accumulator.raise(matrix, channel));
                    accumulator.drain_into(&mut full);
                }
            }
            direct_inputs += last.one.row(channel).0.len();
        }
        let direct_channels = count_true(&self.direct);
        let keep = match direct_channels {
            0 => KEEP_WITHOUT_DIRECT,
            direct => u32::try_from(direct_inputs / direct as usize)
                .unwrap_or(u32::MAX)
                .max(1),
        };
        Bridged {
            kept: truncate(&full, keep, &self.bridged),
            full,
            keep,
            direct_channels,
            bridged_channels: count_true(&self.bridged),
        }
    }
}

/// The rows of the channel being worked on, and the work done so far.
struct RowsInWork {
    none: RowAccumulator,
    one: RowAccumulator,
    many: RowAccumulator,
    many_dense: DenseAccumulator,
    steps: u64,
}

impl RowsInWork {
    fn new(columns: u32) -> Self {
        Self {
            none: RowAccumulator::new(columns),
            one: RowAccumulator::new(columns),
            many: RowAccumulator::new(columns),
            many_dense: DenseAccumulator::new(columns),
            steps: 0,
        }
    }

    #[inline]
    fn raise_many(&mut self, matrix: &Csr, dense: Option<&DenseRows>, row: u32, limit: u32) {
        match dense {
            Some(dense) => self.many_dense.raise_limited(dense, row, limit),
            None => self.many.raise_limited(matrix, row, limit),
        }
    }

    fn drain_into(&mut self, paths: &mut TensorPaths) {
        let Self {
            none,
            one,
            many,
            many_dense,
            steps: _,
        } = self;
        many_dense.drain(|column, weight| many.raise_one(column, weight));
        none.drain_into(&mut paths.none);
        one.drain_into(&mut paths.one);
        many.drain_into(&mut paths.many);
    }
}

enum Source<'a> {
    Link {
        from: &'a TensorPaths,
        step: &'a Step,
    },
    Conv {
        from: &'a TensorPaths,
        counts: &'a Csr,
    },
}

/// The one source channel of a channel that a single link, and nothing else, leads to.
fn only_link<'a>(sources: &[Source<'a>], channel: u32) -> Option<(&'a TensorPaths, u32)> {
    let mut only = None;
    let mut found = 0;
    for source in sources {
        match source {
            Source::Link { from, step } => step.for_each_source(channel, |input| {
                only = Some((*from, input));
                found += 1;
            }),
            Source::Conv { .. } => return None,
        }
    }
    if found == 1 { only } else { None }
}

/// Keeps the `keep` largest weights (ties: lower column) of the rows marked in `truncated`.
fn truncate(full: &Csr, keep: u32, truncated: &[bool]) -> Csr {
    let mut kept = Csr::with_columns(full.columns());
    let mut row_entries: Vec<(u32, u32)> = Vec::new();
    for row in 0..full.rows() {
        let keep = keep as usize;
        let applies = truncated.get(row as usize).copied().unwrap_or(false);
        if !applies || full.row(row).0.len() <= keep {
            kept.push_copy(full, row);
            continue;
        }
        row_entries.clear();
        row_entries.extend(full.row_entries(row));
        row_entries.select_nth_unstable_by(keep, |left, right| {
            right.1.cmp(&left.1).then(left.0.cmp(&right.0))
        });
        row_entries.truncate(keep);
        row_entries.sort_unstable();
        kept.push_row(row_entries.iter().copied());
    }
    kept
}

fn count_true(flags: &[bool]) -> u32 {
    u32::try_from(flags.iter().filter(|flag| **flag).count()).unwrap_or(u32::MAX)
}

fn check_limit(what: &'static str, cells: u64, limit: u64) -> Result<(), ExplainError> {
    if cells > limit {
        Err(ExplainError::TooLarge { what, cells, limit })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
