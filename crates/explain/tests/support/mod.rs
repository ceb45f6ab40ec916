//! Reads the golden cases and builds their blocks by hand.

use npyz::npz::NpzArchive;
use serde_json::Value;
use std::path::PathBuf;
use summit_explain::{BridgePlan, Bridged, Csr, group_counts, group_of_cell};
use summit_tables::{
    Block, BlockEdge, BlockStep, ChannelLink, ConvId, ConvInfo, ConvMaxCounts, Grouping,
    InfluenceEntry, LayerId,
};

/// One golden case.
pub struct Case {
    pub name: &'static str,
    folder: PathBuf,
    /// Tensor name and channels.
    pub layers: Vec<(String, u32)>,
    /// (label, prediction) of each image.
    pub cells: Vec<(u32, u32)>,
}

/// All golden cases; none, with a message, where the folder is absent.
pub fn load_cases() -> Vec<Case> {
    let shared = std::env::var_os("SUMMIT_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    if !shared.join("golden").is_dir() {
        println!("skipped: ../shared absent");
        return Vec::new();
    }
    ["inception-tiny", "resnet-tiny", "depthwise-tiny"]
        .map(|name| Case::load(name, shared.join("golden").join(name)))
        .into()
}

impl Case {
    fn load(name: &'static str, folder: PathBuf) -> Self {
        let mut case = Self {
            name,
            folder,
            layers: Vec::new(),
            cells: Vec::new(),
        };
        for layer in case.json("layers.json")["layers"].as_array().unwrap() {
            let channels = layer["C"].as_u64().unwrap() as u32;
            case.layers
                .push((layer["tensor"].as_str().unwrap().to_owned(), channels));
        }
        for image in case.json("predictions.json").as_array().unwrap() {
            let number = |key: &str| image[key].as_u64().unwrap() as u32;
            case.cells.push((number("label"), number("pred")));
        }
        case
    }

    pub fn json(&self, file: &str) -> Value {
        let path = self.folder.join("expected").join(file);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn array<T: npyz::Deserialize>(&self, file: &str, key: &str) -> (Vec<usize>, Vec<T>) {
        let path = self.folder.join("expected").join(file);
        let mut archive = NpzArchive::open(path).unwrap();
        let array = archive
            .by_name(key)
            .unwrap()
            .unwrap_or_else(|| panic!("{file} lacks {key}"));
        let shape = array.shape().iter().map(|&size| size as usize).collect();
        (shape, array.into_vec().unwrap())
    }

    pub fn f64_array(&self, file: &str, key: &str) -> (Vec<usize>, Vec<f64>) {
        self.array(file, key)
    }

    pub fn u32_array(&self, file: &str, key: &str) -> (Vec<usize>, Vec<u32>) {
        self.array(file, key)
    }

    /// Images of each of the four groups.
    pub fn group_sizes(&self, grouping: Grouping) -> Vec<u32> {
        let mut sizes = vec![0; 4];
        for &(label, prediction) in &self.cells {
            sizes[group_of_cell(grouping, 4, label, prediction).unwrap().0 as usize] += 1;
        }
        sizes
    }

    /// `[group][block]`, the block into the logits last.
    pub fn bridge_all(&self, grouping: Grouping) -> Vec<Vec<Bridged>> {
        let (blocks, convs) = self.topology();
        let counts: Vec<Vec<Csr>> = convs
            .iter()
            .map(|conv| self.conv_counts(conv, grouping))
            .collect();
        let plans: Vec<BridgePlan> = blocks
            .iter()
            .map(|block| BridgePlan::new(block, &convs).unwrap())
            .collect();
        let sizes = self.group_sizes(grouping);
        (0..4)
            .map(|group| {
                plans
                    .iter()
                    .map(|plan| {
                        plan.bridge(|id| counts[id.index()].get(group), sizes[group])
                            .unwrap()
                    })
                    .collect()
            })
            .collect()
    }

    /// Counts of one convolution in each group, through the table the store keeps.
    fn conv_counts(&self, conv: &ConvInfo, grouping: Grouping) -> Vec<Csr> {
        if conv.depthwise {
            return Vec::new();
        }
        let file = format!("conv_max_I_{}.npz", grouping_name(grouping));
        let (shape, values) = self.u32_array(&file, &conv.name);
        let [groups, outputs, inputs] = shape[..] else {
            panic!("{shape:?}")
        };
        assert_eq!(
            [outputs, inputs],
            [conv.outputs as usize, conv.inputs as usize]
        );
        let mut entries = Vec::new();
        for (cell, &count) in values.iter().enumerate().filter(|(_, count)| **count > 0) {
            let group = (cell / (outputs * inputs)) as u32;
            let (label, prediction) = if grouping == Grouping::Label {
                (group, 0)
            } else {
                (0, group)
            };
            let output = (cell / inputs % outputs) as u32;
            entries.push(InfluenceEntry {
                label,
                prediction,
                output,
                input: (cell % inputs) as u32,
                count,
            });
        }
        let counts = ConvMaxCounts {
            conv: conv.id,
            entries,
        };
        group_counts(&counts, conv, groups as u32, |label, prediction| {
            group_of_cell(grouping, 4, label, prediction)
        })
        .unwrap()
    }

    fn topology(&self) -> (Vec<Block>, Vec<ConvInfo>) {
        let described = self.json("blocks.json");
        let mut net = Net {
            convs: Vec::new(),
            blocks: Vec::new(),
        };
        for (lower, block) in described.as_array().unwrap().iter().enumerate() {
            let shapes: Vec<(String, Vec<u32>)> = block["convs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|conv| {
                    (
                        conv["conv"].as_str().unwrap().to_owned(),
                        integers(&conv["shape_L"]),
                    )
                })
                .collect();
            let widths = (self.layers[lower].1, self.layers[lower + 1].1);
            match self.name {
                "inception-tiny" => net.inception(lower, widths, &shapes),
                "resnet-tiny" => net.residual(lower, widths, &shapes),
                _ => net.inverted_residual(lower, widths, &shapes),
            }
        }
        net.logits(self.layers.len() - 1, self.layers.last().unwrap().1);
        (net.blocks, net.convs)
    }
}

struct Net {
    convs: Vec<ConvInfo>,
    blocks: Vec<Block>,
}

impl Net {
    fn conv(&mut self, name: &str, shape: &[u32]) -> BlockStep {
        let (outputs, inputs, depthwise) = match *shape {
            [_, outputs, inputs] => (outputs, inputs, false),
            [_, channels] => (channels, channels, true),
            _ => panic!("{shape:?}"),
        };
        let id = ConvId::from_index(self.convs.len());
        let groups = if depthwise { inputs } else { 1 };
        self.convs.push(ConvInfo {
            id,
            name: name.to_owned(),
            reads: String::new(),
            inputs,
            outputs,
            depthwise,
            groups,
        });
        BlockStep::Conv(id)
    }

    fn push(
        &mut self,
        lower: usize,
        upper: Option<usize>,
        tensors: Vec<u32>,
        edges: Vec<(u32, u32, BlockStep)>,
    ) {
        self.blocks.push(Block {
            lower: LayerId::from_index(lower),
            upper: upper.map(LayerId::from_index),
            tensors,
            edges: edges
                .into_iter()
                .map(|(from, to, step)| BlockEdge { from, to, step })
                .collect(),
            convs: Vec::new(),
        });
    }

    /// Four branches, the second and third with a reduction, joined by a concatenation.
    fn inception(
        &mut self,
        lower: usize,
        (inputs, outputs): (u32, u32),
        convs: &[(String, Vec<u32>)],
    ) {
        let [b1, b2r, b2, b3r, b3, b4] = convs else {
            panic!("{convs:?}")
        };
        // 0 layer, 1 pooled, 2 b1, 3 b2r, 4 b2, 5 b3r, 6 b3, 7 pooled again, 8 b4, 9 output.
        let width = |conv: &(String, Vec<u32>)| conv.1[1];
        let tensors = vec![
            inputs,
            inputs,
            width(b1),
            width(b2r),
            width(b2),
            width(b3r),
            width(b3),
            inputs,
            width(b4),
            outputs,
        ];
        let same = || BlockStep::Link(ChannelLink { pairs: None });
        let mut edges = vec![(0, 1, same()), (1, 7, same())];
        for (from, to, conv) in [
            (1, 2, b1),
            (1, 3, b2r),
            (3, 4, b2),
            (1, 5, b3r),
            (5, 6, b3),
            (7, 8, b4),
        ] {
            edges.push((from, to, self.conv(&conv.0, &conv.1)));
        }
        let mut offset = 0;
        for branch in [2u32, 4, 6, 8] {
            let channels = tensors[branch as usize];
            let pairs = (0..channels)
                .map(|channel| (channel, offset + channel))
                .collect();
            edges.push((
                branch,
                9,
                BlockStep::Link(ChannelLink { pairs: Some(pairs) }),
            ));
            offset += channels;
        }
        assert_eq!(offset, outputs);
        self.push(lower, Some(lower + 1), tensors, edges);
    }

    /// Two convolutions beside an identity or a projection.
    fn residual(
        &mut self,
        lower: usize,
        (inputs, outputs): (u32, u32),
        convs: &[(String, Vec<u32>)],
    ) {
        let first = self.conv(&convs[0].0, &convs[0].1);
        let second = self.conv(&convs[1].0, &convs[1].1);
        let skip = match convs.get(2) {
            Some(projection) => self.conv(&projection.0, &projection.1),
            None => BlockStep::Link(ChannelLink { pairs: None }),
        };
        let edges = vec![(0, 1, first), (1, 2, second), (0, 2, skip)];
        self.push(
            lower,
            Some(lower + 1),
            vec![inputs, outputs, outputs],
            edges,
        );
    }

    /// Expand, depthwise, project beside an identity; a single convolution at the head.
    fn inverted_residual(
        &mut self,
        lower: usize,
        (inputs, outputs): (u32, u32),
        convs: &[(String, Vec<u32>)],
    ) {
        if let [head] = convs {
            let step = self.conv(&head.0, &head.1);
            return self.push(
                lower,
                Some(lower + 1),
                vec![inputs, outputs],
                vec![(0, 1, step)],
            );
        }
        let inner = convs[0].1[1];
        let mut edges = vec![(0, 3, BlockStep::Link(ChannelLink { pairs: None }))];
        for (position, conv) in convs.iter().enumerate() {
            let from = position as u32;
            edges.push((from, from + 1, self.conv(&conv.0, &conv.1)));
        }
        self.push(
            lower,
            Some(lower + 1),
            vec![inputs, inner, inner, outputs],
            edges,
        );
    }

    /// Global average pooling, then the classifier.
    fn logits(&mut self, last: usize, channels: u32) {
        let gemm = self.conv("logits", &[0, 4, channels]);
        let pooled = BlockStep::Link(ChannelLink { pairs: None });
        self.push(
            last,
            None,
            vec![channels, channels, 4],
            vec![(0, 1, pooled), (1, 2, gemm)],
        );
    }
}

pub fn grouping_name(grouping: Grouping) -> &'static str {
    match grouping {
        Grouping::Label => "label",
        Grouping::Prediction => "prediction",
        Grouping::Confusion => "confusion",
        Grouping::Correct => "correct",
    }
}

pub fn dense(matrix: &Csr) -> Vec<u32> {
    (0..matrix.rows())
        .flat_map(|row| (0..matrix.columns()).map(move |column| matrix.get(row, column)))
        .collect()
}

pub fn integers(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_u64().unwrap() as u32)
        .collect()
}

pub fn rows(value: &Value) -> Vec<Vec<u32>> {
    value.as_array().unwrap().iter().map(integers).collect()
}
