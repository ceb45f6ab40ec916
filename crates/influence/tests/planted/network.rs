//! Small networks whose causes are known, and images for them.
//!
//! ```text
//! 8 input planes ─▶ 24 detectors (1x1) ─▶ 24 parts (3x3) ─▶ 16 objects (1x1) ─▶ mean ─▶ 4 logits
//! ```
//!
//! An image holds bright patches, each in the plane of its concept. Planted:
//! * class 0 is decided by one trigger patch, seen by two equal detectors (a duplicated channel);
//! * class 1 by either of two concepts;
//! * class 2 by a shortcut: its images hold a second concept as well, which every layer sees and no
//!   logit uses;
//! * class 3 by one concept that an object reads from two parts, one of them against it;
//! * one dead detector; all other channels are mixtures of everything below, as active as the
//!   planted ones, which reach all logits alike.
//!
//! Channels are in random order, all weights carry noise.

use summit_influence::statistics::Random;
use summit_nn::graph::ir::{Reduce, Unary};
use summit_nn::graph::shape::infer;
use summit_nn::graph::{Conv, Graph, Node, NodeId, Op, Tensor, Value, ValueId};

pub const CLASSES: usize = 4;
pub const PLANES: usize = 8;
pub const SIDE: usize = 12;
/// Channels of detectors, parts, objects.
pub const WIDTHS: [usize; 3] = [24, 24, 16];

/// Concepts (input planes) by role; the last two belong to no class.
const TRIGGER: usize = 0;
const EITHER: [usize; 2] = [1, 2];
const SHORTCUT: usize = 3;
const COMPANION: usize = 4;
const CONTRAST: usize = 5;

/// A channel: layer, and which in the planted order.
type Unit = (usize, usize);

/// The network and what is true of it.
pub struct Planted {
    pub graph: Graph,
    /// Detectors, parts, objects.
    pub layers: Vec<ValueId>,
    /// Per class, layer `[channels]`: on a path that decides the class.
    pub nodes: Vec<Vec<Vec<bool>>>,
    /// Per class, block `[to][from]`.
    pub edges: Vec<Vec<Vec<Vec<bool>>>>,
    /// Per layer the channel of each planted position.
    pub order: Vec<Vec<usize>>,
}

/// Planted edges with their weights: detectors are planted positions 0..=8 (concept k at k, the
/// trigger's duplicate at 6, the dead one at 7), parts at the concepts' numbers, objects at the classes'.
const PARTS: [(usize, usize, f32); 8] = [
    (0, 0, 0.6),
    (6, 0, 0.6),
    (1, 1, 1.0),
    (2, 2, 1.0),
    (3, 3, 1.0),
    (4, 4, 1.0),
    (5, 5, 1.0),
    (5, 6, 0.5),
];
const OBJECTS: [(usize, usize, f32); 7] = [
    (0, 0, 1.0),
    (1, 1, 1.0),
    (2, 1, 1.0),
    (3, 2, 1.0),
    (4, 4, 1.0),
    (5, 3, 1.4),
    (6, 3, -0.4),
];
/// Paths by class, as (part, object) and (detector, part).
fn truth(class: usize) -> [Vec<(usize, usize)>; 3] {
    let detectors: Vec<usize> = match class {
        0 => vec![TRIGGER, 6],
        1 => EITHER.to_vec(),
        2 => vec![SHORTCUT],
        _ => vec![CONTRAST],
    };
    let parts: Vec<(usize, usize)> = PARTS
        .iter()
        .filter(|(from, ..)| detectors.contains(from))
        .map(|&(from, to, _)| (from, to))
        .collect();
    let objects = OBJECTS
        .iter()
        .filter(|(from, to, weight)| {
            *to == class && *weight > 0.0 && parts.iter().any(|(_, part)| part == from)
        })
        .map(|&(from, to, _)| (from, to))
        .collect::<Vec<_>>();
    let parts = parts
        .into_iter()
        .filter(|(_, part)| objects.iter().any(|(from, _)| from == part))
        .collect();
    [parts, objects, vec![(class, class)]]
}

pub fn planted(seed: u64) -> Planted {
    let mut random = Random::new(seed);
    let order: Vec<Vec<usize>> = WIDTHS
        .iter()
        .map(|&width| {
            let mut order: Vec<usize> = (0..width).collect();
            random.shuffle(&mut order);
            order
        })
        .collect();
    let mut builder = Builder::new();
    let mut weights = Weights::new(&mut random, &order);
    let detectors = builder.layer(ValueId(0), WIDTHS[0], 1, weights.detectors());
    let parts = builder.layer(detectors, WIDTHS[1], 3, weights.mixed(0, 7, &PARTS, 3));
    let objects = builder.layer(parts, WIDTHS[2], 1, weights.mixed(1, 5, &OBJECTS, 1));
    builder.head(objects, weights.head());
    let unit = |(layer, position): Unit| order[layer][position];
    let mut nodes = Vec::new();
    let mut edges = Vec::new();
    for class in 0..CLASSES {
        let mut on: Vec<Vec<bool>> = WIDTHS.iter().map(|&width| vec![false; width]).collect();
        let mut links: Vec<Vec<Vec<bool>>> = vec![
            vec![vec![false; WIDTHS[0]]; WIDTHS[1]],
            vec![vec![false; WIDTHS[1]]; WIDTHS[2]],
        ];
        for (block, pairs) in truth(class)[..2].iter().enumerate() {
            for &(from, to) in pairs {
                on[block][unit((block, from))] = true;
                on[block + 1][unit((block + 1, to))] = true;
                links[block][unit((block + 1, to))][unit((block, from))] = true;
            }
        }
        nodes.push(on);
        edges.push(links);
    }
    Planted {
        graph: builder.graph,
        layers: vec![detectors, parts, objects],
        nodes,
        edges,
        order,
    }
}

/// Weights `[out][in]` and biases in the network's own channel order.
type Matrix = (Vec<Vec<f32>>, Vec<f32>);

struct Weights<'a> {
    random: &'a mut Random,
    order: &'a [Vec<usize>],
}

impl<'a> Weights<'a> {
    fn new(random: &'a mut Random, order: &'a [Vec<usize>]) -> Self {
        Self { random, order }
    }

    fn noise(&mut self) -> f32 {
        (self.random.unit() as f32 - 0.5) * 0.04
    }

    fn detectors(&mut self) -> Matrix {
        let mut rows = vec![vec![0.0; PLANES]; WIDTHS[0]];
        let mut bias = vec![-0.2; WIDTHS[0]];
        for position in 0..WIDTHS[0] {
            let channel = self.order[0][position];
            for (plane, weight) in rows[channel].iter_mut().enumerate() {
                let planted = match position {
                    6 => f32::from(u8::from(plane == TRIGGER)),
                    0..6 => f32::from(u8::from(plane == position)),
                    7 => 0.0,
                    _ => self.random.unit() as f32 * 0.5,
                };
                *weight = planted + if position == 7 { 0.0 } else { self.noise() };
            }
            if position == 7 {
                bias[channel] = -1.0;
            }
        }
        (rows, bias)
    }

    /// Planted edges, the rest mixtures. Positions up to `planted` read planted edges only.
    fn mixed(
        &mut self,
        block: usize,
        planted: usize,
        edges: &[(usize, usize, f32)],
        kernel: usize,
    ) -> Matrix {
        let (inputs, outputs) = (WIDTHS[block], WIDTHS[block + 1]);
        let taps = kernel * kernel;
        let mut rows = vec![vec![0.0; inputs * taps]; outputs];
        let bias = vec![-0.05; outputs];
        for to in 0..outputs {
            let row = self.order[block + 1][to];
            for from in 0..inputs {
                let column = self.order[block][from];
                let weight = edges.iter().find(|(a, b, _)| *a == from && *b == to);
                let weight = match weight {
                    Some((.., weight)) => *weight,
                    None if to >= planted => self.random.unit() as f32 * 0.15,
                    None => 0.0,
                };
                for tap in 0..taps {
                    rows[row][column * taps + tap] =
                        weight / taps as f32 + self.noise() / taps as f32;
                }
            }
        }
        (rows, bias)
    }

    fn head(&mut self) -> Matrix {
        let mut rows = vec![vec![0.0; WIDTHS[2]]; CLASSES];
        for position in 0..WIDTHS[2] {
            let channel = self.order[2][position];
            // What is no class's object raises all logits alike.
            let shared = self.random.unit() as f32;
            for (class, row) in rows.iter_mut().enumerate() {
                let own = if position < CLASSES {
                    if position == class { 6.0 } else { 0.0 }
                } else {
                    shared
                };
                row[channel] = own + self.noise();
            }
        }
        // Without any object class 0 wins, so that a muted class is decided.
        (rows, vec![0.2, 0.0, 0.0, 0.0])
    }
}

struct Builder {
    graph: Graph,
}

impl Builder {
    fn new() -> Self {
        let input = Value {
            name: "input".into(),
            shape: vec![1, PLANES, SIDE, SIDE],
            constant: None,
            producer: None,
        };
        Self {
            graph: Graph {
                values: vec![input],
                nodes: Vec::new(),
                input: ValueId(0),
                output: ValueId(0),
                feeds: Vec::new(),
            },
        }
    }

    fn value(
        &mut self,
        shape: Vec<usize>,
        data: Option<Vec<f32>>,
        producer: Option<NodeId>,
    ) -> ValueId {
        let id = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value {
            name: format!("v{}", id.0),
            constant: data.map(|data| Tensor {
                shape: shape.clone(),
                data: data.into(),
            }),
            shape,
            producer,
        });
        id
    }

    fn node(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        let shapes: Vec<&[usize]> = inputs
            .iter()
            .map(|value| self.graph.values[value.index()].shape.as_slice())
            .collect();
        let shape = infer(&op, &shapes, &[]).unwrap().remove(0);
        let id = NodeId(self.graph.nodes.len() as u32);
        let output = self.value(shape, None, Some(id));
        self.graph.nodes.push(Node {
            name: format!("n{}", id.0),
            op,
            inputs: inputs.to_vec(),
            outputs: vec![output],
        });
        output
    }

    /// Convolution and ReLU.
    fn layer(
        &mut self,
        input: ValueId,
        width: usize,
        kernel: usize,
        (rows, bias): Matrix,
    ) -> ValueId {
        let inputs = self.graph.values[input.index()].shape[1];
        let weight = self.value(
            vec![width, inputs, kernel, kernel],
            Some(rows.concat()),
            None,
        );
        let bias = self.value(vec![width], Some(bias), None);
        let conv = Conv {
            strides: [1, 1],
            pads: [kernel / 2; 4],
            dilations: [1, 1],
            groups: 1,
        };
        let map = self.node(Op::Conv(conv), &[input, weight, bias]);
        self.node(Op::Unary(Unary::Relu), &[map])
    }

    fn head(&mut self, objects: ValueId, (rows, bias): Matrix) {
        let reduce = Op::Reduce {
            kind: Reduce::Mean,
            axes: vec![2, 3],
            keep_dims: false,
        };
        let mean = self.node(reduce, &[objects]);
        let weight = self.value(vec![CLASSES, WIDTHS[2]], Some(rows.concat()), None);
        let bias = self.value(vec![CLASSES], Some(bias), None);
        let gemm = Op::Gemm {
            alpha: 1.0,
            beta: 1.0,
            trans_a: false,
            trans_b: true,
        };
        self.graph.output = self.node(gemm, &[mean, weight, bias]);
    }
}

/// An image of a class: its patches, patches of no class, noise. `[8, 12, 12]`.
pub fn image(class: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed ^ 0x5eed);
    let mut pixels: Vec<f32> = (0..PLANES * SIDE * SIDE)
        .map(|_| random.unit() as f32 * 0.1)
        .collect();
    let mut concepts = match class {
        0 => vec![TRIGGER],
        1 => vec![EITHER[random.below(2)]],
        2 => vec![SHORTCUT, COMPANION],
        _ => vec![CONTRAST],
    };
    concepts.extend((6..PLANES).filter(|_| random.unit() < 0.5));
    for plane in concepts {
        let (top, left) = (random.below(SIDE - 4), random.below(SIDE - 4));
        for row in top..top + 4 {
            for column in left..left + 4 {
                pixels[(plane * SIDE + row) * SIDE + column] += 1.0;
            }
        }
    }
    pixels
}
