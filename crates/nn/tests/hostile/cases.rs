//! The files of this test, by what is wrong with them.

use crate::common::file::{
    File, Message, float_attribute, floats, int_attribute, ints, ints_attribute, node, tensor,
    value_info,
};

/// One file that must be refused.
pub struct Case {
    /// What is wrong with it.
    pub name: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// Parts of the message: the reason, and the subject by name.
    pub expected: &'static [&'static str],
}

fn case(name: &'static str, file: &File, expected: &'static [&'static str]) -> Case {
    Case {
        name,
        bytes: file.bytes(),
        expected,
    }
}

/// One node from the image to the scores.
fn single(
    name: &'static str,
    operator: &str,
    more_inputs: &[&str],
    attributes: &[Message],
    initializers: &[Message],
    expected: &'static [&'static str],
) -> Case {
    let inputs = [&["image"], more_inputs].concat();
    case(
        name,
        &File::new(
            &[
                node(operator, &inputs, &["bad"], attributes),
                flatten("bad"),
            ],
            initializers,
        ),
        expected,
    )
}

pub fn flatten(from: &str) -> Message {
    node("Flatten", &[from], &["scores"], &[])
}

/// A graph that loads.
pub fn good() -> File {
    let weights: Vec<f32> = (0..24).map(|k| k as f32 / 10.0).collect();
    let conv = node(
        "Conv",
        &["image", "w", "b"],
        &["conv"],
        &[ints_attribute("strides", &[2, 2])],
    );
    File::new(
        &[
            conv,
            node("Relu", &["conv"], &["relu"], &[]),
            flatten("relu"),
        ],
        &[
            floats("w", &[2, 3, 2, 2], &weights),
            floats("b", &[2], &[0.5, -0.5]),
        ],
    )
}

/// Damage to the file as a whole and to its names.
pub fn structure_cases() -> Vec<Case> {
    let relu = |input: &str, output: &str| node("Relu", &[input], &[output], &[]);
    let with = |change: fn(&mut File)| {
        let mut file = good();
        change(&mut file);
        file
    };
    let weight = || floats("w", &[1], &[1.0]);
    vec![
        Case {
            name: "empty",
            bytes: Vec::new(),
            expected: &["IR version 0"],
        },
        Case {
            name: "text",
            bytes: b"# not a model\n".to_vec(),
            expected: &["no readable ONNX model"],
        },
        Case {
            name: "group",
            bytes: vec![0x0b; 1000],
            expected: &["wire type 3"],
        },
        Case {
            name: "no graph",
            bytes: Message::default()
                .int(1, 8)
                .message(8, &Message::default().int(2, 13))
                .0,
            expected: &["holds no graph"],
        },
        case(
            "old opset",
            &with(|file| file.opset = 6),
            &["opset 6", "7 to"],
        ),
        case(
            "future opset",
            &with(|file| file.opset = 9999),
            &["opset 9999"],
        ),
        case("no opset", &with(|file| file.opset = 0), &["opset 0"]),
        case(
            "old format",
            &with(|file| file.ir_version = 2),
            &["IR version 2"],
        ),
        case(
            "no output",
            &with(|file| file.outputs.clear()),
            &["no usable class output"],
        ),
        case(
            "integer output",
            &with(|file| file.outputs = vec![value_info("scores", 7, &[1])]),
            &["floating-point", "scores"],
        ),
        case(
            "no input",
            &with(|file| file.inputs.clear()),
            &["input is missing", "conv", "image"],
        ),
        case(
            "integer input",
            &with(|file| file.inputs = vec![value_info("image", 2, &[1, 3, 4, 5])]),
            &["element type 2", "image"],
        ),
        case(
            "flat input",
            &with(|file| file.inputs = vec![value_info("image", 1, &[1, 60])]),
            &["[1, 60]", "image"],
        ),
        case(
            "open input",
            &with(|file| file.inputs = vec![value_info("image", 1, &[0, 3, 0, 0])]),
            &["axis 2 open", "image"],
        ),
        case(
            "huge input",
            &with(|file| {
                file.inputs = vec![value_info("image", 1, &[1, 1 << 20, 1 << 20, 1 << 20])]
            }),
            &["too large", "image"],
        ),
        case(
            "same input twice",
            &with(|file| file.inputs = vec![file.inputs[0].clone(); 2]),
            &["twice", "image"],
        ),
        case(
            "two images",
            &{
                let mut file = File::new(
                    &[
                        node("Add", &["image", "other"], &["sum"], &[]),
                        flatten("sum"),
                    ],
                    &[],
                );
                file.inputs.push(value_info("other", 1, &[1, 3, 4, 5]));
                file
            },
            &["one input is expected", "image", "other"],
        ),
        case(
            "cycle",
            &File::new(
                &[
                    node("Add", &["image", "b"], &["a"], &[]),
                    relu("a", "b"),
                    flatten("b"),
                ],
                &[],
            ),
            &["cycle", "\"a\""],
        ),
        case(
            "self-loop",
            &File::new(
                &[node("Add", &["image", "a"], &["a"], &[]), flatten("a")],
                &[],
            ),
            &["cycle", "\"a\""],
        ),
        case(
            "unknown input",
            &File::new(
                &[node("Add", &["image", "nobody"], &["a"], &[]), flatten("a")],
                &[],
            ),
            &["nobody", "\"a\""],
        ),
        case(
            "output twice",
            &File::new(&[relu("image", "a"), relu("image", "a"), flatten("a")], &[]),
            &["twice", "\"a\""],
        ),
        case(
            "weight twice",
            &File::new(&[flatten("image")], &[weight(), weight()]),
            &["twice", "\"w\""],
        ),
        case(
            "node over weight",
            &File::new(&[relu("image", "w"), flatten("w")], &[weight()]),
            &["twice", "\"w\""],
        ),
        case(
            "node over input",
            &File::new(&[relu("image", "image"), flatten("image")], &[]),
            &["twice", "image"],
        ),
        case(
            "missing input",
            &File::new(&[node("Add", &["image"], &["a"], &[]), flatten("a")], &[]),
            &["input 1 is missing", "\"a\""],
        ),
        case(
            "empty input name",
            &File::new(
                &[node("Add", &["image", ""], &["a"], &[]), flatten("a")],
                &[],
            ),
            &["input 1 is missing", "\"a\""],
        ),
        case(
            "constant scores",
            &File::new(&[relu("w", "scores")], &[weight()]),
            &["input"],
        ),
        case(
            "image scores",
            &File::new(&[relu("image", "scores")], &[]),
            &["[1, 3, 4, 5]", "scores"],
        ),
        case(
            "wrong batch",
            &File::new(
                &[node("Reshape", &["image", "s"], &["scores"], &[])],
                &[ints("s", &[2, 30])],
            ),
            &["[2, 30]", "scores"],
        ),
        Case {
            name: "no UTF-8",
            bytes: File::new(&[Message::default().bytes(4, [0xff, 0xfe])], &[]).bytes(),
            expected: &["no readable ONNX model"],
        },
    ]
}

/// Operators and forms that are not there.
pub fn operator_cases() -> Vec<Case> {
    let foreign = node("Foo", &["image"], &["bar"], &[]).bytes(7, "com.example");
    let branch = |name: &str| {
        Message::default()
            .bytes(1, name)
            .bytes(6, [0x0a, 0x00])
            .int(20, 5)
    };
    vec![
        case(
            "unknown",
            &File::new(
                &[node("Foo", &["image"], &["bar"], &[]), flatten("bar")],
                &[],
            ),
            &["operator \"Foo\" (ai.onnx) in node \"bar\" is not supported"],
        ),
        case(
            "unknown domain",
            &File::new(&[foreign, flatten("bar")], &[]),
            &["operator \"Foo\" (com.example) in node \"bar\""],
        ),
        single(
            "If",
            "If",
            &[],
            &[branch("then_branch"), branch("else_branch")],
            &[],
            &["operator \"If\"", "\"bad\""],
        ),
        single(
            "Loop",
            "Loop",
            &[],
            &[branch("body")],
            &[],
            &["operator \"Loop\"", "\"bad\""],
        ),
        single(
            "Scan",
            "Scan",
            &[],
            &[branch("body")],
            &[],
            &["operator \"Scan\"", "\"bad\""],
        ),
        single(
            "attribute type",
            "Softmax",
            &[],
            &[float_attribute("axis", 1.0)],
            &[],
            &["attribute axis", "\"bad\""],
        ),
        single(
            "axis",
            "Softmax",
            &[],
            &[int_attribute("axis", i64::MIN)],
            &[],
            &["axis -9223372036854775808", "\"bad\""],
        ),
        single(
            "image as indices",
            "Gather",
            &["image"],
            &[],
            &[],
            &["depends on the image", "\"bad\""],
        ),
        single(
            "image as shape",
            "Reshape",
            &["image"],
            &[],
            &[],
            &["depends on the image", "\"bad\""],
        ),
        single(
            "not a number",
            "LeakyRelu",
            &[],
            &[float_attribute("alpha", f32::NAN)],
            &[],
            &["alpha", "\"bad\""],
        ),
    ]
}

/// Weights that lie about themselves.
pub fn weight_cases() -> Vec<Case> {
    let add = |weight: Message| {
        File::new(
            &[node("Add", &["image", "w"], &["a"], &[]), flatten("a")],
            &[weight],
        )
    };
    let external = |location: &str, more: &[(&str, &str)]| {
        let entry = |key: &str, value: &str| Message::default().bytes(1, key).bytes(2, value);
        let start = tensor("w", 1, &[5], &[])
            .int(14, 1)
            .message(13, &entry("location", location));
        add(more.iter().fold(start, |message, (key, value)| {
            message.message(13, &entry(key, value))
        }))
    };
    vec![
        case(
            "NaN",
            &add(floats("w", &[1], &[f32::NAN])),
            &["not finite", "\"w\""],
        ),
        case(
            "infinity",
            &add(floats("w", &[1], &[f32::INFINITY])),
            &["not finite", "\"w\""],
        ),
        case(
            "too short",
            &add(tensor("w", 1, &[5], &[0; 16])),
            &["16 bytes found", "\"w\""],
        ),
        case(
            "promised",
            &add(tensor("w", 1, &[1 << 20, 1 << 20], &[])),
            &["\"w\""],
        ),
        case(
            "overflowing",
            &add(tensor("w", 1, &[1 << 32, 1 << 32, 1 << 32], &[])),
            &["\"w\""],
        ),
        case("negative", &add(tensor("w", 1, &[-5], &[])), &["\"w\""]),
        case(
            "empty",
            &add(tensor("w", 1, &[0], &[])),
            &["empty", "\"a\""],
        ),
        case(
            "text",
            &add(tensor("w", 8, &[1], &[0; 4])),
            &["element type 8", "\"w\""],
        ),
        case(
            "four bits",
            &add(tensor("w", 22, &[2], &[0; 1])),
            &["element type 22", "\"w\""],
        ),
        case("integers", &add(ints("w", &[1])), &["integers", "\"a\""]),
        case(
            "external without a folder",
            &external("weights.bin", &[]),
            &["external", "\"w\""],
        ),
        case(
            "external absolute",
            &external("/etc/passwd", &[]),
            &["outside", "\"w\""],
        ),
        case(
            "external parent",
            &external("a/../../secret", &[]),
            &["outside", "\"w\""],
        ),
        case(
            "external length",
            &external("weights.bin", &[("length", "4")]),
            &["length", "\"w\""],
        ),
        case(
            "external offset",
            &external("weights.bin", &[("offset", "-1")]),
            &["offset", "\"w\""],
        ),
    ]
}

/// Shapes and attributes that do not fit.
pub fn shape_cases() -> Vec<Case> {
    let kernel = |dims: &[i64]| {
        let count = usize::try_from(dims.iter().product::<i64>()).unwrap();
        floats("w", dims, &vec![1.0; count])
    };
    let pool = |kernel: i64| ints_attribute("kernel_shape", &[kernel, kernel]);
    vec![
        single(
            "kernel rank",
            "Conv",
            &["w"],
            &[],
            &[kernel(&[2, 3, 2])],
            &["[2, 3, 2]", "\"bad\""],
        ),
        single(
            "kernel channels",
            "Conv",
            &["w"],
            &[],
            &[kernel(&[2, 4, 2, 2])],
            &["3 channels", "\"bad\""],
        ),
        single(
            "kernel size",
            "Conv",
            &["w"],
            &[],
            &[kernel(&[2, 3, 9, 9])],
            &["does not fit", "\"bad\""],
        ),
        single(
            "no groups",
            "Conv",
            &["w"],
            &[int_attribute("group", 0)],
            &[kernel(&[2, 3, 1, 1])],
            &["groups", "\"bad\""],
        ),
        single(
            "no stride",
            "Conv",
            &["w"],
            &[ints_attribute("strides", &[0, 1])],
            &[kernel(&[2, 3, 1, 1])],
            &["strides", "\"bad\""],
        ),
        single(
            "huge pads",
            "Conv",
            &["w"],
            &[ints_attribute("pads", &[i64::MAX; 4])],
            &[kernel(&[2, 3, 1, 1])],
            &["pads", "\"bad\""],
        ),
        single(
            "negative pads",
            "Conv",
            &["w"],
            &[ints_attribute("pads", &[-1; 4])],
            &[kernel(&[2, 3, 1, 1])],
            &["pads", "\"bad\""],
        ),
        single(
            "kernel_shape",
            "Conv",
            &["w"],
            &[ints_attribute("kernel_shape", &[3, 3])],
            &[kernel(&[2, 3, 1, 1])],
            &["kernel_shape", "\"bad\""],
        ),
        single(
            "transposed crop",
            "ConvTranspose",
            &["w"],
            &[ints_attribute("pads", &[99; 4])],
            &[kernel(&[3, 3, 1, 1])],
            &["pads", "\"bad\""],
        ),
        single(
            "window",
            "MaxPool",
            &[],
            &[pool(9)],
            &[],
            &["does not fit", "\"bad\""],
        ),
        single(
            "no window",
            "MaxPool",
            &[],
            &[],
            &[],
            &["kernel_shape is missing", "\"bad\""],
        ),
        single(
            "window in padding",
            "AveragePool",
            &[],
            &[pool(2), ints_attribute("pads", &[2; 4])],
            &[],
            &["pads", "\"bad\""],
        ),
        single(
            "no channels",
            "LRN",
            &[],
            &[int_attribute("size", 0)],
            &[],
            &["0 channels", "\"bad\""],
        ),
        single(
            "matrix",
            "MatMul",
            &["w"],
            &[],
            &[kernel(&[4, 4])],
            &["do not fit", "\"bad\""],
        ),
        single(
            "broadcast",
            "Add",
            &["w"],
            &[],
            &[kernel(&[7])],
            &["broadcast", "\"bad\""],
        ),
        single(
            "variance",
            "BatchNormalization",
            &["w", "w", "w", "v"],
            &[],
            &[kernel(&[3]), floats("v", &[3], &[1.0, -1.0, 1.0])],
            &["variance", "\"bad\""],
        ),
        single(
            "step",
            "Slice",
            &["zero", "one", "zero", "zero"],
            &[],
            &[ints("zero", &[0]), ints("one", &[1])],
            &["step", "\"bad\""],
        ),
        single(
            "empty slice",
            "Slice",
            &["zero", "zero"],
            &[],
            &[ints("zero", &[0])],
            &["empty", "\"bad\""],
        ),
        single(
            "indices",
            "Gather",
            &["i"],
            &[],
            &[ints("i", &[1])],
            &["axis 1", "\"bad\""],
        ),
        single(
            "parts",
            "Split",
            &["s"],
            &[],
            &[ints("s", &[1, 1])],
            &["2 parts for 1 outputs", "\"bad\""],
        ),
        single(
            "permutation",
            "Transpose",
            &[],
            &[ints_attribute("perm", &[0, 0, 1, 2])],
            &[],
            &["permutation", "\"bad\""],
        ),
        single(
            "two open extents",
            "Reshape",
            &["s"],
            &[],
            &[ints("s", &[-1, -1])],
            &["cannot be read", "\"bad\""],
        ),
        single(
            "overflowing shape",
            "Reshape",
            &["s"],
            &[],
            &[ints("s", &[1 << 62, 4, -1])],
            &["cannot be read", "\"bad\""],
        ),
        single(
            "too many axes",
            "Reshape",
            &["s"],
            &[],
            &[ints("s", &[1; 100])],
            &["too large", "\"bad\""],
        ),
        single(
            "squeeze",
            "Squeeze",
            &["a"],
            &[],
            &[ints("a", &[1])],
            &["not 1", "\"bad\""],
        ),
        single(
            "unsqueeze",
            "Unsqueeze",
            &["a"],
            &[],
            &[ints("a", &[9])],
            &["axis 9", "\"bad\""],
        ),
        single(
            "huge pad",
            "Pad",
            &["p"],
            &[],
            &[ints("p", &[0, 0, 0, 1 << 40, 0, 0, 0, 0])],
            &["too large", "\"bad\""],
        ),
        single(
            "overflowing pad",
            "Pad",
            &["p"],
            &[],
            &[ints("p", &[i64::MAX; 8])],
            &["pads", "\"bad\""],
        ),
        single(
            "expand",
            "Expand",
            &["s"],
            &[],
            &[ints("s", &[1 << 40, 1, 1, 1])],
            &["too large", "\"bad\""],
        ),
        single(
            "tile",
            "Tile",
            &["s"],
            &[],
            &[ints("s", &[1 << 14, 1 << 14, 1 << 14, 1])],
            &["too large", "\"bad\""],
        ),
        single(
            "resize",
            "Resize",
            &["", "s"],
            &[],
            &[floats("s", &[4], &[1.0, 1.0, 1e30, 1e30])],
            &["too large", "\"bad\""],
        ),
        single(
            "resize by NaN",
            "Resize",
            &["", "s"],
            &[],
            &[floats("s", &[4], &[1.0, 1.0, f32::NAN, 1.0])],
            &["scales", "\"bad\""],
        ),
        single(
            "resize by nothing",
            "Resize",
            &[],
            &[],
            &[],
            &["neither scales nor sizes", "\"bad\""],
        ),
    ]
}

/// Small files that ask for much memory or time.
pub fn bomb_cases() -> Vec<Case> {
    let constant = |name: &str, shape: &str| node("ConstantOfShape", &[shape], &[name], &[]);
    let use_of = |name: &str| {
        [
            node("ReduceSum", &[name], &["sum"], &[]),
            node("Add", &["image", "sum"], &["a"], &[]),
            flatten("a"),
        ]
    };
    let doubled = |levels: usize| {
        let mut nodes = vec![constant("c0", "shape")];
        for level in 0..levels {
            let (from, to) = (format!("c{level}"), format!("c{}", level + 1));
            nodes.push(node(
                "Concat",
                &[&from, &from],
                &[&to],
                &[int_attribute("axis", 0)],
            ));
        }
        nodes.extend(use_of(&format!("c{levels}")));
        File::new(&nodes, &[ints("shape", &[1000])])
    };
    let huge = |extents: &[i64]| {
        File::new(
            &[&[constant("c", "shape")][..], &use_of("c")].concat(),
            &[ints("shape", extents)],
        )
    };
    let product = |extent: i64| {
        let nodes = [
            constant("c", "shape"),
            node("MatMul", &["c", "c"], &["m"], &[]),
        ];
        File::new(
            &[&nodes[..], &use_of("m")].concat(),
            &[ints("shape", &[extent, extent])],
        )
    };
    let range = |limit: i64| {
        let scalar = |name: &str, value: i64| tensor(name, 7, &[], &value.to_le_bytes());
        let nodes = [
            node("Range", &["zero", "limit", "one"], &["r"], &[]),
            node("Cast", &["r"], &["c"], &[int_attribute("to", 1)]),
        ];
        File::new(
            &[&nodes[..], &use_of("c")].concat(),
            &[scalar("zero", 0), scalar("limit", limit), scalar("one", 1)],
        )
    };
    let mut masks = vec![
        constant("c", "shape"),
        node("Cast", &["c"], &["mask"], &[int_attribute("to", 9)]),
    ];
    for number in 0..200 {
        let from = if number == 0 {
            "row".to_owned()
        } else {
            format!("w{}", number - 1)
        };
        masks.push(node(
            "Where",
            &["mask", &from, "one"],
            &[&format!("w{number}")],
            &[],
        ));
    }
    masks.insert(0, node("ReduceMean", &["image"], &["row"], &[]));
    masks.push(node("ReduceMean", &["w199"], &["mean"], &[]));
    masks.push(flatten("mean"));
    let masks = File::new(
        &masks,
        &[
            ints("shape", &[1, 1, 500, 1000]),
            floats("one", &[1], &[1.0]),
        ],
    );
    // Field 1 of the graph, empty: two bytes of file for a node of a hundred and fifty in memory.
    let nodes = Message::default()
        .int(1, 8)
        .bytes(7, [0x0a, 0x00].repeat(5 << 20))
        .0;
    let attributes = Message::default().bytes(4, "Relu").bytes(0, []);
    let attributes = Message([attributes.0, [0x2a, 0x00].repeat(5 << 20)].concat());
    let numbers = tensor("w", 7, &[8 << 20], &[]).bytes(7, vec![1u8; 8 << 20]);
    let dims = Message::default()
        .bytes(8, "w")
        .bytes(1, vec![1u8; 8 << 20]);
    vec![
        case(
            "2^40 elements",
            &huge(&[1 << 20, 1 << 20]),
            &["too large", "\"c\""],
        ),
        case(
            "2^80 elements",
            &huge(&[1 << 40, 1 << 40]),
            &["too large", "\"c\""],
        ),
        case("2^28 elements", &huge(&[1 << 28]), &["computed constants"]),
        case("doubled", &doubled(40), &["computed constants"]),
        case("product", &product(900), &["steps to compute", "\"m\""]),
        case("range", &range(1 << 40), &["too large", "\"r\""]),
        case("range of int64", &range(i64::MAX), &["too large", "\"r\""]),
        case("long range", &range(1 << 26), &["computed constants"]),
        case("masks", &masks, &["computed constants"]),
        Case {
            name: "empty nodes",
            bytes: nodes,
            expected: &["description takes more"],
        },
        case(
            "empty attributes",
            &File::new(&[attributes], &[]),
            &["description takes more"],
        ),
        case(
            "packed numbers",
            &File::new(&[], &[numbers]),
            &["description takes more"],
        ),
        case(
            "axes",
            &File::new(&[], &[dims]),
            &["description takes more"],
        ),
    ]
}
