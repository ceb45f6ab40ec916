//! The executor against the naive one, on random networks.

use super::{CompileOptions, Network, TensorView};
use crate::graph::ir::{Graph, Tensor, ValueId};
use crate::reference;
use crate::testing::random_graph;
use proptest::prelude::*;

/// Largest difference to the naive executor over the given values, relative to each one's scale.
fn compare(graph: &Graph, observed: &[ValueId], options: &CompileOptions) -> Result<(), String> {
    let elements = graph.values[0].shape.iter().product::<usize>();
    let data: Vec<f32> = (0..elements)
        .map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0)
        .collect();
    let input = Tensor {
        shape: graph.values[0].shape.clone(),
        data: data.clone().into(),
    };
    let expected = reference::run(graph, &input).map_err(|e| e.to_string())?;
    let options = CompileOptions {
        observed: observed.to_vec(),
        ..options.clone()
    };
    let network = Network::compile(graph, &options).map_err(|e| e.to_string())?;
    let mut session = network.session();
    for round in 0..2 {
        let mut seen = 0;
        let mut errors = Vec::new();
        let mut observe = |value: ValueId, view: TensorView<'_>| {
            seen += 1;
            let expected = &expected[value.index()].as_ref().unwrap().data;
            let got = view.to_vec();
            let scale = expected.iter().fold(1.0f32, |m, v| m.max(v.abs()));
            for (index, (a, b)) in got.iter().zip(expected.iter()).enumerate() {
                if (a - b).abs() > 2e-5 * scale || got.len() != expected.len() {
                    let name = &graph.values[value.index()].name;
                    errors.push(format!(
                        "round {round}, {name}[{index}]: {a} instead of {b}"
                    ));
                    break;
                }
            }
        };
        session
            .run(&data, &mut observe)
            .map_err(|e| e.to_string())?;
        if let Some(error) = errors.first() {
            return Err(error.clone());
        }
        if seen < observed.len() {
            return Err(format!("{seen} of {} values observed", observed.len()));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 1000 }))]
    #[test]
    fn equals_the_naive_executor(
        channels in 1usize..20, height in 3usize..14, width in 3usize..14, seed in 0u64..1000,
        choices in prop::collection::vec((0u8..=255, 0u8..=255), 1..14),
        portable: bool, observe_all: bool,
    ) {
        let graph = random_graph([1, channels, height, width], seed, &choices);
        let observed: Vec<ValueId> = if observe_all {
            let read: Vec<ValueId> = graph.nodes.iter().flat_map(|n| n.outputs.clone()).collect();
            read
        } else {
            vec![graph.output]
        };
        let options = CompileOptions { portable, ..CompileOptions::default() };
        prop_assert_eq!(compare(&graph, &observed, &options), Ok(()));
    }
}
