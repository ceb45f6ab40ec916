//! The cut rule, one small network per reading of it, and cuts against brute force.

use super::build::{Net, Window};
use crate::graph::ir::{Binary, Graph, Op, Unary, ValueId};
use crate::layers::{LayerError, cut_values, find_layers, layers_from_names};
use proptest::prelude::*;

const POINT: Window = Window(1, 1, 0);
const THREE: Window = Window(3, 1, 1);

fn names(graph: &Graph) -> Vec<String> {
    find_layers(graph)
        .into_iter()
        .map(|layer| layer.info.name)
        .collect()
}

#[test]
fn each_reading_of_the_rule() {
    struct Case {
        name: &'static str,
        graph: Graph,
        layers: &'static [&'static str],
    }
    let cases = [
        Case {
            name: "a pool after the activation is passed over",
            graph: {
                let mut net = Net::new(3, 8);
                let x = net.conv("conv", net.input(), 4, THREE);
                let x = net.relu("relu", x);
                let x = net.max_pool("pool", x, Window(2, 2, 0));
                net.classifier(x, 2)
            },
            layers: &["relu"],
        },
        Case {
            name: "an activation after the pool wins over the linear map before it",
            graph: {
                let mut net = Net::new(3, 8);
                let x = net.conv("conv", net.input(), 4, THREE);
                let x = net.max_pool("pool", x, Window(2, 2, 0));
                let x = net.relu("relu", x);
                net.classifier(x, 2)
            },
            layers: &["relu"],
        },
        Case {
            name: "normalising the image is no layer, a linear block ends after its norm",
            graph: {
                let mut net = Net::new(3, 8);
                let mean = net.constant(&[1, 3, 1, 1], 0.5);
                let x = net.binary("centred", Binary::Sub, net.input(), mean);
                let x = net.conv("conv", x, 4, THREE);
                let x = net.batch_norm("norm", x, &[1.0; 4]);
                let x = net.max_pool("pool", x, Window(2, 2, 0));
                net.classifier(x, 2)
            },
            layers: &["norm"],
        },
        Case {
            name: "a swish written out is an activation",
            graph: {
                let mut net = Net::new(3, 8);
                let x = net.conv("conv1", net.input(), 4, THREE);
                let gate = net.unary("gate1", Unary::Sigmoid, x);
                let x = net.binary("swish1", Binary::Mul, x, gate);
                let x = net.conv("conv2", x, 4, THREE);
                let gate = net.unary("gate2", Unary::Sigmoid, x);
                let x = net.binary("swish2", Binary::Mul, x, gate);
                net.classifier(x, 2)
            },
            layers: &["swish1", "swish2"],
        },
        Case {
            name: "a gelu written out ends with its factor one half",
            graph: {
                let mut net = Net::new(3, 8);
                let x = net.conv("conv", net.input(), 4, THREE);
                let root = net.constant(&[], 1.414);
                let one = net.constant(&[], 1.0);
                let half = net.constant(&[], 0.5);
                let y = net.binary("scaled", Binary::Div, x, root);
                let y = net.unary("erf", Unary::Erf, y);
                let y = net.add("shifted", y, one);
                let y = net.binary("product", Binary::Mul, x, y);
                let y = net.binary("gelu", Binary::Mul, y, half);
                net.classifier(y, 2)
            },
            layers: &["gelu"],
        },
        Case {
            name: "branches that end in activations: the Concat",
            graph: {
                let mut net = Net::new(3, 8);
                let x = net.conv("stem", net.input(), 4, THREE);
                let x = net.relu("stem_relu", x);
                let a = net.conv("a", x, 2, POINT);
                let a = net.relu("a_relu", a);
                let b = net.max_pool("b_pool", x, THREE);
                let b = net.conv("b", b, 3, POINT);
                let b = net.relu("b_relu", b);
                let x = net.concat("out", &[a, b]);
                let x = net.relu("again", x);
                net.classifier(x, 2)
            },
            layers: &["stem_relu", "out"],
        },
        Case {
            name: "branches that end linear: the activation after the Concat",
            graph: {
                let mut net = Net::new(3, 8);
                let x = net.conv("stem", net.input(), 4, THREE);
                let x = net.relu("stem_relu", x);
                let a = net.conv("a", x, 2, POINT);
                let b = net.conv("b", x, 3, POINT);
                let x = net.concat("out", &[a, b]);
                let x = net.relu("out_relu", x);
                net.classifier(x, 2)
            },
            layers: &["stem_relu", "out_relu"],
        },
        Case {
            name: "a residual block after its last activation",
            graph: {
                let mut net = Net::new(3, 8);
                let stem = net.conv("stem", net.input(), 4, THREE);
                let stem = net.relu("stem_relu", stem);
                let x = net.conv("conv1", stem, 4, THREE);
                let x = net.relu("relu1", x);
                let x = net.conv("conv2", x, 4, THREE);
                let x = net.add("add", x, stem);
                let x = net.relu("relu2", x);
                net.classifier(x, 2)
            },
            layers: &["stem_relu", "relu2"],
        },
        Case {
            name: "inverted residuals: without a skip, with gate, without expansion, with a skip",
            graph: {
                let mut net = Net::new(3, 16);
                let x = net.conv("stem", net.input(), 4, Window(3, 2, 1));
                let x = net.relu("stem_relu", x);
                let x = net.depthwise("dw0", x, THREE);
                let x = net.relu("dw0_relu", x);
                let x = net.conv("project0", x, 2, POINT);
                let x = net.conv("expand1", x, 12, POINT);
                let x = net.relu("expand1_relu", x);
                let x = net.depthwise("dw1", x, Window(3, 2, 1));
                let x = net.relu("dw1_relu", x);
                let gate = net.global_pool("gate_pool", x);
                let gate = net.conv("gate_squeeze", gate, 3, POINT);
                let gate = net.relu("gate_relu", gate);
                let gate = net.conv("gate_excite", gate, 12, POINT);
                let gate = net.unary("gate", Unary::Sigmoid, gate);
                let x = net.binary("gated", Binary::Mul, x, gate);
                let skip = net.conv("project1", x, 4, POINT);
                let x = net.conv("expand2", skip, 8, POINT);
                let x = net.relu("expand2_relu", x);
                let x = net.depthwise("dw2", x, THREE);
                let x = net.relu("dw2_relu", x);
                let x = net.conv("project2", x, 4, POINT);
                let x = net.add("add2", x, skip);
                let x = net.conv("head", x, 16, POINT);
                let x = net.relu("head_relu", x);
                net.classifier(x, 2)
            },
            layers: &["stem_relu", "project0", "project1", "add2", "head_relu"],
        },
        Case {
            name: "separable convolutions with activations are layers each",
            graph: {
                let mut net = Net::new(3, 8);
                let x = net.conv("stem", net.input(), 4, THREE);
                let x = net.relu("stem_relu", x);
                let x = net.depthwise("dw", x, THREE);
                let x = net.relu("dw_relu", x);
                let x = net.conv("pw", x, 8, POINT);
                let x = net.relu("pw_relu", x);
                net.classifier(x, 2)
            },
            layers: &["stem_relu", "dw_relu", "pw_relu"],
        },
        Case {
            name: "channels-last values inside are passed over",
            graph: {
                let mut net = Net::new(3, 8);
                let x = net.conv("stem", net.input(), 4, Window(2, 2, 0));
                let x = net.transpose("last", x, &[0, 2, 3, 1]);
                let x = net.matmul("mix", x, 6);
                let x = net.relu("mix_relu", x);
                let x = net.transpose("first", x, &[0, 3, 1, 2]);
                net.classifier(x, 2)
            },
            layers: &["stem", "first"],
        },
        Case {
            name: "a map whose pool is the classifier's end is a layer",
            graph: {
                let mut net = Net::new(3, 8);
                let x = net.conv("stem", net.input(), 4, THREE);
                let x = net.relu("stem_relu", x);
                let x = net.conv("classes", x, 2, POINT);
                let x = net.relu("classes_relu", x);
                let x = net.global_pool("gap", x);
                let x = net.reshape("flat", x, &[1, 2]);
                net.finish(x)
            },
            layers: &["stem_relu", "classes_relu"],
        },
    ];
    let mut failures = Vec::new();
    for case in cases {
        let found = names(&case.graph);
        if found != case.layers {
            failures.push(format!("{}: {found:?}", case.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn signed_is_what_no_activation_bounds() {
    let mut net = Net::new(3, 8);
    let x = net.conv("stem", net.input(), 4, THREE);
    let x = net.unary("clip", Unary::Clip(0.0, 6.0), x);
    let y = net.conv("conv", x, 4, THREE);
    let x = net.add("sum", x, y);
    let x = net.conv("last", x, 4, THREE);
    let x = net.unary("leaky", Unary::LeakyRelu(0.1), x);
    let graph = net.classifier(x, 2);
    let signed: Vec<(String, bool)> = find_layers(&graph)
        .into_iter()
        .map(|layer| (layer.info.name, layer.info.signed))
        .collect();
    let expected = [("clip", false), ("sum", true), ("leaky", true)];
    assert_eq!(
        signed,
        expected.map(|(name, signed)| (name.to_owned(), signed))
    );
}

#[test]
fn layers_by_name() {
    let mut net = Net::new(3, 8);
    let x = net.conv("stem", net.input(), 4, THREE);
    let skip = net.relu("stem_relu", x);
    let x = net.conv("inner", skip, 4, THREE);
    let x = net.add("sum", x, skip);
    let graph = net.classifier(x, 2);
    let ask = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        layers_from_names(&graph, &names)
    };
    let found: Vec<(String, bool, u32)> = ask(&["sum", "inner", "stem_relu"])
        .unwrap()
        .into_iter()
        .map(|layer| (layer.info.name, layer.info.is_cut, layer.info.id.0))
        .collect();
    let expected = [
        ("stem_relu", true, 0),
        ("inner", false, 1),
        ("sum", true, 2),
    ];
    assert_eq!(
        found,
        expected.map(|(name, is_cut, id)| (name.to_owned(), is_cut, id))
    );
    let name = |name: &str| name.to_owned();
    assert_eq!(ask(&[]), Err(LayerError::Empty));
    assert_eq!(
        ask(&["nowhere"]),
        Err(LayerError::UnknownName {
            name: name("nowhere")
        })
    );
    assert_eq!(
        ask(&["sum", "sum"]),
        Err(LayerError::Repeated { name: name("sum") })
    );
    assert_eq!(
        ask(&["input"]),
        Err(LayerError::NotAnActivation {
            name: name("input")
        })
    );
    assert_eq!(
        ask(&["logits"]),
        Err(LayerError::NotAnActivation {
            name: name("logits")
        })
    );
    let shape = vec![1, 4];
    assert_eq!(
        ask(&["flat"]),
        Err(LayerError::NotAnImage {
            name: name("flat"),
            shape
        })
    );
}

/// Is the output out of reach once `without` is removed?
fn is_cut_by_search(graph: &Graph, without: ValueId) -> bool {
    let mut reached = vec![false; graph.values.len()];
    reached[graph.input.index()] = true;
    for node in &graph.nodes {
        if node
            .inputs
            .iter()
            .any(|value| reached[value.index()] && *value != without)
        {
            for output in &node.outputs {
                reached[output.index()] = true;
            }
        }
    }
    !reached[graph.output.index()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Random graphs, with operators the output does not depend on and operators with two results.
    #[test]
    fn cuts_are_what_brute_force_says(
        choices in prop::collection::vec((0usize..4, 0usize..3, 0usize..6), 1..24),
    ) {
        let mut net = Net::new(4, 2);
        let mut pool = vec![net.input()];
        for (k, (kind, back, far)) in choices.into_iter().enumerate() {
            let near = pool[pool.len() - 1 - back.min(pool.len() - 1)];
            let other = pool[pool.len() - 1 - far.min(pool.len() - 1)];
            let name = format!("v{k}");
            if kind == 0 {
                let shape = net.shape(near);
                let second = format!("{name}b");
                let op = Op::Split { axis: 0 };
                let parts = net.nodes(&[&name, &second], op, &[near], &[shape.clone(), shape]);
                pool.extend(parts);
            } else if kind == 1 {
                pool.push(net.add(&name, near, other));
            } else {
                pool.push(net.relu(&name, near));
            }
        }
        let last = pool[pool.len() - 1];
        let graph = net.finish(last);
        let expected: Vec<ValueId> = (0..graph.values.len() as u32)
            .map(ValueId)
            .filter(|&value| value != graph.input && value != graph.output)
            .filter(|&value| is_cut_by_search(&graph, value))
            .collect();
        prop_assert_eq!(cut_values(&graph), expected);
    }
}
