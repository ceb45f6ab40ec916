//! Gradients of networks against the naive executor, against separate runs, and against what they
//! must add up to.

use super::{dot, lattice, one, score, seed_of};
use crate::exec::{CompileOptions, Hooks, Network, TensorView};
use crate::grad::{GradientRule, Request, between, derive};
use crate::graph::ir::{Binary, Conv, Graph, Op, Pool, Tensor, Unary, ValueId};
use crate::reference;
use crate::testing::{Builder, random_graph};
use proptest::prelude::*;

/// Feeds one gradient, records what it observes.
struct Fed<'a> {
    seed: &'a [f32],
    wanted: &'a [ValueId],
    found: Vec<Vec<f32>>,
}

impl Hooks for Fed<'_> {
    fn observe(&mut self, value: ValueId, view: TensorView<'_>) {
        for (index, &wanted) in self.wanted.iter().enumerate() {
            if wanted == value {
                self.found[index] = view.to_vec();
            }
        }
    }

    fn feed(&mut self, _: ValueId, data: &mut [f32]) {
        data.copy_from_slice(self.seed);
    }
}

/// Runs a derived graph on the executor, twice, so that what the first run leaves in the arena can
/// do its harm.
pub(super) fn run_fast(
    graph: &Graph,
    input: &Tensor,
    seed: &Tensor,
    wanted: &[ValueId],
    portable: bool,
) -> Vec<Vec<f32>> {
    let options = CompileOptions {
        observed: wanted.to_vec(),
        portable,
    };
    let network = Network::compile(graph, &options).unwrap();
    let mut session = network.session();
    let mut fed = Fed {
        seed: &seed.data,
        wanted,
        found: vec![Vec::new(); wanted.len()],
    };
    for _ in 0..2 {
        session.run_with(&input.data, &mut fed).unwrap();
    }
    fed.found
}

fn close(label: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{label}");
    let scale = expected.iter().fold(1e-6f32, |m, x| m.max(x.abs()));
    for (k, (&a, &b)) in got.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= 2e-4 * scale,
            "{label}: element {k}: {a} instead of {b}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn random_networks_agree_with_the_naive_executor(
        size in 5usize..14, channels in 1usize..20, seed in 0u64..10_000,
        choices in prop::collection::vec((any::<u8>(), any::<u8>()), 1..9),
    ) {
        let shape = [1, channels, size, size + 1];
        let graph = random_graph(shape, seed, &choices);
        let input = lattice(&shape, seed, false);
        let scale = input.data.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        // Off zero on average, or global means would be rounding alone.
        let input = Tensor { data: input.data.iter().map(|x| x / scale + 0.1).collect(), ..input };
        let weights: Vec<ValueId> = graph
            .nodes
            .iter()
            .filter(|node| matches!(node.op, Op::Conv(_) | Op::Gemm { .. } | Op::MatMul))
            .map(|node| node.inputs[1])
            .collect();
        let derived = derive(&graph, &Request {
            from: graph.output, masks: 1, wrt: vec![graph.input], weights, scores: vec![], keep: vec![], rule: GradientRule::Plain,
        }).unwrap();
        let mut wanted: Vec<ValueId> = derived.gradients.iter().flatten().copied().collect();
        wanted.extend(derived.weights.iter().flatten());
        let seed = seed_of(&graph.values[graph.output.index()].shape);
        let naive = reference::run_with(&derived.graph, &input, std::slice::from_ref(&seed)).unwrap();
        for portable in [false, true] {
            let fast = run_fast(&derived.graph, &input, &seed, &wanted, portable);
            for (&id, found) in wanted.iter().zip(&fast) {
                let expected = naive[id.index()].as_ref().unwrap();
                // A kink that rounding decides differently moves single elements.
                let scale = expected.data.iter().fold(1e-6f32, |m, x| m.max(x.abs()));
                let off = found.iter().zip(&*expected.data).filter(|(a, b)| (*a - *b).abs() > 2e-4 * scale).count();
                prop_assert!(off * 50 <= found.len(), "{} of {} differ in {:?}", off, found.len(), graph.nodes.iter().map(|n| &n.op).collect::<Vec<_>>());
            }
        }
    }
}

/// Several gradients of one image in one run equal as many runs.
#[test]
fn masks_equal_separate_runs() {
    for choices in [
        vec![(1, 0), (8, 0), (14, 0), (18, 0), (4, 0), (16, 0), (17, 0)],
        vec![
            (0, 0),
            (10, 0),
            (8, 0),
            (2, 0),
            (11, 0),
            (13, 0),
            (20, 0),
            (19, 0),
            (15, 0),
        ],
    ] {
        let shape = [1, 16, 9, 8];
        let graph = random_graph(shape, 3, &choices);
        let input = lattice(&shape, 3, false);
        let input = Tensor {
            data: input.data.iter().map(|x| x * 0.01).collect(),
            ..input
        };
        let request = |masks: usize| Request {
            from: graph.output,
            masks,
            wrt: vec![graph.input],
            weights: vec![],
            scores: vec![],
            keep: vec![],
            rule: GradientRule::Plain,
        };
        let many = derive(&graph, &request(10)).unwrap();
        let identity = Tensor {
            shape: vec![10, 10],
            data: (0..100).map(|k| f32::from(u8::from(k % 11 == 0))).collect(),
        };
        let wanted = [many.gradients[0].unwrap()];
        let together = &run_fast(&many.graph, &input, &identity, &wanted, false)[0];
        let naive =
            reference::run_with(&many.graph, &input, std::slice::from_ref(&identity)).unwrap();
        close(
            "naive",
            together,
            &naive[wanted[0].index()].as_ref().unwrap().data,
        );
        let single = derive(&graph, &request(1)).unwrap();
        let wanted = [single.gradients[0].unwrap()];
        let elements = input.data.len();
        for class in 0..10 {
            let seed = Tensor {
                shape: vec![1, 10],
                data: identity.data[class * 10..(class + 1) * 10].into(),
            };
            let alone = &run_fast(&single.graph, &input, &seed, &wanted, false)[0];
            close(
                "alone",
                &together[class * elements..(class + 1) * elements],
                alone,
            );
        }
    }
}

/// A part of a network between two values computes what the whole does.
#[test]
fn parts_compute_what_the_whole_computes() {
    let shape = [1, 6, 8, 8];
    let graph = random_graph(shape, 4, &[(1, 0), (8, 0), (2, 0), (8, 0), (13, 0)]);
    let input = lattice(&shape, 4, false);
    let whole = reference::run(&graph, &input).unwrap();
    let relu = graph
        .nodes
        .iter()
        .find(|node| matches!(node.op, Op::Unary(Unary::Relu)))
        .unwrap();
    let middle = relu.outputs[0];
    let (part, _) = between(&graph, middle, graph.output, &[]).unwrap();
    let values = reference::run(&part, whole[middle.index()].as_ref().unwrap()).unwrap();
    assert_eq!(
        values[part.output.index()],
        whole[graph.output.index()],
        "the rest of the network"
    );
    assert!(part.nodes.len() < graph.nodes.len());
    // What a skip passes by is no place to begin.
    let (skip, inner) = one(shape, |b, x| {
        let inner = b.node(Op::Unary(Unary::Tanh), &[x], &[])[0];
        (
            b.node(Op::Binary(Binary::Add), &[x, inner], &[])[0],
            vec![inner],
        )
    });
    assert!(between(&skip, inner[0], skip.output, &[]).is_err());
}

/// Without biases nothing is lost on the way: relevances of the input add up to the output, for
/// every rule, through convolutions, pooling, gates and smooth functions.
#[test]
fn relevance_is_conserved() {
    let shape = [1, 3, 9, 8];
    let (graph, _) = one(shape, |b, x| {
        let conv = |b: &mut Builder, x: ValueId, outputs: usize| {
            let channels = b.shape(x)[1];
            let weight = b.constant(&[outputs, channels, 3, 3], 0.4, 0.0);
            let conv = Conv {
                strides: [1, 1],
                pads: [1; 4],
                dilations: [1, 1],
                groups: 1,
            };
            b.node(Op::Conv(conv), &[x, weight], &[])[0]
        };
        let x = conv(b, x, 8);
        let x = b.node(Op::Unary(Unary::Relu), &[x], &[])[0];
        let y = conv(b, x, 8);
        let y = b.node(Op::Unary(Unary::Swish), &[y], &[])[0];
        let pooled = b.node(Op::GlobalAveragePool, &[y], &[])[0];
        let gate = b.node(Op::Unary(Unary::Sigmoid), &[pooled], &[])[0];
        let y = b.node(Op::Binary(Binary::Mul), &[y, gate], &[])[0];
        let x = b.node(Op::Binary(Binary::Add), &[x, y], &[])[0];
        let window = Pool {
            kernel: [2, 2],
            strides: [2, 2],
            pads: [0; 4],
            dilations: [1, 1],
            count_include_pad: false,
        };
        let x = b.node(Op::MaxPool(window), &[x], &[vec![1, 8, 4, 4]])[0];
        let x = conv(b, x, 6);
        let x = b.node(Op::Unary(Unary::Relu), &[x], &[])[0];
        let x = b.node(Op::GlobalAveragePool, &[x], &[])[0];
        let x = b.node(Op::Reshape, &[x], &[vec![1, 6]])[0];
        let weight = b.constant(&[4, 6], 1.0, 0.0);
        let gemm = Op::Gemm {
            alpha: 1.0,
            beta: 1.0,
            trans_a: false,
            trans_b: true,
        };
        (b.node(gemm, &[x, weight], &[])[0], vec![])
    });
    let input = lattice(&shape, 2, false);
    let total = score(&graph, &input);
    let mut gradients = Vec::new();
    for rule in [
        GradientRule::LrpEpsilon { epsilon: 1e-6 },
        GradientRule::LrpGamma {
            gamma: 0.25,
            epsilon: 1e-6,
        },
    ] {
        let derived = derive(
            &graph,
            &Request {
                wrt: vec![graph.input],
                rule,
                ..Request::new(graph.output, 1)
            },
        )
        .unwrap();
        let seed = seed_of(&graph.values[graph.output.index()].shape);
        let wanted = [derived.gradients[0].unwrap()];
        let found = run_fast(&derived.graph, &input, &seed, &wanted, false).concat();
        let relevance = dot(&found, &input.data);
        assert!(
            (relevance - total).abs() < 1e-3 * total.abs(),
            "{rule:?}: {relevance} of {total}"
        );
        gradients.push(found);
    }
    assert_ne!(gradients[0], gradients[1], "the rules differ");
}
