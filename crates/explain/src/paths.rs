//! Substructures: the paths through a channel, and paths that many groups' graphs share
//! (docs/method.md section 4).
//!
//! Place in the flow: attribution graphs go in; paths with their weakest edge, or with the groups
//! that have them, come out. Both are bounded: a graph of twelve layers has more paths than anybody
//! reads, so the best few are found without enumerating the rest.

use crate::graph::AttributionGraph;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use summit_tables::ChannelId;

/// A channel of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PathNode {
    /// Index of the layer, input side first.
    pub layer: u32,
    /// The channel.
    pub channel: ChannelId,
}

/// A path through a graph.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GraphPath {
    /// Its nodes, input side first, in consecutive layers.
    pub nodes: Vec<PathNode>,
    /// Index into the graph's classes, where it ends in one.
    pub class: Option<u32>,
    /// Its weakest edge: [`AttributionGraph::edge_weight`].
    pub weakest: f64,
}

/// The paths through a node with the strongest weakest edges, strongest first. A path starts where
/// no drawn edge leads further down and ends where none leads further up, a class included. A node
/// without edges has none.
///
/// * `limit`: the most returned. `O(edges x limit)`.
#[must_use]
pub fn paths_through(graph: &AttributionGraph, node: PathNode, limit: usize) -> Vec<GraphPath> {
    let place = |index: u32| {
        let node = graph.nodes.get(index as usize)?;
        Some(PathNode {
            layer: node.layer,
            channel: node.channel,
        })
    };
    let mut up: BTreeMap<PathNode, Vec<(End, f64)>> = BTreeMap::new();
    let mut down: BTreeMap<PathNode, Vec<(End, f64)>> = BTreeMap::new();
    for edge in &graph.edges {
        if let (Some(from), Some(to)) = (place(edge.from), place(edge.to)) {
            let weight = graph.edge_weight(edge);
            up.entry(from).or_default().push((End::Node(to), weight));
            down.entry(to).or_default().push((End::Node(from), weight));
        }
    }
    for edge in &graph.logit_edges {
        if let Some(from) = place(edge.from) {
            let end = (End::Class(edge.to), graph.edge_weight(edge));
            up.entry(from).or_default().push(end);
        }
    }
    let above = best_from(&up, node, limit);
    let below = best_from(&down, node, limit);
    let mut paths = Vec::new();
    for lower in &below {
        for upper in &above {
            let nodes = lower.ends.iter().rev().filter_map(End::node);
            let nodes = nodes
                .chain([node])
                .chain(upper.ends.iter().filter_map(End::node));
            paths.push(GraphPath {
                nodes: nodes.collect(),
                class: upper.ends.last().and_then(End::class),
                weakest: lower.weakest.min(upper.weakest),
            });
        }
    }
    // A node without edges is no path.
    paths.retain(|path| path.weakest.is_finite());
    paths.sort_by(|left, right| {
        let order = right.weakest.total_cmp(&left.weakest);
        order.then_with(|| (&left.nodes, left.class).cmp(&(&right.nodes, right.class)))
    });
    paths.truncate(limit);
    paths
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Node(PathNode),
    Class(u32),
}

impl End {
    fn node(&self) -> Option<PathNode> {
        match self {
            Self::Node(node) => Some(*node),
            Self::Class(_) => None,
        }
    }

    fn class(&self) -> Option<u32> {
        match self {
            Self::Node(_) => None,
            Self::Class(class) => Some(*class),
        }
    }
}

#[derive(Clone, Debug)]
struct Half {
    ends: Vec<End>,
    weakest: f64,
}

/// The best half paths from a node in one direction: from the layers furthest away inwards, each
/// node keeps its best `limit` only, because a longer path through it is no stronger than they are.
fn best_from(
    next: &BTreeMap<PathNode, Vec<(End, f64)>>,
    start: PathNode,
    limit: usize,
) -> Vec<Half> {
    let mut reached = BTreeSet::from([start]);
    let mut order = vec![start];
    let mut position = 0;
    while let Some(node) = order.get(position).copied() {
        position += 1;
        for (end, _) in next.get(&node).into_iter().flatten() {
            if let End::Node(end) = *end
                && reached.insert(end)
            {
                order.push(end);
            }
        }
    }
    let arrived = Half {
        ends: Vec::new(),
        weakest: f64::INFINITY,
    };
    let mut best: BTreeMap<PathNode, Vec<Half>> = BTreeMap::new();
    // Breadth first went layer by layer, so backwards every successor is done before its node.
    for node in order.into_iter().rev() {
        let mut halves = Vec::new();
        for &(end, weight) in next.get(&node).into_iter().flatten() {
            let onward = end.node().and_then(|end| best.get(&end));
            for half in onward.map_or(std::slice::from_ref(&arrived), Vec::as_slice) {
                let mut ends = vec![end];
                ends.extend(&half.ends);
                halves.push(Half {
                    ends,
                    weakest: weight.min(half.weakest),
                });
            }
        }
        halves.sort_by(|left, right| {
            let order = right.weakest.total_cmp(&left.weakest);
            order.then_with(|| left.ends.cmp(&right.ends))
        });
        halves.truncate(limit);
        if halves.is_empty() {
            halves.push(arrived.clone());
        }
        best.insert(node, halves);
    }
    best.remove(&start).unwrap_or_default()
}

/// A path that several groups' graphs have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FrequentPath {
    /// Its nodes, input side first, in consecutive layers, at least 3.
    pub nodes: Vec<PathNode>,
    /// Positions, in the list of graphs, of those that have all its edges, ascending.
    pub groups: Vec<u32>,
}

/// What [`frequent_paths`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FrequentPaths {
    /// By number of groups, then of nodes, largest first, then by nodes.
    pub paths: Vec<FrequentPath>,
    /// There were more than the limit; those longer than the longest found were not looked for.
    pub truncated: bool,
}

/// Paths of at least 3 nodes in at least `support` graphs. Of paths of the same groups only the
/// longest are kept: a part of a path in no further graph says nothing new.
///
/// * `limit`: the most paths of one length considered, a bound of memory.
///
/// Grows paths edge by edge (Apriori: a path is frequent only if all its edges are), with the
/// groups of each as a set of bits. `O(limit x degree x groups / 64)` per length.
#[must_use]
pub fn frequent_paths(graphs: &[AttributionGraph], support: u32, limit: usize) -> FrequentPaths {
    let support = support.max(1);
    let edges = frequent_edges(graphs, support);
    let mut level: Level = edges
        .iter()
        .map(|(ends, bits)| (ends.to_vec(), (bits.clone(), true)))
        .collect();
    let mut found = FrequentPaths::default();
    while !level.is_empty() {
        let longer = longer_paths(&level, &edges, support, limit);
        found.truncated |= longer.len() == limit;
        // A path whose groups all have a longer one is part of that.
        for (path, (bits, _)) in &longer {
            let parts = [path.get(1..), path.get(..path.len().saturating_sub(1))];
            for part in parts.into_iter().flatten() {
                if let Some((part_bits, closed)) = level.get_mut(part) {
                    *closed &= part_bits != bits;
                }
            }
        }
        let closed = level
            .into_iter()
            .filter(|(path, (_, closed))| path.len() >= 3 && *closed);
        found
            .paths
            .extend(closed.map(|(nodes, (bits, _))| FrequentPath {
                nodes,
                groups: bits.positions(),
            }));
        level = longer;
    }
    found.paths.sort_by(|left, right| {
        let size = |path: &FrequentPath| (path.groups.len(), path.nodes.len());
        size(right)
            .cmp(&size(left))
            .then_with(|| left.nodes.cmp(&right.nodes))
    });
    found
}

/// Edges with the graphs that have them.
type Edges = BTreeMap<[PathNode; 2], Bits>;

/// Paths of one length with the graphs that have them, and whether no longer path has as many.
type Level = BTreeMap<Vec<PathNode>, (Bits, bool)>;

fn frequent_edges(graphs: &[AttributionGraph], support: u32) -> Edges {
    let mut edges = Edges::new();
    for (position, graph) in graphs.iter().enumerate() {
        for edge in &graph.edges {
            let node = |index: u32| graph.nodes.get(index as usize);
            if let (Some(from), Some(to)) = (node(edge.from), node(edge.to)) {
                let ends = [from, to].map(|node| PathNode {
                    layer: node.layer,
                    channel: node.channel,
                });
                let bits = edges.entry(ends).or_insert_with(|| Bits::new(graphs.len()));
                bits.set(position);
            }
        }
    }
    edges.retain(|_, bits| bits.count() >= support);
    edges
}

/// Paths longer by an edge at the top, at most `limit`.
fn longer_paths(level: &Level, edges: &Edges, support: u32, limit: usize) -> Level {
    let mut longer = Level::new();
    for (path, (bits, _)) in level {
        let Some(&last) = path.last() else { continue };
        let onward = edges.range([last, PathNode::FIRST]..);
        for (ends, edge_bits) in onward.take_while(|(ends, _)| ends[0] == last) {
            let both = bits.and(edge_bits);
            if both.count() < support {
                continue;
            }
            if longer.len() == limit {
                return longer;
            }
            let grown = path.iter().copied().chain([ends[1]]).collect();
            longer.insert(grown, (both, true));
        }
    }
    longer
}

impl PathNode {
    /// Before all others in the order.
    const FIRST: Self = Self {
        layer: 0,
        channel: ChannelId(0),
    };
}

/// A set of positions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    fn set(&mut self, position: usize) {
        if let Some(word) = self.0.get_mut(position / 64) {
            *word |= 1 << (position % 64);
        }
    }

    fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    fn positions(&self) -> Vec<u32> {
        let size = self.0.len() as u32 * 64;
        let has = |position: &u32| {
            let word = self.0.get(*position as usize / 64);
            word.is_some_and(|word| word >> (position % 64) & 1 == 1)
        };
        (0..size).filter(has).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::layered;
    use proptest::prelude::*;

    fn node(layer: u32, channel: u32) -> PathNode {
        PathNode {
            layer,
            channel: ChannelId(channel),
        }
    }

    /// All maximal paths through a node, by walking.
    fn naive(graph: &AttributionGraph, through: PathNode) -> Vec<(Vec<PathNode>, f64)> {
        let place = |index: u32| {
            let found = &graph.nodes[index as usize];
            node(found.layer, found.channel.0)
        };
        let starts = graph
            .nodes
            .iter()
            .map(|found| node(found.layer, found.channel.0))
            .filter(|start| !graph.edges.iter().any(|edge| place(edge.to) == *start));
        let mut open: Vec<(Vec<PathNode>, f64)> =
            starts.map(|start| (vec![start], f64::INFINITY)).collect();
        let mut done = Vec::new();
        while let Some((path, weakest)) = open.pop() {
            let last = *path.last().unwrap();
            let mut ended = true;
            for edge in graph.edges.iter().filter(|edge| place(edge.from) == last) {
                ended = false;
                let mut longer = path.clone();
                longer.push(place(edge.to));
                open.push((longer, weakest.min(graph.edge_weight(edge))));
            }
            if ended && path.contains(&through) && path.len() > 1 {
                done.push((path, weakest));
            }
        }
        done.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        done
    }

    proptest! {
        /// The strengths of the best paths are those of all paths, sorted; with room for all, the
        /// paths are the same.
        #[test]
        fn best_paths_equal_all_paths(
            edges in prop::collection::btree_map((0u32..3, 0u32..3, 0u32..3), 1u32..6, 0..20),
            limit in 1usize..6,
        ) {
            let graph = layered(4, 3, &edges);
            for through in [node(1, 0), node(0, 2), node(3, 1)] {
                let expected = naive(&graph, through);
                let all = paths_through(&graph, through, 1000);
                let all: Vec<_> = all.into_iter().map(|path| (path.nodes, path.weakest)).collect();
                prop_assert_eq!(&all, &expected);
                let best = paths_through(&graph, through, limit);
                let strengths: Vec<f64> = best.iter().map(|path| path.weakest).collect();
                let expected: Vec<f64> = expected.iter().take(limit).map(|path| path.1).collect();
                prop_assert_eq!(strengths, expected);
            }
        }

        /// Every frequent path is one, none is part of another of the same groups, and none is missing.
        #[test]
        fn frequent_paths_equal_counting(
            edges in prop::collection::vec(
                prop::collection::btree_map((0u32..3, 0u32..2, 0u32..2), 1u32..2, 0..10), 1..5),
            support in 1u32..4,
        ) {
            let graphs: Vec<_> = edges.iter().map(|edges| layered(4, 2, edges)).collect();
            let found = frequent_paths(&graphs, support, 10_000);
            prop_assert!(!found.truncated);
            let mut counted: BTreeMap<Vec<PathNode>, BTreeSet<u32>> = BTreeMap::new();
            for (position, edges) in (0..).zip(&edges) {
                let has = |path: &[PathNode]| path.windows(2).all(|pair| {
                    edges.contains_key(&(pair[0].layer, pair[0].channel.0, pair[1].channel.0))
                });
                for start in 0..3 {
                    for end in start + 2..4 {
                        for code in 0..1u32 << (end - start + 1) {
                            let path: Vec<PathNode> =
                                (start..=end).map(|l| node(l, code >> (l - start) & 1)).collect();
                            if has(&path) {
                                counted.entry(path).or_default().insert(position);
                            }
                        }
                    }
                }
            }
            counted.retain(|_, groups| groups.len() as u32 >= support);
            let closed: BTreeMap<_, _> = counted.iter().filter(|(path, groups)| {
                !counted.iter().any(|(longer, others)| {
                    longer.len() == path.len() + 1 && others == *groups
                        && longer.windows(path.len()).any(|part| part == path.as_slice())
                })
            }).collect();
            prop_assert_eq!(found.paths.len(), closed.len());
            for path in &found.paths {
                let groups: BTreeSet<u32> = path.groups.iter().copied().collect();
                prop_assert_eq!(closed.get(&path.nodes), Some(&&groups));
            }
        }
    }
}
