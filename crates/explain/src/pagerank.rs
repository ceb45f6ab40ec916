//! Personalised PageRank over the channels of all layers (docs/method.md section 4).
//!
//! Place in the flow: bridged weights (undirected, weighted) and the restart vector go in, one
//! score per channel comes out, on which nodes are selected. Equal to NetworkX's `pagerank` with
//! `personalization`, a start vector of 1 / nodes and dangling mass sent to the restart vector.
//!
//! Cost per round: the edges, each used in both directions from one matrix; memory: four vectors
//! of one f64 per channel.

use crate::{Csr, ExplainError};

/// How PageRank is iterated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageRankParameters {
    /// Share of the mass that follows edges, in `[0, 1)`; the rest restarts.
    pub damping: f64,
    /// The iteration stops when the L1 change falls below this times the number of nodes; above 0.
    pub tolerance: f64,
    /// The most rounds.
    pub max_rounds: u32,
}

impl Default for PageRankParameters {
    fn default() -> Self {
        Self {
            damping: 0.85,
            tolerance: 1e-6,
            max_rounds: 100,
        }
    }
}

/// Scores and how they were reached.
#[derive(Clone, Debug, PartialEq)]
pub struct PageRank {
    /// Per layer `[channels]`, f64, at least 0; all layers together sum to 1.
    pub scores: Vec<Vec<f64>>,
    /// Rounds done.
    pub rounds: u32,
    /// The change fell below the tolerance.
    pub converged: bool,
}

/// The restart weights of a group: each layer's counts over the layer's largest, then all layers
/// together scaled to sum 1.
///
/// * `counts`: per layer `[channels]`, u32, images (a row of A).
///
/// Returns per layer `[channels]`, f64 in `[0, 1]`; all 0 where no image counted anywhere.
#[must_use]
pub fn restart_weights(counts: &[&[u32]]) -> Vec<Vec<f64>> {
    let mut weights: Vec<Vec<f64>> = counts
        .iter()
        .map(|layer| {
            let largest = f64::from(layer.iter().copied().max().unwrap_or(0).max(1));
            layer
                .iter()
                .map(|&count| f64::from(count) / largest)
                .collect()
        })
        .collect();
    let total: f64 = weights.iter().flatten().sum();
    if total > 0.0 {
        weights
            .iter_mut()
            .flatten()
            .for_each(|weight| *weight /= total);
    }
    weights
}

/// Scores every channel.
///
/// * `links`: element l joins layers l and l + 1, `[channels of l + 1, channels of l]`, u32.
/// * `restart`: per layer `[channels]`, f64, at least 0, scaled here to sum 1. Where all are 0, every
///   channel restarts alike.
///
/// # Errors
/// When shapes disagree, a restart weight is negative or not finite, or a parameter is outside its
/// range.
pub fn pagerank(
    links: &[Csr],
    restart: &[Vec<f64>],
    parameters: &PageRankParameters,
) -> Result<PageRank, ExplainError> {
    check_parameters(parameters)?;
    let offsets = layer_offsets(links, restart)?;
    let nodes = offsets.last().copied().unwrap_or(0);
    let restart_flat = normalised_restart(restart, nodes)?;
    let inverse_strength: Vec<f64> = strengths(links, &offsets, nodes)
        .into_iter()
        .map(|strength| if strength > 0.0 { 1.0 / strength } else { 0.0 })
        .collect();

    let mut scores = vec![1.0 / nodes.max(1) as f64; nodes];
    let mut next = vec![0.0; nodes];
    let mut outgoing = vec![0.0; nodes];
    let mut rounds = 0;
    let mut converged = nodes == 0;
    while !converged && rounds < parameters.max_rounds {
        let mut dangling = 0.0;
        for ((out, &score), &inverse) in outgoing.iter_mut().zip(&scores).zip(&inverse_strength) {
            *out = score * inverse;
            if inverse == 0.0 {
                dangling += score;
            }
        }
        next.fill(0.0);
        walk(links, &offsets, &outgoing, &mut next);
        let restarting = parameters.damping * dangling + (1.0 - parameters.damping);
        let mut change = 0.0;
        for ((new, &old), &restart) in next.iter_mut().zip(&scores).zip(&restart_flat) {
            *new = parameters.damping * *new + restarting * restart;
            change += (*new - old).abs();
        }
        std::mem::swap(&mut scores, &mut next);
        rounds += 1;
        converged = change < parameters.tolerance * nodes as f64;
    }
    let per_layer = offsets
        .windows(2)
        .map(|bounds| scores[bounds[0]..bounds[1]].to_vec())
        .collect();
    Ok(PageRank {
        scores: per_layer,
        rounds,
        converged,
    })
}

/// One step of the walk along all edges, both ways.
fn walk(links: &[Csr], offsets: &[usize], outgoing: &[f64], next: &mut [f64]) {
    for (link, bounds) in links.iter().zip(offsets.windows(3)) {
        let (lower_next, upper_next) =
            next[bounds[0]..bounds[2]].split_at_mut(bounds[1] - bounds[0]);
        let lower_out = &outgoing[bounds[0]..bounds[1]];
        let upper_out = &outgoing[bounds[1]..bounds[2]];
        for (row, (gathered, &sent)) in upper_next.iter_mut().zip(upper_out).enumerate() {
            let (columns, weights) = link.row(row as u32);
            let mut sum = 0.0;
            for (&column, &weight) in columns.iter().zip(weights) {
                let weight = f64::from(weight);
                sum += weight * lower_out[column as usize];
                lower_next[column as usize] += weight * sent;
            }
            *gathered += sum;
        }
    }
}

/// Sum of the weights at each node; integers, hence exact.
fn strengths(links: &[Csr], offsets: &[usize], nodes: usize) -> Vec<f64> {
    let mut strength = vec![0.0; nodes];
    for (link, bounds) in links.iter().zip(offsets.windows(3)) {
        for row in 0..link.rows() {
            for (column, weight) in link.row_entries(row) {
                strength[bounds[0] + column as usize] += f64::from(weight);
                strength[bounds[1] + row as usize] += f64::from(weight);
            }
        }
    }
    strength
}

/// First node of each layer, and the number of nodes last.
fn layer_offsets(links: &[Csr], restart: &[Vec<f64>]) -> Result<Vec<usize>, ExplainError> {
    check_links(links, restart.iter().map(Vec::len))?;
    let mut offsets = vec![0];
    let mut total = 0;
    for layer in restart {
        total += layer.len();
        offsets.push(total);
    }
    Ok(offsets)
}

/// Checks that there is one link between each two consecutive layers, of their shapes.
pub(crate) fn check_links(
    links: &[Csr],
    channels: impl ExactSizeIterator<Item = usize>,
) -> Result<(), ExplainError> {
    let layers = channels.len();
    if links.len() + 1 != layers.max(1) {
        return Err(ExplainError::ShapeMismatch {
            what: "the list of links between layers",
            found: links.len(),
            expected: layers.saturating_sub(1),
            layer: layers,
        });
    }
    for (layer, width) in channels.enumerate() {
        let sides = [
            (
                "the row side of a link",
                layer.checked_sub(1).map(|below| links[below].rows()),
            ),
            (
                "the column side of a link",
                links.get(layer).map(Csr::columns),
            ),
        ];
        for (what, side) in sides {
            if let Some(found) = side
                && found as usize != width
            {
                return Err(ExplainError::ShapeMismatch {
                    what,
                    found: found as usize,
                    expected: width,
                    layer,
                });
            }
        }
    }
    Ok(())
}

fn normalised_restart(restart: &[Vec<f64>], nodes: usize) -> Result<Vec<f64>, ExplainError> {
    for (layer, weights) in restart.iter().enumerate() {
        for (channel, &weight) in weights.iter().enumerate() {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(ExplainError::InvalidRestart {
                    weight,
                    channel,
                    layer,
                });
            }
        }
    }
    // Scaled by the largest first, so that the sum of huge weights stays finite.
    let largest = restart.iter().flatten().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return Ok(vec![1.0 / nodes.max(1) as f64; nodes]);
    }
    let total: f64 = restart
        .iter()
        .flatten()
        .map(|weight| weight / largest)
        .sum();
    Ok(restart
        .iter()
        .flatten()
        .map(|weight| weight / largest / total)
        .collect())
}

fn check_parameters(parameters: &PageRankParameters) -> Result<(), ExplainError> {
    let PageRankParameters {
        damping,
        tolerance,
        max_rounds: _,
    } = *parameters;
    if !(0.0..1.0).contains(&damping) {
        return Err(ExplainError::ParameterOutside {
            name: "damping",
            value: damping,
            range: "[0, 1)",
        });
    }
    if !(tolerance.is_finite() && tolerance > 0.0) {
        return Err(ExplainError::ParameterOutside {
            name: "the tolerance of PageRank",
            value: tolerance,
            range: "(0, infinity)",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// NetworkX's iteration on the dense transition matrix.
    fn dense(links: &[Csr], restart: &[Vec<f64>], rounds: u32) -> Vec<f64> {
        let offsets = layer_offsets(links, restart).unwrap();
        let nodes = *offsets.last().unwrap();
        let mut matrix = vec![vec![0.0; nodes]; nodes];
        for (layer, link) in links.iter().enumerate() {
            for row in 0..link.rows() {
                for (column, weight) in link.row_entries(row) {
                    let (a, b) = (
                        offsets[layer] + column as usize,
                        offsets[layer + 1] + row as usize,
                    );
                    matrix[a][b] = f64::from(weight);
                    matrix[b][a] = f64::from(weight);
                }
            }
        }
        let flat: Vec<f64> = restart.iter().flatten().copied().collect();
        let total: f64 = flat.iter().sum();
        let restart: Vec<f64> = flat
            .iter()
            .map(|weight| {
                if total > 0.0 {
                    weight / total
                } else {
                    1.0 / nodes as f64
                }
            })
            .collect();
        let mut x = vec![1.0 / nodes as f64; nodes];
        for _ in 0..rounds {
            let mut next = vec![0.0; nodes];
            for (a, row) in matrix.iter().enumerate() {
                let strength: f64 = row.iter().sum();
                for b in 0..nodes {
                    let share = if strength > 0.0 {
                        row[b] / strength
                    } else {
                        restart[b]
                    };
                    next[b] += 0.85 * x[a] * share;
                }
            }
            (0..nodes).for_each(|b| next[b] += 0.15 * restart[b]);
            x = next;
        }
        x
    }

    proptest! {
        #[test]
        fn equals_the_dense_iteration(
            widths in prop::collection::vec(1u32..6, 1..5),
            weights in prop::collection::vec(0u32..5, 128),
            restart in prop::collection::vec(0u32..3, 32),
        ) {
            let mut weights = weights.into_iter().cycle();
            let mut restarts = restart.into_iter().cycle();
            let links: Vec<Csr> = widths
                .windows(2)
                .map(|pair| {
                    let triplets = (0..pair[1])
                        .flat_map(|row| (0..pair[0]).map(move |column| (row, column)))
                        .map(|(row, column)| (row, column, weights.next().unwrap()))
                        .collect();
                    Csr::from_triplets(pair[1], pair[0], triplets).unwrap()
                })
                .collect();
            let restart: Vec<Vec<f64>> = widths
                .iter()
                .map(|&width| (0..width).map(|_| f64::from(restarts.next().unwrap())).collect())
                .collect();
            let found = pagerank(&links, &restart, &PageRankParameters::default()).unwrap();
            let expected = dense(&links, &restart, found.rounds);
            let flat: Vec<f64> = found.scores.into_iter().flatten().collect();
            prop_assert!((flat.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for (found, expected) in flat.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-13, "{} {}", found, expected);
            }
        }
    }

    #[test]
    fn degenerate_input_gives_numbers() {
        let parameters = PageRankParameters::default();
        assert!(pagerank(&[], &[], &parameters).unwrap().scores.is_empty());
        let lonely = pagerank(&[], &[vec![0.0; 4]], &parameters).unwrap();
        assert_eq!(lonely.scores, [[0.25; 4]]);
        let no_edges = pagerank(
            &[Csr::empty(1, 2).unwrap()],
            &[vec![0.0, 1.0], vec![0.0]],
            &parameters,
        );
        assert_eq!(no_edges.unwrap().scores.concat(), [0.0, 1.0, 0.0]);
        let huge = pagerank(&[], &[vec![f64::MAX, f64::MAX]], &parameters).unwrap();
        assert_eq!(huge.scores, [[0.5, 0.5]]);
    }

    #[test]
    fn bad_input_is_refused() {
        let parameters = PageRankParameters::default();
        for weight in [f64::NAN, -1.0, f64::INFINITY] {
            assert!(
                pagerank(&[], &[vec![weight]], &parameters).is_err(),
                "{weight}"
            );
        }
        assert!(pagerank(&[], &[vec![1.0], vec![1.0]], &parameters).is_err());
        assert!(pagerank(&[Csr::empty(1, 1).unwrap()], &[vec![1.0]], &parameters).is_err());
        let wrong = [Csr::empty(2, 1).unwrap()];
        assert!(pagerank(&wrong, &[vec![1.0], vec![1.0]], &parameters).is_err());
        let damping = PageRankParameters {
            damping: 1.0,
            ..parameters
        };
        assert!(pagerank(&[], &[vec![1.0]], &damping).is_err());
    }
}
