//! Places nodes within their rows: few crossings, then short and upright edges.
//!
//! Place in the flow: called once when a graph is built. Rows are fixed (the layers), so this is the
//! second half of Sugiyama's method: barycentre sweeps order each row, keeping the order with the
//! fewest crossings seen; then each row is moved towards its neighbours' weighted mean while nodes
//! stay a unit apart, a least-squares problem that isotonic regression solves exactly.
//!
//! Nodes with a rank keep that order among each other whatever the crossings; only the others move.
//!
//! Deterministic: starts from the given order, ties keep it, no randomness. `O(sweeps x E log E)`.

const ORDER_SWEEPS: usize = 16;
const PLACE_SWEEPS: usize = 12;

/// An edge between consecutive rows, by positions in the rows as given.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowEdge {
    pub(super) lower: usize,
    pub(super) upper: usize,
    pub(super) weight: f64,
}

/// Neighbours of each node of a row: (position in the other row, weight).
type Neighbours = Vec<Vec<(usize, f64)>>;

struct Rows<'a> {
    widths: Vec<usize>,
    /// Per row: the ranks of its nodes.
    ranked: &'a [Vec<Option<u32>>],
    /// `below[r]`: neighbours in row r - 1; empty lists for the first row.
    below: Vec<Neighbours>,
    /// `above[r]`: neighbours in row r + 1; empty lists for the last row.
    above: Vec<Neighbours>,
}

/// Horizontal positions, per row in the given order; at least 1 apart, the leftmost of all at 0,
/// rounded to thousandths.
///
/// * `widths`: nodes of each row, lowest first.
/// * `edges`: element r joins rows r and r + 1; positions must lie within the rows.
/// * `ranked`: per row the ranks of its nodes; `None` for those that may stand anywhere.
pub(super) fn place_rows(
    widths: &[usize],
    edges: &[Vec<RowEdge>],
    ranked: &[Vec<Option<u32>>],
) -> Vec<Vec<f64>> {
    let rows = Rows::new(widths, edges, ranked);
    let order = rows.best_order();
    let mut places = rows.places(&order);
    let leftmost = places
        .iter()
        .flatten()
        .copied()
        .fold(f64::INFINITY, f64::min);
    for place in places.iter_mut().flatten() {
        *place = ((*place - leftmost) * 1000.0).round() / 1000.0;
    }
    places
}

/// Per row: the nodes from left to right in the order with the fewest crossings found; arguments as for
/// [`place_rows`], no ranks.
pub(super) fn order_rows(widths: &[usize], edges: &[Vec<RowEdge>]) -> Vec<Vec<usize>> {
    Rows::new(widths, edges, &[]).best_order()
}

impl<'a> Rows<'a> {
    fn new(widths: &[usize], edges: &[Vec<RowEdge>], ranked: &'a [Vec<Option<u32>>]) -> Self {
        let empty = || {
            widths
                .iter()
                .map(|&width| vec![Vec::new(); width])
                .collect::<Vec<_>>()
        };
        let mut rows = Self {
            widths: widths.to_vec(),
            ranked,
            below: empty(),
            above: empty(),
        };
        for (row, edges) in edges.iter().enumerate() {
            for edge in edges {
                // An edge without weight still pulls a little, so that nothing drifts apart.
                let weight = edge.weight.max(1e-6);
                rows.above[row][edge.lower].push((edge.upper, weight));
                rows.below[row + 1][edge.upper].push((edge.lower, weight));
            }
        }
        rows
    }

    /// Per row: the nodes from left to right.
    fn best_order(&self) -> Vec<Vec<usize>> {
        let mut order: Vec<Vec<usize>> = self.widths.iter().map(|&w| (0..w).collect()).collect();
        for row in 0..order.len() {
            self.keep_ranks(&mut order, row);
        }
        let mut best = order.clone();
        let mut fewest = self.crossings(&order);
        for sweep in 0..ORDER_SWEEPS {
            if sweep % 2 == 0 {
                for row in 1..order.len() {
                    sort_by_barycentre(&mut order, row, row - 1, &self.below[row]);
                    self.keep_ranks(&mut order, row);
                }
            } else {
                for row in (0..order.len().saturating_sub(1)).rev() {
                    sort_by_barycentre(&mut order, row, row + 1, &self.above[row]);
                    self.keep_ranks(&mut order, row);
                }
            }
            let crossings = self.crossings(&order);
            if crossings < fewest {
                fewest = crossings;
                best.clone_from(&order);
            }
        }
        best
    }

    /// Puts the ranked nodes of a row, in their order, into the places that ranked nodes hold.
    fn keep_ranks(&self, order: &mut [Vec<usize>], row: usize) {
        let Some(ranks) = self.ranked.get(row) else {
            return;
        };
        let rank = |node: usize| ranks.get(node).copied().flatten();
        let mut ranked: Vec<usize> = order[row].clone();
        ranked.retain(|&node| rank(node).is_some());
        ranked.sort_by_key(|&node| rank(node));
        let mut next = ranked.into_iter();
        for place in &mut order[row] {
            if rank(*place).is_some() {
                *place = next.next().unwrap_or(*place);
            }
        }
    }

    fn crossings(&self, order: &[Vec<usize>]) -> u64 {
        (1..order.len())
            .map(|row| {
                let lower = ranks(&order[row - 1]);
                // By upper position, then lower: a crossing is an inversion of the lower positions.
                let mut sequence = Vec::new();
                for &node in &order[row] {
                    let start = sequence.len();
                    sequence.extend(self.below[row][node].iter().map(|&(other, _)| lower[other]));
                    sequence[start..].sort_unstable();
                }
                inversions(&sequence, self.widths[row - 1])
            })
            .sum()
    }

    fn places(&self, order: &[Vec<usize>]) -> Vec<Vec<f64>> {
        let mut places: Vec<Vec<f64>> = order
            .iter()
            .map(|row| {
                let centre = (row.len() as f64 - 1.0) / 2.0;
                ranks(row)
                    .into_iter()
                    .map(|rank| rank as f64 - centre)
                    .collect()
            })
            .collect();
        for sweep in 0..PLACE_SWEEPS {
            // One side at a time carries a shift through the whole graph in one sweep; both sides
            // together then settle it.
            let settling = sweep >= PLACE_SWEEPS / 2;
            let upwards = sweep % 2 == 0;
            for step in 0..order.len() {
                let row = if upwards {
                    step
                } else {
                    order.len() - 1 - step
                };
                self.pull(
                    row,
                    (upwards || settling, !upwards || settling),
                    order,
                    &mut places,
                );
            }
        }
        places
    }

    /// Moves a row to its neighbours (below, above), order and unit distances kept.
    fn pull(
        &self,
        row: usize,
        (from_below, from_above): (bool, bool),
        order: &[Vec<usize>],
        places: &mut [Vec<f64>],
    ) {
        let mut sides = Vec::new();
        if from_below && row > 0 {
            sides.push((&self.below[row], &places[row - 1]));
        }
        if from_above && row + 1 < order.len() {
            sides.push((&self.above[row], &places[row + 1]));
        }
        let wanted: Vec<(f64, f64)> = order[row]
            .iter()
            .enumerate()
            .map(|(rank, &node)| {
                // A node without neighbours holds on to its place, weakly.
                let mut total = 1e-3;
                let mut sum = total * places[row][node];
                for (neighbours, other_places) in &sides {
                    for &(other, weight) in &neighbours[node] {
                        sum += weight * other_places[other];
                        total += weight;
                    }
                }
                (sum / total - rank as f64, total)
            })
            .collect();
        for (rank, (place, &node)) in isotonic(&wanted).into_iter().zip(&order[row]).enumerate() {
            places[row][node] = place + rank as f64;
        }
    }
}

fn ranks(order: &[usize]) -> Vec<usize> {
    let mut ranks = vec![0; order.len()];
    for (rank, &node) in order.iter().enumerate() {
        ranks[node] = rank;
    }
    ranks
}

fn sort_by_barycentre(order: &mut [Vec<usize>], row: usize, fixed: usize, neighbours: &Neighbours) {
    let fixed_ranks = ranks(&order[fixed]);
    // Both rows are measured from 0 to 1, so that a node without neighbours keeps its place.
    let scale = |width: usize| 1.0 / (width.max(2) - 1) as f64;
    let fixed_scale = scale(order[fixed].len());
    let own_scale = scale(order[row].len());
    let mut keyed: Vec<(f64, usize)> = order[row]
        .iter()
        .enumerate()
        .map(|(rank, &node)| {
            let list = &neighbours[node];
            if list.is_empty() {
                return (rank as f64 * own_scale, node);
            }
            let sum: f64 = list
                .iter()
                .map(|&(other, _)| fixed_ranks[other] as f64)
                .sum();
            (sum / list.len() as f64 * fixed_scale, node)
        })
        .collect();
    keyed.sort_by(|left, right| left.0.total_cmp(&right.0));
    order[row] = keyed.into_iter().map(|(_, node)| node).collect();
}

/// Pairs out of order, by a Fenwick tree over `0..bound`.
fn inversions(sequence: &[usize], bound: usize) -> u64 {
    let mut tree = vec![0u64; bound + 1];
    let mut inversions = 0;
    for (seen, &value) in sequence.iter().enumerate() {
        let mut not_above = 0;
        let mut index = value + 1;
        while index > 0 {
            not_above += tree[index];
            index &= index - 1;
        }
        inversions += seen as u64 - not_above;
        let mut index = value + 1;
        while index <= bound {
            tree[index] += 1;
            index += index & index.wrapping_neg();
        }
    }
    inversions
}

/// The ascending sequence nearest to `wanted` (value, weight above 0) in the weighted sum of
/// squares, by pooling adjacent violators.
fn isotonic(wanted: &[(f64, f64)]) -> Vec<f64> {
    struct Pool {
        sum: f64,
        weight: f64,
        length: usize,
    }
    let mut pools: Vec<Pool> = Vec::with_capacity(wanted.len());
    for &(value, weight) in wanted {
        let mut last = Pool {
            sum: value * weight,
            weight,
            length: 1,
        };
        while let Some(before) =
            pools.pop_if(|pool| pool.sum / pool.weight > last.sum / last.weight)
        {
            last.sum += before.sum;
            last.weight += before.weight;
            last.length += before.length;
        }
        pools.push(last);
    }
    pools
        .into_iter()
        .flat_map(|pool| std::iter::repeat_n(pool.sum / pool.weight, pool.length))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edge(lower: usize, upper: usize) -> RowEdge {
        RowEdge {
            lower,
            upper,
            weight: 1.0,
        }
    }

    #[test]
    fn crossed_pairs_are_uncrossed() {
        let places = place_rows(&[2, 2], &[vec![edge(0, 1), edge(1, 0)]], &[]);
        assert!(
            (places[0][0] < places[0][1]) == (places[1][1] < places[1][0]),
            "{places:?}"
        );
        assert_eq!(places[0][0], places[1][1], "upright");
    }

    #[test]
    fn a_parent_stands_over_its_children() {
        let places = place_rows(&[3, 1], &[vec![edge(0, 0), edge(1, 0), edge(2, 0)]], &[]);
        assert_eq!(places, [vec![0.0, 1.0, 2.0], vec![1.0]]);
    }

    #[test]
    fn empty_rows_are_no_trouble() {
        assert_eq!(place_rows(&[], &[], &[]), Vec::<Vec<f64>>::new());
        assert_eq!(
            place_rows(&[0, 2, 0], &[vec![], vec![]], &[]),
            [vec![], vec![0.0, 1.0], vec![]]
        );
    }

    proptest! {
        #[test]
        fn inversions_equal_the_pairs(sequence in prop::collection::vec(0usize..9, 0..20)) {
            let mut naive = 0;
            for (position, first) in sequence.iter().enumerate() {
                naive += sequence[position..].iter().filter(|second| first > second).count() as u64;
            }
            prop_assert_eq!(inversions(&sequence, 9), naive);
        }

        /// The minimax formula of isotonic regression.
        #[test]
        fn isotonic_equals_minimax(wanted in prop::collection::vec((-5i32..6, 1u32..4), 1..9)) {
            let wanted: Vec<(f64, f64)> =
                wanted.into_iter().map(|(value, weight)| (f64::from(value), f64::from(weight))).collect();
            let mean = |range: &[(f64, f64)]| {
                range.iter().map(|(value, weight)| value * weight).sum::<f64>()
                    / range.iter().map(|(_, weight)| weight).sum::<f64>()
            };
            for (position, found) in isotonic(&wanted).into_iter().enumerate() {
                let naive = (0..=position)
                    .map(|start| {
                        (position..wanted.len())
                            .map(|end| mean(&wanted[start..=end]))
                            .fold(f64::INFINITY, f64::min)
                    })
                    .fold(f64::NEG_INFINITY, f64::max);
                prop_assert!((found - naive).abs() < 1e-12);
            }
        }

        #[test]
        fn neighbours_keep_their_distance(
            widths in prop::collection::vec(1usize..7, 1..5),
            picks in prop::collection::vec((0usize..4, 0usize..7, 0usize..7), 0..30),
            ranks in prop::collection::vec(prop::option::of(0u32..9), 7),
        ) {
            let mut edges = vec![Vec::new(); widths.len() - 1];
            for (row, lower, upper) in picks {
                if row + 1 < widths.len() {
                    edges[row].push(edge(lower % widths[row], upper % widths[row + 1]));
                }
            }
            let ranked: Vec<Vec<Option<u32>>> = widths
                .iter()
                .map(|&width| (0..width).map(|node| ranks[node]).collect())
                .collect();
            let places = place_rows(&widths, &edges, &ranked);
            prop_assert_eq!(&places, &place_rows(&widths, &edges, &ranked));
            for (row, ranks) in places.iter().zip(&ranked) {
                let mut of_rank: Vec<(u32, f64)> =
                    ranks.iter().zip(row).filter_map(|(rank, x)| Some(((*rank)?, *x))).collect();
                of_rank.sort_by_key(|(rank, _)| *rank);
                for pair in of_rank.windows(2) {
                    prop_assert!(pair[0].0 == pair[1].0 || pair[0].1 < pair[1].1, "{:?}", of_rank);
                }
            }
            for row in places {
                let mut sorted = row.clone();
                sorted.sort_by(f64::total_cmp);
                for pair in sorted.windows(2) {
                    prop_assert!(pair[1] - pair[0] > 0.998, "{:?}", row);
                }
                prop_assert!(sorted.iter().all(|place| *place >= 0.0));
            }
        }
    }
}
