//! Folds normalisations into the convolutions before them, so that their gradient needs no step.

use crate::graph::ir::{Graph, NodeId, Op, Tensor, Value, ValueId};

/// Factor and offset per channel of an inference normalisation: `scale / sqrt(variance + epsilon)`
/// and `bias - mean * factor`.
pub(super) fn factors(graph: &Graph, node: NodeId) -> Option<(Vec<f64>, Vec<f64>)> {
    let node = &graph.nodes[node.index()];
    let Op::BatchNormalization { epsilon } = node.op else {
        return None;
    };
    let parameter = |index: usize| -> Option<&[f32]> {
        let value = node.inputs.get(index)?;
        let constant = graph.values[value.index()].constant.as_ref()?;
        Some(&constant.data)
    };
    let (scale, bias, mean, variance) =
        (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
    let factors: Vec<f64> = scale
        .iter()
        .zip(variance)
        .map(|(&scale, &variance)| {
            f64::from(scale) / (f64::from(variance) + f64::from(epsilon)).sqrt()
        })
        .collect();
    let offsets = bias
        .iter()
        .zip(mean)
        .zip(&factors)
        .map(|((&bias, &mean), factor)| f64::from(bias) - f64::from(mean) * factor)
        .collect();
    Some((factors, offsets))
}

/// Folds every normalisation whose input is a convolution's output that nobody else reads and that
/// is not `protected` (values asked for, weights whose gradient is wanted).
pub(super) fn normalizations(graph: &mut Graph, protected: &[ValueId]) {
    let mut readers = vec![0usize; graph.values.len()];
    for value in graph
        .nodes
        .iter()
        .flat_map(|node| &node.inputs)
        .chain(protected)
        .chain([&graph.output])
    {
        readers[value.index()] += 1;
    }
    for index in 0..graph.nodes.len() {
        let Some((factors, offsets)) = factors(graph, NodeId(index as u32)) else {
            continue;
        };
        let normalized = graph.nodes[index].inputs[0];
        let Some(producer) = graph.values[normalized.index()].producer else {
            continue;
        };
        let conv = &graph.nodes[producer.index()];
        let constant = |value: Option<&ValueId>| {
            value.and_then(|value| graph.values[value.index()].constant.clone())
        };
        let Some(weight) = constant(conv.inputs.get(1)) else {
            continue;
        };
        let is_free = matches!(conv.op, Op::Conv(_))
            && readers[normalized.index()] == 1
            && !protected.contains(&conv.inputs[1]);
        if !is_free || factors.len() != weight.shape[0] {
            continue;
        }
        let bias = constant(conv.inputs.get(2));
        let per_output = weight.data.len() / factors.len();
        let scaled = weight
            .data
            .iter()
            .enumerate()
            .map(|(k, &w)| (f64::from(w) * factors[k / per_output]) as f32);
        let scaled = Tensor {
            shape: weight.shape.clone(),
            data: scaled.collect(),
        };
        let shifted = (0..factors.len()).map(|j| {
            let bias = bias.as_ref().map_or(0.0, |bias| f64::from(bias.data[j]));
            (bias * factors[j] + offsets[j]) as f32
        });
        let shifted = Tensor {
            shape: vec![factors.len()],
            data: shifted.collect(),
        };
        let inputs = [scaled, shifted].map(|tensor| add_constant(graph, tensor));
        let node = &mut graph.nodes[producer.index()];
        node.inputs = vec![node.inputs[0], inputs[0], inputs[1]];
        // The convolution now writes what the normalisation wrote.
        let output = graph.nodes[index].outputs[0];
        let conv_output = graph.nodes[producer.index()].outputs[0];
        graph.nodes[producer.index()].outputs[0] = output;
        graph.values[output.index()].producer = Some(producer);
        graph.nodes[index].outputs[0] = conv_output;
        graph.nodes[index].inputs[0] = output;
        graph.values[conv_output.index()].producer = Some(NodeId(index as u32));
    }
}

/// Appends a constant.
pub(super) fn add_constant(graph: &mut Graph, tensor: Tensor) -> ValueId {
    let id = ValueId(graph.values.len() as u32);
    graph.values.push(Value {
        name: format!("constant{}", id.0),
        shape: tensor.shape.clone(),
        constant: Some(tensor),
        producer: None,
    });
    id
}
