//! Makes the graph of a block small: tensors that differ from another one by a link only are merged
//! into it.
//!
//! Three rewrites, none of which changes any path from the first tensor to the last, nor which
//! convolutions lie on it:
//! * a tensor reached by one identity link alone *is* its source (pooling, activation);
//! * a tensor whose only reader is an identity link *is* that reader (the activation after a
//!   convolution, the summand of an Add);
//! * a renumbering followed by links is one renumbering (split after shuffle).

use super::layout::Pairs;
use super::trace::compose;
use std::collections::HashSet;
use summit_tables::ConvId;

/// What an edge does to channels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Steps {
    /// Identity link.
    Same,
    /// Renumbering link.
    Pairs(Pairs),
    /// A convolution.
    Conv(ConvId),
}

impl Steps {
    fn then(&self, next: &Self) -> Option<Self> {
        match (self, next) {
            (Self::Same, next) => Some(next.clone()),
            (first, Self::Same) => Some(first.clone()),
            (Self::Pairs(first), Self::Pairs(second)) => Some(Self::Pairs(compose(first, second))),
            _ => None,
        }
    }
}

/// An edge between tensors numbered in topological order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) to: usize,
    pub(super) from: usize,
    pub(super) step: Steps,
}

/// Contracts a graph whose first tensor is 0. Returns the tensors kept (0 first, `last` last) and
/// the edges between them, renumbered and sorted by (to, from).
pub(super) fn contract(tensors: usize, last: usize, edges: Vec<Edge>) -> (Vec<usize>, Vec<Edge>) {
    let mut graph = Contraction::new(tensors, edges);
    for tensor in 1..tensors {
        if tensor != last {
            graph.merge_into_source(tensor);
        }
    }
    for tensor in (1..tensors).rev() {
        if tensor != last {
            graph.merge_into_reader(tensor);
        }
    }
    graph.finish(last)
}

/// Edges by end, kept up to date on both sides; removed edges stay as `None`.
struct Contraction {
    edges: Vec<Option<Edge>>,
    incoming: Vec<Vec<usize>>,
    outgoing: Vec<Vec<usize>>,
}

impl Contraction {
    fn new(tensors: usize, edges: Vec<Edge>) -> Self {
        let mut graph = Self {
            edges: Vec::with_capacity(edges.len()),
            incoming: vec![Vec::new(); tensors],
            outgoing: vec![Vec::new(); tensors],
        };
        // x + x or x * x give the same link twice.
        let mut seen = HashSet::new();
        for edge in edges {
            if seen.insert(edge.clone()) {
                graph.add(edge);
            }
        }
        graph
    }

    fn add(&mut self, edge: Edge) {
        let index = self.edges.len();
        self.incoming[edge.to].push(index);
        self.outgoing[edge.from].push(index);
        self.edges.push(Some(edge));
    }

    /// Live edges among a list, which is cleaned on the way.
    fn live(edges: &[Option<Edge>], list: &mut Vec<usize>) -> Vec<Edge> {
        list.retain(|&index| edges.get(index).is_some_and(Option::is_some));
        list.iter()
            .filter_map(|&index| edges.get(index).cloned().flatten())
            .collect()
    }

    fn ends(&mut self, tensor: usize) -> (Vec<Edge>, Vec<Edge>) {
        (
            Self::live(&self.edges, &mut self.incoming[tensor]),
            Self::live(&self.edges, &mut self.outgoing[tensor]),
        )
    }

    fn remove(&mut self, tensor: usize, incoming: bool) {
        let list = if incoming {
            std::mem::take(&mut self.incoming[tensor])
        } else {
            std::mem::take(&mut self.outgoing[tensor])
        };
        for index in list {
            self.edges[index] = None;
        }
    }

    /// One link in: readers are attached to its source.
    fn merge_into_source(&mut self, tensor: usize) {
        let (incoming, outgoing) = self.ends(tensor);
        let [only] = incoming.as_slice() else {
            return;
        };
        let merged: Option<Vec<Edge>> = outgoing
            .iter()
            .map(|edge| {
                Some(Edge {
                    from: only.from,
                    to: edge.to,
                    step: link_then(&only.step, &edge.step)?,
                })
            })
            .collect();
        if let Some(merged) = merged {
            self.replace(tensor, merged);
        }
    }

    /// One link out: what arrives is attached to its reader.
    fn merge_into_reader(&mut self, tensor: usize) {
        let (incoming, outgoing) = self.ends(tensor);
        let [only] = outgoing.as_slice() else {
            return;
        };
        let merged: Option<Vec<Edge>> = incoming
            .iter()
            .map(|edge| {
                Some(Edge {
                    from: edge.from,
                    to: only.to,
                    step: then_link(&edge.step, &only.step)?,
                })
            })
            .collect();
        if let Some(merged) = merged {
            self.replace(tensor, merged);
        }
    }

    fn replace(&mut self, tensor: usize, merged: Vec<Edge>) {
        self.remove(tensor, true);
        self.remove(tensor, false);
        for edge in merged {
            let (incoming, _) = self.ends(edge.to);
            if !incoming.contains(&edge) {
                self.add(edge);
            }
        }
    }

    fn finish(self, last: usize) -> (Vec<usize>, Vec<Edge>) {
        let live: Vec<Edge> = self.edges.into_iter().flatten().collect();
        let ends = live.iter().flat_map(|edge| [edge.from, edge.to]);
        let mut kept: Vec<usize> = ends
            .filter(|&tensor| tensor != 0 && tensor != last)
            .collect();
        kept.sort_unstable();
        kept.dedup();
        kept.insert(0, 0);
        kept.push(last);
        let place = |tensor: usize| match tensor {
            0 => 0,
            tensor if tensor == last => kept.len() - 1,
            // Every other end of a live edge was kept.
            tensor => kept[1..kept.len() - 1].partition_point(|&other| other < tensor) + 1,
        };
        let mut edges: Vec<Edge> = live
            .iter()
            .map(|edge| Edge {
                to: place(edge.to),
                from: place(edge.from),
                step: edge.step.clone(),
            })
            .collect();
        edges.sort_unstable();
        (kept, edges)
    }
}

/// A link followed by anything: `None` where it does not start with a link, or a renumbering meets
/// a convolution (which reads its own numbering).
fn link_then(first: &Steps, second: &Steps) -> Option<Steps> {
    match first {
        Steps::Conv(_) => None,
        _ => first.then(second),
    }
}

/// Anything followed by a link.
fn then_link(first: &Steps, second: &Steps) -> Option<Steps> {
    match second {
        Steps::Conv(_) => None,
        _ => first.then(second),
    }
}
