//! What the reader promises beyond single operators: outputs, aliases, options, rewrites.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod common;

use common::file::{File, Message, floats, ints, ints_attribute, node, value_info};
use common::samples::uniform;
use summit_nn::graph::ir::Unary;
use summit_nn::graph::{Op, Tensor, ValueId, verify};
use summit_nn::onnx::{LoadOptions, Model, load_bytes};
use summit_nn::reference;

fn load(file: &File, options: &LoadOptions) -> Result<Model, String> {
    load_bytes(file.bytes().into(), None, options).map_err(|error| error.to_string())
}

fn load_default(file: &File) -> Model {
    let model = load(file, &LoadOptions::default()).unwrap();
    verify(&model.graph).unwrap();
    model
}

fn name(model: &Model, id: ValueId) -> &str {
    &model.graph.values[id.index()].name
}

fn operators(model: &Model) -> Vec<&Op> {
    model.graph.nodes.iter().map(|node| &node.op).collect()
}

#[test]
fn a_final_softmax_stays_behind_the_scores() {
    struct Case {
        what: &'static str,
        nodes: Vec<Message>,
        output: &'static str,
        is_probability: bool,
    }
    let pool = || node("GlobalAveragePool", &["image"], &["pool"], &[]);
    let flat = |from: &str, to: &str| node("Flatten", &[from], &[to], &[]);
    let softmax = |from: &str, to: &str| {
        node(
            "Softmax",
            &[from],
            &[to],
            &[common::file::int_attribute("axis", 1)],
        )
    };
    let cases = [
        Case {
            what: "none",
            nodes: vec![pool(), flat("pool", "scores")],
            output: "scores",
            is_probability: false,
        },
        Case {
            what: "after a list",
            nodes: vec![pool(), flat("pool", "flat"), softmax("flat", "scores")],
            output: "flat",
            is_probability: true,
        },
        Case {
            what: "on [N, C, 1, 1]",
            nodes: vec![pool(), softmax("pool", "scores")],
            output: "pool/1",
            is_probability: true,
        },
        Case {
            what: "before a view",
            nodes: vec![pool(), softmax("pool", "p"), flat("p", "scores")],
            output: "pool/1",
            is_probability: true,
        },
        Case {
            what: "inside",
            nodes: vec![
                pool(),
                softmax("pool", "p"),
                node("Relu", &["p"], &["r"], &[]),
                flat("r", "scores"),
            ],
            output: "scores",
            is_probability: false,
        },
    ];
    for Case {
        what,
        nodes,
        output,
        is_probability,
    } in cases
    {
        let model = load_default(&File::new(&nodes, &[]));
        assert_eq!(name(&model, model.graph.output), output, "{what}");
        assert_eq!(model.output_is_probability, is_probability, "{what}");
        assert_eq!(
            (model.output_name.as_str(), model.classes()),
            ("scores", 3),
            "{what}"
        );
        let input = uniform(7, what, &[1, 3, 4, 5], -1.0, 1.0);
        let values = reference::run(&model.graph, &input).unwrap();
        let probability = values[model.value_named("scores").unwrap().index()]
            .clone()
            .unwrap();
        let sum: f32 = probability.data.iter().sum();
        assert_eq!(
            (sum - 1.0).abs() < 1e-6,
            is_probability || what == "inside",
            "{what}"
        );
    }
}

#[test]
fn removed_nodes_leave_aliases() {
    let nodes = [
        node("Relu", &["image"], &["a"], &[]),
        node("Identity", &["a"], &["b"], &[]),
        node("Dropout", &["b"], &["c"], &[]),
        node("Flatten", &["c"], &["scores"], &[]),
    ];
    let model = load_default(&File::new(&nodes, &[]));
    assert_eq!(model.graph.nodes.len(), 2);
    for alias in ["a", "b", "c"] {
        assert_eq!(name(&model, model.value_named(alias).unwrap()), "a");
    }
    assert_eq!(model.value_named("nobody"), None);
    assert_eq!(model.operators["Dropout"], 1);
}

#[test]
fn options_choose_batch_shape_and_output() {
    let mut file = File::new(
        &[
            node("Relu", &["image"], &["r"], &[]),
            node("GlobalAveragePool", &["r"], &["p"], &[]),
            node("Flatten", &["p"], &["scores"], &[]),
            node("Flatten", &["r"], &["other"], &[]),
        ],
        &[],
    );
    file.inputs = vec![value_info("image", 1, &[0, 3, 0, 0])];
    file.outputs.push(value_info("other", 1, &[0, 0]));
    let options = LoadOptions {
        batch: 2,
        input_shape: Some([3, 6, 7]),
        ..LoadOptions::default()
    };
    let model = load(&file, &options).unwrap();
    assert_eq!(
        model.graph.values[model.graph.input.index()].shape,
        [2, 3, 6, 7]
    );
    assert_eq!(model.graph.values[model.graph.output.index()].shape, [2, 3]);
    let other = LoadOptions {
        output: Some("other".to_owned()),
        ..options.clone()
    };
    assert_eq!(load(&file, &other).unwrap().classes(), 126);
    let wrong = LoadOptions {
        output: Some("third".to_owned()),
        ..options.clone()
    };
    let error = load(&file, &wrong).unwrap_err();
    assert!(
        error.contains("third") && error.contains("other"),
        "{error}"
    );
    assert!(
        load(&file, &LoadOptions::default())
            .unwrap_err()
            .contains("open")
    );
    let none = LoadOptions {
        batch: 0,
        ..options.clone()
    };
    assert!(load(&file, &none).unwrap_err().contains("empty"));
    let little = LoadOptions {
        max_bytes: 1000,
        ..options
    };
    assert!(load(&file, &little).unwrap_err().contains("1000 bytes"));
}

#[test]
fn an_input_with_a_default_value_is_a_weight() {
    let mut file = File::new(
        &[
            node("Add", &["image", "w"], &["a"], &[]),
            node("Flatten", &["a"], &["scores"], &[]),
        ],
        &[floats("w", &[1], &[2.0])],
    );
    file.inputs.insert(0, value_info("w", 1, &[1]));
    file.inputs.push(value_info("unused", 1, &[1, 3, 2, 2]));
    let model = load_default(&file);
    assert_eq!((model.input_name.as_str(), model.parameters), ("image", 1));
}

#[test]
fn shared_weights_are_one_constant() {
    let file = File::new(
        &[
            node("Conv", &["image", "w"], &["a"], &[]),
            node("Conv", &["a", "w"], &["b"], &[]),
            node("Flatten", &["b"], &["scores"], &[]),
        ],
        &[floats("w", &[3, 3, 1, 1], &[0.5; 9])],
    );
    let model = load_default(&file);
    assert_eq!(model.parameters, 9);
    assert_eq!(
        model.graph.nodes[0].inputs[1],
        model.graph.nodes[1].inputs[1]
    );
}

#[test]
fn weight_arithmetic_is_folded() {
    // (w * 2) reshaped from a vector, and its shape read back to flatten the image.
    let file = File::new(
        &[
            node("Mul", &["w", "two"], &["w2"], &[]),
            node("Reshape", &["w2", "column"], &["w3"], &[]),
            node("Mul", &["image", "w3"], &["m"], &[]),
            node("Shape", &["m"], &["s"], &[]),
            node("Gather", &["s", "zero"], &["n"], &[]),
            node(
                "Concat",
                &["n", "rest"],
                &["t"],
                &[common::file::int_attribute("axis", 0)],
            ),
            node("Reshape", &["m", "t"], &["scores"], &[]),
        ],
        &[
            floats("w", &[3], &[1.0, 2.0, 3.0]),
            floats("two", &[1], &[2.0]),
            ints("column", &[3, 1, 1]),
            ints("zero", &[0]),
            ints("rest", &[-1]),
        ],
    );
    let model = load_default(&file);
    assert_eq!(model.graph.nodes.len(), 2);
    let constant = &model.graph.values[model.value_named("w3").unwrap().index()];
    let expected = Tensor {
        shape: vec![3, 1, 1],
        data: [2.0, 4.0, 6.0].into(),
    };
    assert_eq!(constant.constant, Some(expected));
}

#[test]
fn spelt_out_activations_become_one_operator_unless_their_parts_are_read() {
    let sigmoid = || node("Sigmoid", &["image"], &["g"], &[]);
    let product = || node("Mul", &["g", "image"], &["m"], &[]);
    let flat = |from: &str| node("Flatten", &[from], &["scores"], &[]);
    let model = load_default(&File::new(&[sigmoid(), product(), flat("m")], &[]));
    assert_eq!(operators(&model), [&Op::Unary(Unary::Swish), &Op::Reshape]);
    assert_eq!(name(&model, model.graph.nodes[0].outputs[0]), "m");
    let read_twice = [
        sigmoid(),
        product(),
        node("Add", &["m", "g"], &["sum"], &[]),
        flat("sum"),
    ];
    let model = load_default(&File::new(&read_twice, &[]));
    assert_eq!(model.graph.nodes.len(), 4);
    let other_input = [
        node("Relu", &["image"], &["r"], &[]),
        sigmoid(),
        node("Mul", &["g", "r"], &["m"], &[]),
        flat("m"),
    ];
    assert_eq!(
        load_default(&File::new(&other_input, &[]))
            .graph
            .nodes
            .len(),
        4
    );
}

#[test]
fn decomposed_operators_have_unique_names() {
    // The file already uses the name a derived value would get.
    let file = File::new(
        &[
            node("Relu", &["image"], &["m/1"], &[]),
            node("Mish", &["m/1"], &["m"], &[]),
            node("Flatten", &["m"], &["scores"], &[]),
        ],
        &[],
    );
    let model = load_default(&File { opset: 18, ..file });
    let mut names: Vec<&str> = model.graph.values.iter().map(|v| v.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["image", "m", "m/1", "m/2", "m/3", "scores"]);
    let mut nodes: Vec<&str> = model.graph.nodes.iter().map(|n| n.name.as_str()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes.len(), model.graph.nodes.len());
}

#[test]
fn nodes_keep_the_order_of_the_file_where_they_can() {
    let file = File::new(
        &[
            node("Flatten", &["sum"], &["scores"], &[]),
            node("Relu", &["image"], &["r"], &[]),
            node("Sigmoid", &["image"], &["s"], &[]),
            node("Add", &["r", "s"], &["sum"], &[]),
        ],
        &[],
    );
    let model = load_default(&file);
    let names: Vec<&str> = model
        .graph
        .nodes
        .iter()
        .map(|node| node.name.as_str())
        .collect();
    assert_eq!(names, ["r", "s", "sum", "scores"]);
}

#[test]
fn an_even_response_window_reaches_one_channel_further_up() {
    // Size 2: channel c and the one after it (ONNX: floor before, ceil after).
    let attributes = [
        common::file::int_attribute("size", 2),
        common::file::float_attribute("alpha", 2.0),
        common::file::float_attribute("beta", 1.0),
    ];
    let mut file = File::new(
        &[
            node("LRN", &["image"], &["n"], &attributes),
            node("Flatten", &["n"], &["scores"], &[]),
        ],
        &[],
    );
    file.inputs = vec![value_info("image", 1, &[1, 3, 1, 1])];
    let model = load_default(&file);
    let input = Tensor {
        shape: vec![1, 3, 1, 1],
        data: [1.0, 2.0, 3.0].into(),
    };
    let values = reference::run(&model.graph, &input).unwrap();
    let found = values[model.graph.output.index()].as_ref().unwrap();
    assert_eq!(*found.data, [1.0 / 6.0, 2.0 / 14.0, 3.0 / 10.0]);
}

#[test]
fn the_reference_executor_refuses_what_does_not_fit() {
    let conv = node(
        "Conv",
        &["image", "w"],
        &["c"],
        &[ints_attribute("pads", &[0; 4])],
    );
    let file = File::new(
        &[conv, node("Flatten", &["c"], &["scores"], &[])],
        &[floats("w", &[1, 3, 1, 1], &[1.0; 3])],
    );
    let mut model = load_default(&file);
    let wrong = Tensor {
        shape: vec![1, 3, 5, 4],
        data: vec![0.0; 60].into(),
    };
    assert!(
        reference::run(&model.graph, &wrong)
            .unwrap_err()
            .to_string()
            .contains("[1, 3, 5, 4]")
    );
    let short = Tensor {
        shape: vec![1, 3, 4, 5],
        data: vec![0.0; 59].into(),
    };
    assert!(
        reference::run(&model.graph, &short)
            .unwrap_err()
            .to_string()
            .contains("59")
    );
    let right = Tensor {
        shape: vec![1, 3, 4, 5],
        data: vec![0.0; 60].into(),
    };
    assert!(reference::run(&model.graph, &right).is_ok());
    model.graph.nodes.swap(0, 1);
    assert!(reference::run(&model.graph, &right).is_err());
}
