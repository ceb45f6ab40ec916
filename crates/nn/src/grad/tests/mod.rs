//! Gradients of every operator against finite differences; of whole networks in [`networks`].

mod networks;

use super::{GradientRule, Request, derive};
use crate::graph::ir::{
    Binary, Conv, Graph, NearestRounding, Op, PadMode, Pool, Reduce, ResizeCoordinates, ResizeMode,
    Tensor, Unary, ValueId,
};
use crate::reference;
use crate::testing::Builder;
use networks::run_fast;
use proptest::prelude::*;

/// A gradient that is a fixed sequence of numbers.
fn seed_of(shape: &[usize]) -> Tensor {
    let data = (0..shape.iter().product::<usize>()).map(|k| ((k * 37) % 19) as f32 / 9.0 - 1.0);
    Tensor {
        shape: shape.to_vec(),
        data: data.collect(),
    }
}

/// Distinct numbers, 0.05 apart and none closer than 0.025 to a multiple of 0.05 (where kinks lie),
/// in a shuffled order.
fn lattice(shape: &[usize], seed: u64, positive: bool) -> Tensor {
    let count: usize = shape.iter().product();
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for k in (1..count).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(k, state as usize % (k + 1));
    }
    let start = if positive { 4 } else { -(count as i64) / 2 };
    let value = |k: usize| (start + k as i64) as f32 * 0.05 + 0.025;
    Tensor {
        shape: shape.to_vec(),
        data: order.into_iter().map(value).collect(),
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}

/// `graph.output` weighted with [`seed_of`].
fn score(graph: &Graph, input: &Tensor) -> f64 {
    let values = reference::run(graph, input).unwrap();
    let output = values[graph.output.index()].as_ref().unwrap();
    dot(&output.data, &seed_of(&output.shape).data)
}

/// Gradients of [`score`] by the naive executor.
fn derived_gradients(
    graph: &Graph,
    input: &Tensor,
    wrt: Vec<ValueId>,
    weights: Vec<ValueId>,
) -> [Vec<Option<Tensor>>; 2] {
    let images = input.shape[0];
    let derived = derive(
        graph,
        &Request {
            from: graph.output,
            masks: images,
            wrt,
            weights,
            scores: vec![],
            keep: vec![],
            rule: GradientRule::Plain,
        },
    )
    .unwrap();
    let seed = seed_of(&graph.values[graph.output.index()].shape);
    let values = reference::run_with(&derived.graph, input, &[seed]).unwrap();
    let find = |ids: Vec<Option<ValueId>>| {
        let found = ids.into_iter().map(|id| values[id?.index()].clone());
        found.collect()
    };
    [find(derived.gradients), find(derived.weights)]
}

/// Compares one gradient with central differences of `score_at`, element by element.
fn check_against_differences(
    label: &str,
    at: &Tensor,
    gradient: &Tensor,
    score_at: impl Fn(&Tensor) -> f64,
) {
    const STEP: f32 = 1.0 / 128.0;
    assert_eq!(gradient.shape, at.shape, "{label}: shape");
    let scale = gradient.data.iter().fold(1.0f32, |m, g| m.max(g.abs()));
    for k in 0..at.data.len() {
        let moved = |by: f32| {
            let mut data = at.data.to_vec();
            data[k] += by;
            score_at(&Tensor {
                shape: at.shape.clone(),
                data: data.into(),
            })
        };
        // Fourth order: the error is that of the float32 outputs.
        let difference = (8.0 * (moved(STEP) - moved(-STEP))
            - (moved(2.0 * STEP) - moved(-2.0 * STEP)))
            / (12.0 * f64::from(STEP));
        let got = f64::from(gradient.data[k]);
        assert!(
            (got - difference).abs() < 2e-3 * f64::from(scale),
            "{label}: element {k}: {got} instead of {difference}"
        );
    }
}

/// Checks the gradients with respect to the input and to a constant operand.
fn check(label: &str, graph: &Graph, input: &Tensor, weights: &[ValueId]) {
    let [inputs, of_weights] = derived_gradients(graph, input, vec![graph.input], weights.to_vec());
    let gradient = inputs[0]
        .as_ref()
        .unwrap_or_else(|| panic!("{label}: no gradient"));
    check_against_differences(label, input, gradient, |moved| score(graph, moved));
    for (&weight, gradient) in weights.iter().zip(of_weights) {
        let constant = graph.values[weight.index()].constant.clone().unwrap();
        check_against_differences(label, &constant, &gradient.unwrap(), |moved| {
            let mut changed = graph.clone();
            changed.values[weight.index()].constant = Some(moved.clone());
            score(&changed, input)
        });
    }
}

/// A graph of one operator on the input, and the constant weights to differentiate too.
fn one(
    shape: [usize; 4],
    build: impl FnOnce(&mut Builder, ValueId) -> (ValueId, Vec<ValueId>),
) -> (Graph, Vec<ValueId>) {
    let mut builder = Builder::new(shape, 5);
    let (output, weights) = build(&mut builder, ValueId(0));
    builder.graph.output = output;
    (builder.graph, weights)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn convolutions(
        batch in 1usize..3, groups in 1usize..4, per_group in 1usize..3, out_per_group in 1usize..3,
        height in 1usize..6, width in 1usize..6, kernel_y in 1usize..4, kernel_x in 1usize..4,
        stride_y in 1usize..4, stride_x in 1usize..3, dilation in 1usize..3,
        pads in prop::array::uniform4(0usize..3), seed in 0u64..1000, transposed: bool,
    ) {
        let conv = Conv { strides: [stride_y, stride_x], pads, dilations: [dilation; 2], groups };
        let shape = [batch, groups * per_group, height, width];
        let reach = |kernel: usize| (kernel - 1) * dilation + 1;
        let (graph, weights) = if transposed {
            let out = |extent: usize, stride: usize, kernel: usize, pads: usize| {
                ((extent - 1) * stride + reach(kernel)).checked_sub(pads).filter(|&out| out > 0)
            };
            let extents = (
                out(height, stride_y, kernel_y, pads[0] + pads[2]),
                out(width, stride_x, kernel_x, pads[1] + pads[3]),
            );
            let (Some(rows), Some(columns)) = extents else { return Ok(()) };
            let extra = [seed as usize % stride_y, seed as usize % stride_x];
            one(shape, |b, x| {
                let dims = [groups * per_group, out_per_group, kernel_y, kernel_x];
                let weight = b.constant(&dims, 1.0, 0.0);
                let out = vec![batch, groups * out_per_group, rows + extra[0], columns + extra[1]];
                (b.node(Op::ConvTranspose(conv), &[x, weight], &[out])[0], vec![weight])
            })
        } else {
            prop_assume!(reach(kernel_y) <= height + pads[0] + pads[2]);
            prop_assume!(reach(kernel_x) <= width + pads[1] + pads[3]);
            one(shape, |b, x| {
                let dims = [groups * out_per_group, per_group, kernel_y, kernel_x];
                let weight = b.constant(&dims, 1.0, 0.0);
                let bias = b.constant(&[groups * out_per_group], 1.0, 0.0);
                (b.node(Op::Conv(conv), &[x, weight, bias], &[])[0], vec![weight])
            })
        };
        check("convolution", &graph, &lattice(&shape, seed, false), &weights);
    }

    #[test]
    fn pooling(
        height in 2usize..7, width in 2usize..7, kernel in prop::array::uniform2(1usize..4),
        strides in prop::array::uniform2(1usize..4), pads in prop::array::uniform4(0usize..2),
        dilation in 1usize..3, ceil: bool, count_include_pad: bool, maximum: bool, seed in 0u64..1000,
    ) {
        let dilation = if maximum { dilation } else { 1 };
        let pool = Pool {
            kernel, strides, pads, dilations: [dilation; 2], count_include_pad,
        };
        // Every window must see the image.
        prop_assume!((0..4).all(|side| pads[side] < kernel[side % 2]));
        let count = |axis: usize, extent: usize| {
            crate::graph::shape::window_count(
                extent, kernel[axis], strides[axis], dilation, [pads[axis], pads[axis + 2]], ceil,
            )
        };
        let (Ok(rows), Ok(columns)) = (count(0, height), count(1, width)) else { return Ok(()) };
        let shape = [2, 2, height, width];
        let (graph, _) = one(shape, |b, x| {
            let op = if maximum { Op::MaxPool(pool) } else { Op::AveragePool(pool) };
            (b.node(op, &[x], &[vec![2, 2, rows, columns]])[0], vec![])
        });
        let input = lattice(&shape, seed, false);
        // A window that lies in the padding alone has no maximum.
        prop_assume!(score(&graph, &input).is_finite());
        check("pooling", &graph, &input, &[]);
    }

    #[test]
    fn products(
        rows in 1usize..4, depth in 1usize..5, columns in 1usize..5, trans_b: bool, offset: bool,
        alpha in 0.5f32..2.0, seed in 0u64..1000,
    ) {
        let shape = [rows, depth, 1, 1];
        let (graph, weights) = one(shape, |b, x| {
            let flat = b.node(Op::Reshape, &[x], &[vec![rows, depth]])[0];
            let dims = if trans_b { [columns, depth] } else { [depth, columns] };
            let weight = b.constant(&dims, 1.0, 0.0);
            let mut inputs = vec![flat, weight];
            if offset {
                inputs.push(b.constant(&[columns], 1.0, 0.0));
            }
            let op = Op::Gemm { alpha, beta: 0.5, trans_a: false, trans_b };
            let output = b.node(op, &inputs, &[])[0];
            (output, inputs[1..].to_vec())
        });
        check("Gemm", &graph, &lattice(&shape, seed, false), &weights);
        let (graph, weights) = one(shape, |b, x| {
            let flat = b.node(Op::Reshape, &[x], &[vec![1, rows, depth]])[0];
            let weight = b.constant(&[depth, columns], 1.0, 0.0);
            let product = b.node(Op::MatMul, &[flat, weight], &[])[0];
            // Both operands depend on the input.
            let turned = b.node(Op::Transpose { perm: vec![0, 2, 1] }, &[product], &[])[0];
            (b.node(Op::MatMul, &[turned, product], &[])[0], vec![weight])
        });
        let small = lattice(&shape, seed, false);
        let small = Tensor { data: small.data.iter().map(|x| x * 0.3).collect(), ..small };
        check("MatMul", &graph, &small, &weights);
        let (graph, _) = one(shape, |b, x| {
            let flat = b.node(Op::Reshape, &[x], &[vec![rows, depth]])[0];
            let weight = b.constant(&[rows, columns], 1.0, 0.0);
            let op = Op::Gemm { alpha, beta: 1.0, trans_a: true, trans_b: false };
            (b.node(op, &[flat, weight], &[])[0], vec![])
        });
        check("transposed Gemm", &graph, &lattice(&shape, seed, false), &[]);
    }
}

#[test]
fn unary_functions() {
    let functions = [
        Unary::Relu,
        Unary::LeakyRelu(0.1),
        Unary::Clip(-0.5, 0.5),
        Unary::Clip(0.0, f32::INFINITY),
        Unary::Sigmoid,
        Unary::HardSigmoid(0.2, 0.5),
        Unary::HardSwish,
        Unary::Erf,
        Unary::Gelu,
        Unary::GeluTanh,
        Unary::Tanh,
        Unary::Exp,
        Unary::Neg,
        Unary::Abs,
        Unary::Elu(0.7),
        Unary::Softplus,
        Unary::Swish,
        Unary::Sqrt,
        Unary::Log,
        Unary::Reciprocal,
    ];
    for function in functions {
        let shape = [1, 3, 4, 5];
        let (graph, _) = one(shape, |b, x| {
            (b.node(Op::Unary(function), &[x], &[])[0], vec![])
        });
        let positive = matches!(function, Unary::Sqrt | Unary::Log | Unary::Reciprocal);
        let input = lattice(&shape, 3, positive);
        check(&format!("{function:?}"), &graph, &input, &[]);
    }
}

#[test]
fn binary_functions_with_broadcasting() {
    let functions = [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Div,
        Binary::Pow,
        Binary::Max,
        Binary::Min,
        Binary::PRelu,
    ];
    for function in functions {
        for own in [
            vec![1, 3, 2, 2],
            vec![1, 3, 1, 1],
            vec![3, 1, 1],
            vec![1],
            vec![2, 2],
        ] {
            let shape = [1, 3, 2, 2];
            let (graph, weights) = one(shape, |b, x| {
                let count: usize = own.iter().product();
                // Off the input's lattice, so that Max and Min have no ties nearby.
                let data = (0..count).map(|k| 0.35 + 0.1 * k as f32).collect();
                let other = b.literal(&own, data);
                (
                    b.node(Op::Binary(function), &[x, other], &[])[0],
                    vec![other],
                )
            });
            let input = lattice(&shape, 11, function == Binary::Pow);
            check(&format!("{function:?} {own:?}"), &graph, &input, &weights);
            if own.len() == 4 && function != Binary::PRelu {
                let (graph, weights) = one(shape, |b, x| {
                    let data = (0..own.iter().product()).map(|k| 0.35 + 0.1 * k as f32);
                    let other = b.literal(&own, data.collect());
                    (
                        b.node(Op::Binary(function), &[other, x], &[])[0],
                        vec![other],
                    )
                });
                let input = lattice(&shape, 12, true);
                check(
                    &format!("{function:?} turned {own:?}"),
                    &graph,
                    &input,
                    &weights,
                );
            }
        }
    }
}

#[test]
fn normalisations_reductions_and_softmax() {
    let shape = [2, 5, 2, 3];
    let mut cases: Vec<(&str, Op, Vec<Vec<usize>>)> = vec![
        (
            "LRN",
            Op::Lrn {
                size: 3,
                alpha: 0.3,
                beta: 0.75,
                bias: 1.0,
            },
            vec![],
        ),
        (
            "LRN, even size",
            Op::Lrn {
                size: 4,
                alpha: 0.3,
                beta: 0.6,
                bias: 2.0,
            },
            vec![],
        ),
        (
            "LayerNormalization",
            Op::LayerNormalization {
                axis: 2,
                epsilon: 1e-3,
            },
            vec![vec![2, 3]],
        ),
        (
            "InstanceNormalization",
            Op::InstanceNormalization { epsilon: 1e-2 },
            vec![vec![5], vec![5]],
        ),
        (
            "BatchNormalization",
            Op::BatchNormalization { epsilon: 1e-3 },
            vec![vec![5]; 4],
        ),
        ("GlobalAveragePool", Op::GlobalAveragePool, vec![]),
        ("GlobalMaxPool", Op::GlobalMaxPool, vec![]),
    ];
    for (first, end) in [(1, 2), (1, 4), (3, 4)] {
        for log in [false, true] {
            cases.push(("Softmax", Op::Softmax { first, end, log }, vec![]));
        }
    }
    for kind in [Reduce::Mean, Reduce::Max, Reduce::Sum] {
        for axes in [vec![2, 3], vec![1], vec![0, 2], vec![0, 1, 2, 3]] {
            for keep_dims in [true, false] {
                let axes = axes.clone();
                cases.push((
                    "Reduce",
                    Op::Reduce {
                        kind,
                        axes,
                        keep_dims,
                    },
                    vec![],
                ));
            }
        }
    }
    for (label, op, parameters) in cases {
        let (graph, _) = one(shape, |b, x| {
            let mut inputs = vec![x];
            for own in &parameters {
                inputs.push(b.constant(own, 0.2, 1.0));
            }
            (b.node(op.clone(), &inputs, &[])[0], vec![])
        });
        check(
            &format!("{label} {op:?}"),
            &graph,
            &lattice(&shape, 7, false),
            &[],
        );
    }
}

#[test]
fn rearrangements() {
    let shape = [1, 4, 3, 4];
    let slice = |starts: [usize; 4], steps: [isize; 4]| Op::Slice {
        starts: starts.to_vec(),
        steps: steps.to_vec(),
    };
    let pad = |mode| Op::Pad {
        before: vec![0, 0, 1, 2],
        after: vec![0, 0, 2, 1],
        mode,
    };
    let resize = |mode, coordinates| Op::Resize {
        scales: vec![1.0, 1.0, 2.0, 1.5],
        mode,
        coordinates,
    };
    let mask = Tensor {
        shape: vec![4, 1, 1],
        data: vec![1.0, 0.0, 0.0, 1.0].into(),
    };
    let gather = Op::Gather {
        axis: 1,
        indices: vec![2, 0, 2],
        indices_shape: vec![3],
    };
    let cases = [
        (Op::Reshape, vec![2, 2, 12]),
        (
            Op::Transpose {
                perm: vec![0, 2, 3, 1],
            },
            vec![1, 3, 4, 4],
        ),
        (slice([0, 1, 0, 0], [1, 1, 1, 1]), vec![1, 2, 3, 4]),
        (slice([0, 3, 0, 3], [1, -2, 1, -1]), vec![1, 2, 2, 3]),
        (gather, vec![1, 3, 3, 4]),
        (pad(PadMode::Constant(0.5)), vec![1, 4, 6, 7]),
        (pad(PadMode::Reflect), vec![1, 4, 6, 7]),
        (pad(PadMode::Edge), vec![1, 4, 6, 7]),
        (
            Op::Pad {
                before: vec![0, -1, -1, 0],
                after: vec![0, 0, 0, -2],
                mode: PadMode::Constant(0.0),
            },
            vec![1, 3, 2, 2],
        ),
        (
            resize(ResizeMode::Linear, ResizeCoordinates::HalfPixel),
            vec![1, 4, 6, 6],
        ),
        (
            resize(ResizeMode::Linear, ResizeCoordinates::AlignCorners),
            vec![1, 4, 6, 6],
        ),
        (
            resize(
                ResizeMode::Nearest(NearestRounding::Floor),
                ResizeCoordinates::Asymmetric,
            ),
            vec![1, 4, 6, 6],
        ),
    ];
    for (op, out) in cases {
        let (graph, _) = one(shape, |b, x| {
            (
                b.node(op.clone(), &[x], std::slice::from_ref(&out))[0],
                vec![],
            )
        });
        check(&format!("{op:?}"), &graph, &lattice(&shape, 9, false), &[]);
    }
    let (graph, _) = one(shape, |b, x| {
        let parts = b.node(
            Op::Split { axis: 1 },
            &[x],
            &[vec![1, 1, 3, 4], vec![1, 3, 3, 4]],
        );
        let joined = b.node(Op::Concat { axis: 1 }, &[parts[1], parts[1], x], &[])[0];
        (joined, vec![])
    });
    check("Split and Concat", &graph, &lattice(&shape, 10, false), &[]);
    let (graph, _) = one(shape, |b, x| {
        let other = b.node(Op::Unary(Unary::Tanh), &[x], &[])[0];
        (b.node(Op::Where { mask }, &[x, other], &[])[0], vec![])
    });
    check("Where", &graph, &lattice(&shape, 10, false), &[]);
    let (graph, _) = one([1, 4, 1, 1], |b, x| {
        (b.node(Op::Expand, &[x], &[vec![1, 4, 2, 3]])[0], vec![])
    });
    check("Expand", &graph, &lattice(&[1, 4, 1, 1], 10, false), &[]);
}

/// Kinks and ties, where differences say nothing: method.md section 3.2.
#[test]
fn kinks_and_ties_follow_the_convention() {
    let gradient = |op: Op, out: Vec<usize>, data: [f32; 4]| -> Vec<f32> {
        let shape = [1, 1, 1, 4];
        let (graph, _) = one(shape, |b, x| (b.node(op, &[x], &[out])[0], vec![]));
        let input = Tensor {
            shape: shape.to_vec(),
            data: data.into(),
        };
        let derived = derive(
            &graph,
            &Request {
                from: graph.output,
                masks: 1,
                wrt: vec![graph.input],
                weights: vec![],
                scores: vec![],
                keep: vec![],
                rule: GradientRule::Plain,
            },
        )
        .unwrap();
        let ones = |shape: &[usize]| Tensor {
            shape: shape.to_vec(),
            data: vec![1.0; shape.iter().product()].into(),
        };
        let seed = ones(&graph.values[graph.output.index()].shape);
        let naive =
            reference::run_with(&derived.graph, &input, std::slice::from_ref(&seed)).unwrap();
        let naive = naive[derived.gradients[0].unwrap().index()]
            .clone()
            .unwrap();
        let fast = run_fast(
            &derived.graph,
            &input,
            &seed,
            &[derived.gradients[0].unwrap()],
            false,
        );
        assert_eq!(fast[0], naive.data.to_vec());
        fast[0].clone()
    };
    let window = |kernel: usize| Pool {
        kernel: [1, kernel],
        strides: [1, 1],
        pads: [0; 4],
        dilations: [1, 1],
        count_include_pad: false,
    };
    let same = vec![1, 1, 1, 4];
    let data = [0.0, -1.0, 6.0, 7.0];
    let relu = gradient(Op::Unary(Unary::Relu), same.clone(), data);
    assert_eq!(relu, [0.0, 0.0, 1.0, 1.0]);
    let clip = gradient(Op::Unary(Unary::Clip(0.0, 6.0)), same, data);
    assert_eq!(clip, [1.0, 0.0, 1.0, 0.0]);
    let ties = [2.0, 2.0, 1.0, 1.0];
    let pooled = gradient(Op::MaxPool(window(2)), vec![1, 1, 1, 3], ties);
    assert_eq!(pooled, [1.0, 1.0, 1.0, 0.0]);
    let all = gradient(Op::MaxPool(window(4)), vec![1, 1, 1, 1], ties);
    assert_eq!(all, [1.0, 0.0, 0.0, 0.0]);
    let global = gradient(Op::GlobalMaxPool, vec![1, 1, 1, 1], [1.0, 3.0, 3.0, 3.0]);
    assert_eq!(global, [0.0, 1.0, 0.0, 0.0]);
}
