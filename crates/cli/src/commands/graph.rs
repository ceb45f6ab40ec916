//! `summit graph`: the attribution graphs of a run's groups.

use super::{evaluate, grouping};
use crate::args::{GraphArgs, GraphFormat};
use crate::message;
use crate::network::{RunNetwork, crops, member};
use crate::query_args::{GraphChoiceArgs, RecountArgs};
use crate::recount::NetworkRecount;
use crate::signed_args::MeasureArg;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use summit_explain::graph::GraphNode;
use summit_explain::render::{
    SvgOptions, TextOptions, Theme, data_uri, render_dot, render_svg, render_text,
};
use summit_explain::{
    AttributionGraph, Csr, GraphParameters, Group, GroupSpec, Measure, SelectionParameters,
    class_key,
};
use summit_influence::evaluate::Report;
use summit_influence::totals::{as_weights, group_totals};
use summit_query::{GraphChoices, Questions, in_parallel};
use summit_site::Crops;
use summit_site::pictures::encode;
use summit_tables::ClassId;

/// Side of a node's picture, pixels.
const PICTURE_SIDE: u32 = 96;

pub fn run(args: &GraphArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let wanted = wanted(args, &questions)?;
    let format = graph_format(args.format, args.out.as_deref())?;
    let pictures = (format == GraphFormat::Svg && !args.no_pictures)
        .then(|| Pictures::new(&questions, args.recount.images.as_deref()))
        .transpose()?
        .flatten();
    let many = args.all || wanted.len() > 1;
    if let (true, Some(folder)) = (many, &args.out) {
        if folder.is_file() {
            bail!(
                "--out: for several groups a folder is needed, and this is a file: {}",
                folder.display()
            );
        }
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut choices = graph_choices(&args.choices);
    choices.parameters.negative_edges = args.negative;
    let asked = Asked {
        questions: &questions,
        args,
        choices,
        recount: NetworkRecount::new(&questions, &args.recount),
        evaluation: File::open(questions.run().path().join(Report::FILE))
            .ok()
            .and_then(Report::read),
    };
    let text_of = |group: &Group| render(&asked.graph(group)?, format, pictures.as_ref());
    let Some(out) = &args.out else {
        for (_, group) in &wanted {
            message::print(&text_of(group)?)?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    in_parallel(&wanted, |(stem, group)| {
        let path = if many {
            out.join(format!("{stem}.{}", extension(format)))
        } else {
            out.clone()
        };
        std::fs::write(&path, text_of(group)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        message::note(&format!("{}: {}", group.name, path.display()));
        anyhow::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What graphs are made from, and how.
struct Asked<'a> {
    questions: &'a Questions,
    args: &'a GraphArgs,
    choices: GraphChoices,
    recount: NetworkRecount<'a>,
    evaluation: Option<Report>,
}

impl Asked<'_> {
    /// The graph of a group under the measure asked for.
    fn graph(&self, group: &Group) -> Result<AttributionGraph> {
        let (questions, choices) = (self.questions, &self.choices);
        // Only conv-max has a contrast.
        let contrast = choices.contrast.then_some(Measure::ConvMax);
        let measure = self.args.measure.map(MeasureArg::measure).or(contrast);
        if measure == Some(Measure::FlowTotals) {
            let weights = totals(questions, group, &self.args.recount)?;
            return Ok(questions.totals_graph(group, &weights, choices)?.graph);
        }
        let mut graph = questions.held_graph(group, measure, choices, &self.recount)?;
        let (name, shown) = (graph.measure.name(), graph.shown());
        if let (Some(signed), Some(report)) = (&mut graph.signed, &self.evaluation) {
            signed.faithfulness = evaluate::header(report, name, shown);
        }
        Ok(graph)
    }
}

/// Weights of all convolutions from the gradients of a group's images.
fn totals(questions: &Questions, group: &Group, args: &RecountArgs) -> Result<Vec<Csr>> {
    let network = RunNetwork::open(questions, args)?;
    let records = questions.members(group);
    let members: Vec<_> = records.filter_map(|record| member(group, record)).collect();
    let convs = &network.blocks.convs;
    let totals = network.study(questions, None, |subject| {
        Ok(group_totals(subject, convs, &group.name, &members)?)
    })?;
    Ok(as_weights(&totals, convs)?)
}

/// Groups asked for, with the names of their files.
fn wanted(args: &GraphArgs, questions: &Questions) -> Result<Vec<(String, Group)>> {
    let of_class = |class: ClassId| {
        if args.by_prediction {
            GroupSpec::Prediction(class)
        } else {
            GroupSpec::Label(class)
        }
    };
    if args.all {
        let sizes = questions.class_sizes(grouping(args.by_prediction));
        return sizes
            .into_keys()
            .map(|class| {
                let group = questions.group_of(&of_class(class))?;
                Ok((class_stem(questions, class), group))
            })
            .collect();
    }
    let mut numbers = 0..;
    args.groups
        .iter()
        .map(|text| {
            let number = numbers.next().unwrap_or(0);
            let spec = GroupSpec::parse(text, questions.classes())?;
            let stem = match spec {
                GroupSpec::Label(class) => class_stem(questions, class),
                _ => format!("group-{number}"),
            };
            let group = match spec {
                GroupSpec::Label(class) if !text.starts_with("label:") => {
                    questions.group_of(&of_class(class))?
                }
                _ => questions.group(text)?,
            };
            Ok((stem, group))
        })
        .collect()
}

fn class_stem(questions: &Questions, class: ClassId) -> String {
    match class_key(questions.classes(), class) {
        "" => format!("class-{}", class.0),
        id => summit_store::encode_name(id),
    }
}

/// How graphs are made, from arguments.
pub fn graph_choices(args: &GraphChoiceArgs) -> GraphChoices {
    GraphChoices {
        parameters: GraphParameters {
            selection: SelectionParameters {
                start_threshold: args.threshold,
                ..SelectionParameters::default()
            },
            ..GraphParameters::default()
        },
        contrast: args.contrast,
    }
}

/// The format asked for, or the extension's.
pub fn graph_format(format: Option<GraphFormat>, out: Option<&Path>) -> Result<GraphFormat> {
    if let Some(format) = format {
        return Ok(format);
    }
    let extension = out.and_then(Path::extension);
    Ok(match extension.and_then(|extension| extension.to_str()) {
        Some("json") => GraphFormat::Json,
        Some("dot" | "gv") => GraphFormat::Dot,
        Some("svg") => GraphFormat::Svg,
        Some("txt") => GraphFormat::Text,
        Some(other) => {
            bail!("--out: the extension \"{other}\" is none of txt, json, dot, svg; use --format")
        }
        None => GraphFormat::Text,
    })
}

fn extension(format: GraphFormat) -> &'static str {
    match format {
        GraphFormat::Text => "txt",
        GraphFormat::Json => "json",
        GraphFormat::Dot => "dot",
        GraphFormat::Svg => "svg",
    }
}

/// The graph in a format.
pub fn render(
    graph: &AttributionGraph,
    format: GraphFormat,
    pictures: Option<&Pictures>,
) -> Result<String> {
    Ok(match format {
        GraphFormat::Text => render_text(graph, &TextOptions::default()),
        GraphFormat::Json => serde_json::to_string_pretty(graph)? + "\n",
        GraphFormat::Dot => render_dot(graph),
        GraphFormat::Svg => {
            let thumbnails = pictures
                .map(|pictures| pictures.of_nodes(graph))
                .unwrap_or_default();
            let thumbnail =
                |node: &GraphNode| thumbnails.get(&(node.layer, node.channel.0)).cloned();
            render_svg(
                graph,
                &SvgOptions {
                    theme: Theme::Auto,
                    thumbnail: &thumbnail,
                },
            )
        }
    })
}

/// Crops of the images that excite a channel most.
pub struct Pictures<'a> {
    questions: &'a Questions,
    crops: Crops,
}

impl<'a> Pictures<'a> {
    /// `None`, with a warning, where the images are not to be found.
    ///
    /// * `images`: their folder, if it moved since the run.
    pub fn new(questions: &'a Questions, images: Option<&Path>) -> Result<Option<Self>> {
        let crops = crops(questions, images, "drawing without pictures")?;
        Ok(crops.map(|crops| Self { questions, crops }))
    }

    /// One picture per node, `(layer, channel)` to a data address. Missing images leave gaps.
    fn of_nodes(&self, graph: &AttributionGraph) -> BTreeMap<(u32, u32), String> {
        let mut found = BTreeMap::new();
        let mut missing = 0;
        for layer in self.questions.layers() {
            let wanted: Vec<u32> = graph
                .nodes
                .iter()
                .filter(|node| node.layer == layer.id.0)
                .map(|node| node.channel.0)
                .collect();
            let Ok(examples) = self.questions.run().examples(layer.id) else {
                continue;
            };
            for example in examples.flatten().filter(|example| example.rank == 0) {
                if !wanted.contains(&example.channel.0) {
                    continue;
                }
                let picture = self
                    .crops
                    .example(layer, &example, PICTURE_SIDE)
                    .and_then(|crop| encode(&crop));
                match picture {
                    Ok(jpeg) => {
                        let address = data_uri("image/jpeg", &jpeg);
                        found.insert((layer.id.0, example.channel.0), address);
                    }
                    Err(_) => missing += 1,
                }
            }
        }
        if missing > 0 {
            message::warning(&format!(
                "{missing} pictures are missing: their images cannot be read"
            ));
        }
        found
    }
}
