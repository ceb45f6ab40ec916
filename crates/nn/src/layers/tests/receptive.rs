//! Receptive fields: known networks by hand, random ones against sets of pixels.

use super::build::{Net, Window};
use crate::graph::ir::{Binary, PadMode, ResizeCoordinates};
use crate::graph::ir::{Graph, NearestRounding, Op, ResizeMode, Unary, ValueId};
use crate::layers::{PixelRectangle, ReceptiveField, layers_from_names};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn field(graph: &Graph, name: &str) -> ReceptiveField {
    let layers = layers_from_names(graph, &[name.to_owned()]).unwrap();
    ReceptiveField::of_layer(&layers[0].info)
}

#[test]
fn known_fields() {
    let mut net = Net::new(3, 32);
    let x = net.conv("conv1", net.input(), 4, Window(7, 2, 3));
    let x = net.max_pool("pool", x, Window(3, 2, 1));
    let a = net.conv("a", x, 4, Window(3, 1, 1));
    let b = net.conv("b", x, 4, Window(1, 1, 0));
    let x = net.add("sum", a, b);
    let gate = net.global_pool("gap", x);
    let gate = net.unary("gate", Unary::Sigmoid, gate);
    let y = net.binary("gated", Binary::Mul, x, gate);
    let graph = net.classifier(y, 2);
    let square = |stride: f64, size: u32, start: f64| ReceptiveField {
        stride: [stride; 2],
        size: [size; 2],
        start: [start; 2],
    };
    // k = 7 at stride 2, then 2 more at jump 2, then 2 more at jump 4.
    assert_eq!(field(&graph, "conv1"), square(2.0, 7, -3.0));
    assert_eq!(field(&graph, "pool"), square(4.0, 11, -5.0));
    assert_eq!(field(&graph, "b"), square(4.0, 11, -5.0));
    assert_eq!(field(&graph, "sum"), square(4.0, 19, -9.0));
    assert_eq!(field(&graph, "gap"), square(0.0, 32, 0.0));
    // The gate shows every unit the whole input; the map keeps its stride.
    let gated = field(&graph, "gated");
    assert_eq!(gated.stride, [4.0; 2]);
    let everything = PixelRectangle {
        top: 0,
        left: 0,
        height: 32,
        width: 32,
    };
    for unit in [[0, 0], [7, 7], [3, 5]] {
        assert_eq!(gated.input_rectangle(unit, [32, 32]), everything);
    }
}

#[test]
fn rectangles_are_clipped_and_never_empty() {
    let field = ReceptiveField {
        stride: [4.0, 4.0],
        size: [11, 3],
        start: [-5.0, 30.5],
    };
    let rectangle = |unit| field.input_rectangle(unit, [32, 32]);
    assert_eq!(
        rectangle([0, 0]),
        PixelRectangle {
            top: 0,
            left: 30,
            height: 6,
            width: 2
        }
    );
    assert_eq!(
        rectangle([2, 0]),
        PixelRectangle {
            top: 3,
            left: 30,
            height: 11,
            width: 2
        }
    );
    assert_eq!(
        rectangle([7, 9]),
        PixelRectangle {
            top: 23,
            left: 31,
            height: 9,
            width: 1
        }
    );
    let far = ReceptiveField {
        start: [1e300, f64::NEG_INFINITY],
        ..field
    };
    assert_eq!(
        far.input_rectangle([9, 9], [32, 32]),
        PixelRectangle {
            top: 31,
            left: 0,
            height: 1,
            width: 1
        }
    );
}

#[test]
fn upsampling_halves_the_stride() {
    for (mode, size) in [
        (ResizeMode::Nearest(NearestRounding::Floor), 2),
        (ResizeMode::Linear, 3),
    ] {
        let mut net = Net::new(3, 8);
        let x = net.conv("conv", net.input(), 4, Window(1, 1, 0));
        let op = Op::Resize {
            scales: vec![1.0, 1.0, 2.0, 2.0],
            mode,
            coordinates: ResizeCoordinates::Asymmetric,
        };
        let x = net.node("up", op, &[x], &[1, 4, 16, 16]);
        let graph = net.classifier(x, 2);
        let field = field(&graph, "up");
        assert_eq!(field.stride, [0.5; 2]);
        assert_eq!(field.size, [size; 2]);
        assert_eq!(field.start, [-1.0; 2]);
    }
}

/// Rows of the input each row of a value depends on, by plain loops over the windows.
fn rows_by_search(graph: &Graph, value: ValueId) -> Vec<BTreeSet<usize>> {
    let shape = &graph.values[value.index()].shape;
    let Some(producer) = graph.values[value.index()].producer else {
        return (0..shape[2]).map(|row| BTreeSet::from([row])).collect();
    };
    let node = &graph.nodes[producer.index()];
    let source = |operand: usize| rows_by_search(graph, node.inputs[operand]);
    let window = |kernel: usize, stride: usize, pad: usize, dilation: usize| {
        let source = source(0);
        (0..shape[2])
            .map(|row| {
                let rows =
                    (0..kernel).filter_map(|k| (row * stride + k * dilation).checked_sub(pad));
                rows.filter_map(|row| source.get(row))
                    .flatten()
                    .copied()
                    .collect()
            })
            .collect()
    };
    match &node.op {
        Op::Conv(conv) => {
            let kernel = graph.values[node.inputs[1].index()].shape[2];
            window(kernel, conv.strides[0], conv.pads[0], conv.dilations[0])
        }
        Op::MaxPool(pool) => window(pool.kernel[0], pool.strides[0], pool.pads[0], 1),
        Op::Pad { before, .. } => window(1, 1, before[2] as usize, 1),
        Op::Slice { starts, .. } => source(0).split_off(starts[2])[..shape[2]].to_vec(),
        Op::Binary(_) => {
            let (a, b) = (source(0), source(1));
            a.iter()
                .zip(&b)
                .map(|(a, b)| a.union(b).copied().collect())
                .collect()
        }
        Op::Unary(_) => source(0),
        other => panic!("not generated: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Chains of windows with residual branches. A unit whose interval lies inside the input sees
    /// exactly its first and last pixel; elsewhere (padding) never more than the interval.
    #[test]
    fn fields_agree_with_sets_of_pixels(
        choices in prop::collection::vec((0usize..6, 1usize..4, 1usize..3, 0usize..3), 1..6),
    ) {
        let mut net = Net::new(1, 40);
        let mut x = net.conv("first", net.input(), 2, Window(1, 1, 0));
        // What is cut off is replaced by padding further on, though the interval still covers it.
        let sliced = choices.iter().any(|&(kind, _, _, pad)| kind == 4 && pad > 0);
        for (k, (kind, kernel, stride, pad)) in choices.into_iter().enumerate() {
            let shape = net.shape(x);
            if shape[2] < 8 {
                break;
            }
            let name = format!("v{k}");
            x = match kind {
                0 => net.max_pool(&name, x, Window(kernel, stride, pad.min(kernel / 2))),
                1 => net.conv(&name, x, 2, Window(kernel, stride, pad)),
                2 => {
                    let branch = net.conv(&format!("{name}a"), x, 2, Window(2 * kernel + 1, 1, kernel));
                    net.add(&name, branch, x)
                }
                3 => {
                    let op = Op::Pad {
                        before: vec![0, 0, pad as isize, pad as isize],
                        after: vec![0, 0, 1, 1],
                        mode: PadMode::Constant(0.0),
                    };
                    let extent = shape[2] + pad + 1;
                    net.node(&name, op, &[x], &[1, 2, extent, extent])
                }
                4 => {
                    let op = Op::Slice { starts: vec![0, 0, pad, pad], steps: vec![1; 4] };
                    let extent = shape[2] - pad;
                    net.node(&name, op, &[x], &[1, 2, extent, extent])
                }
                _ => net.relu(&name, x),
            };
        }
        let name = net.graph.values[x.index()].name.clone();
        let graph = net.classifier(x, 2);
        let field = field(&graph, &name);
        prop_assert_eq!(field.stride[0], field.stride[1]);
        for (row, seen) in rows_by_search(&graph, x).iter().enumerate() {
            let start = field.start[0] + field.stride[0] * row as f64;
            let end = start + f64::from(field.size[0]) - 1.0;
            let (Some(&first), Some(&last)) = (seen.first(), seen.last()) else {
                continue;
            };
            prop_assert!(start <= first as f64 && last as f64 <= end, "{start} {end} {seen:?}");
            if !sliced && start >= 0.0 && end <= 39.0 {
                prop_assert_eq!((start, end), (first as f64, last as f64));
            }
        }
    }
}
