//! `summit graph`: the attribution graphs of a run's classes.

use crate::args::{GraphArgs, GraphFormat};
use crate::{message, model};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use summit_explain::graph::GraphNode;
use summit_explain::render::{
    SvgOptions, TextOptions, Theme, data_uri, render_dot, render_svg, render_text,
};
use summit_explain::{
    AttributionGraph, BridgePlan, Csr, GraphParameters, GroupTables, NO_LABEL, SelectionParameters,
    TargetClass, cell_counts, conv_max_graph,
};
use summit_images::{
    DecodeLimits, ImageFolder, ImageItem, ImageList, InputRect, ListHash, Preprocessing,
    ScanOptions, crop_and_resize, encode_jpeg, load,
};
use summit_nn::layers::ReceptiveField;
use summit_store::{CellFilter, Run, StoreError};
use summit_tables::{
    ClassEntry, ClassId, ConvMaxCounts, DatasetExample, ImageId, ImageRecord, LayerInfo, TopRule,
};

/// Where a run remembers the folder of its images.
pub const SOURCE_FILE: &str = "source.json";

/// Longer side of a node's picture, pixels.
const PICTURE_SIDE: u32 = 96;

pub fn run(args: &GraphArgs) -> Result<ExitCode> {
    let run = Run::open(&args.run)?;
    let classes = &run.manifest().spec.classes;
    let images: Vec<ImageRecord> = run.images()?.collect::<Result<_, StoreError>>()?;
    let grouping = Grouping {
        by_prediction: args.by_prediction,
    };
    let mut sizes: BTreeMap<ClassId, u32> = BTreeMap::new();
    for record in &images {
        if let Some(class) = grouping.class(record) {
            *sizes.entry(class).or_default() += 1;
        }
    }
    let wanted: Vec<ClassId> = if args.all {
        sizes.keys().copied().collect()
    } else {
        args.classes
            .iter()
            .map(|text| model::find_class(classes, text))
            .collect::<Result<_>>()?
    };
    let format = format(args)?;
    let maker = Maker::new(&run, args)?;
    let pictures = (format == GraphFormat::Svg && !args.no_pictures)
        .then(|| Pictures::new(&run, args, &images))
        .transpose()?
        .flatten();
    let many = args.all || wanted.len() > 1;
    if let (true, Some(folder)) = (many, &args.out) {
        if folder.is_file() {
            bail!(
                "--out: for several classes a folder is needed, and this is a file: {}",
                folder.display()
            );
        }
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    for class in wanted {
        let name = class_name(classes, class);
        let size = sizes.get(&class).copied().unwrap_or(0);
        if size == 0 {
            let grouped = if args.by_prediction {
                "predicted as"
            } else {
                "of"
            };
            bail!("no image {grouped} \"{name}\" in this run");
        }
        let graph = maker.graph(class, &name, size, grouping)?;
        let text = render(&graph, format, pictures.as_ref())?;
        match &args.out {
            None => message::print(&text)?,
            Some(path) => {
                let path = if many {
                    path.join(file_name(classes, class, format))
                } else {
                    path.clone()
                };
                std::fs::write(&path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                message::note(&format!("{name}: {}", path.display()));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How images are put into groups named after classes.
#[derive(Clone, Copy)]
struct Grouping {
    by_prediction: bool,
}

impl Grouping {
    fn class(self, record: &ImageRecord) -> Option<ClassId> {
        let prediction = record.top_classes.first().copied();
        if self.by_prediction {
            prediction
        } else {
            record.label.or(prediction)
        }
    }

    /// The cells of a class; they do not overlap.
    fn cells(self, class: ClassId) -> Vec<CellFilter> {
        if self.by_prediction {
            return vec![CellFilter {
                label: None,
                prediction: Some(class.0),
            }];
        }
        vec![
            CellFilter {
                label: Some(class.0),
                prediction: None,
            },
            CellFilter {
                label: Some(NO_LABEL),
                prediction: Some(class.0),
            },
        ]
    }
}

fn format(args: &GraphArgs) -> Result<GraphFormat> {
    if let Some(format) = args.format {
        return Ok(format);
    }
    let extension = args.out.as_ref().and_then(|path| path.extension());
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

fn class_name(classes: &[ClassEntry], class: ClassId) -> String {
    match classes.get(class.index()) {
        Some(entry) if !entry.name.is_empty() => entry.name.clone(),
        Some(entry) if !entry.external_id.is_empty() => entry.external_id.clone(),
        _ => format!("class {}", class.0),
    }
}

fn file_name(classes: &[ClassEntry], class: ClassId, format: GraphFormat) -> String {
    let id = classes
        .get(class.index())
        .map_or("", |entry| entry.external_id.as_str());
    let stem = if id.is_empty() {
        format!("class-{}", class.0)
    } else {
        summit_store::encode_name(id)
    };
    let extension = match format {
        GraphFormat::Text => "txt",
        GraphFormat::Json => "json",
        GraphFormat::Dot => "dot",
        GraphFormat::Svg => "svg",
    };
    format!("{stem}.{extension}")
}

fn render(
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

/// Makes graphs from a run's tables.
struct Maker<'a> {
    run: &'a Run,
    plans: Vec<BridgePlan>,
    parameters: GraphParameters,
}

impl<'a> Maker<'a> {
    fn new(run: &'a Run, args: &GraphArgs) -> Result<Self> {
        let spec = &run.manifest().spec;
        if spec
            .parameters
            .get("influence")
            .is_none_or(serde_json::Value::is_null)
        {
            bail!(
                "this run has no neuron influence (it was made with --no-influence), so it has no graphs: {}",
                run.path().display()
            );
        }
        let top_rule: TopRule = spec
            .parameters
            .get("top_rule")
            .and_then(|rule| serde_json::from_value(rule.clone()).ok())
            .unwrap_or_default();
        let info = run.model_info();
        let plans = info
            .blocks
            .iter()
            .map(|block| BridgePlan::new(block, &info.convs))
            .collect::<Result<_, _>>()?;
        let selection = SelectionParameters {
            start_threshold: args.threshold,
            ..SelectionParameters::default()
        };
        Ok(Self {
            run,
            plans,
            parameters: GraphParameters {
                top_rule,
                selection,
                ..GraphParameters::default()
            },
        })
    }

    fn graph(
        &self,
        class: ClassId,
        name: &str,
        images: u32,
        grouping: Grouping,
    ) -> Result<AttributionGraph> {
        let info = self.run.model_info();
        let cells = grouping.cells(class);
        let mut counts = Vec::with_capacity(info.layers.len());
        for layer in &info.layers {
            let mut row = vec![0u32; layer.channels as usize];
            for &cell in &cells {
                for entry in self.run.activation_counts(layer.id, cell)? {
                    let entry = entry?;
                    if let Some(count) = row.get_mut(entry.channel as usize) {
                        *count += entry.images;
                    }
                }
            }
            counts.push(row);
        }
        let mut influence: Vec<Csr> = Vec::with_capacity(info.convs.len());
        for conv in &info.convs {
            let mut entries = Vec::new();
            for &cell in &cells {
                for entry in self.run.influence(conv.id, cell)? {
                    entries.push(entry?);
                }
            }
            let table = ConvMaxCounts {
                conv: conv.id,
                entries,
            };
            influence.push(cell_counts(&table, conv, |_, _| true)?);
        }
        let mut links = Vec::with_capacity(self.plans.len());
        for plan in &self.plans {
            links.push(
                plan.bridge(|conv| influence.get(conv.index()), images)?
                    .kept,
            );
        }
        let logits = links
            .pop()
            .context("the network has no block into its logits")?;
        let counts: Vec<&[u32]> = counts.iter().map(Vec::as_slice).collect();
        let group = GroupTables {
            layers: &info.layers,
            name,
            images,
            counts: &counts,
            targets: &[TargetClass {
                class,
                name: name.to_owned(),
            }],
        };
        Ok(conv_max_graph(&group, &links, &logits, &self.parameters)?)
    }
}

/// Crops of the images that excite a channel most.
struct Pictures<'a> {
    run: &'a Run,
    source: ImageFolder,
    paths: BTreeMap<ImageId, &'a str>,
    preprocessing: Preprocessing,
}

impl<'a> Pictures<'a> {
    /// `None`, with a warning, where the images are not to be found.
    fn new(run: &'a Run, args: &GraphArgs, images: &'a [ImageRecord]) -> Result<Option<Self>> {
        let Some(root) = args
            .images
            .clone()
            .or_else(|| remembered_images(run.path()))
        else {
            message::warning(
                "the run does not say where its images are; drawing without pictures (see --images)",
            );
            return Ok(None);
        };
        if !root.is_dir() {
            message::warning(&format!(
                "the images are gone; drawing without pictures (see --images): {}",
                root.display()
            ));
            return Ok(None);
        }
        let list = ImageList {
            root,
            items: Vec::new(),
            folders: Vec::new(),
            skipped: Vec::new(),
            ignored_files: 0,
            list_hash: ListHash([0; 32]),
        };
        let preprocessing = serde_json::from_value(run.manifest().spec.preprocessing.clone())
            .context("the run's preprocessing is not understood")?;
        Ok(Some(Self {
            run,
            source: ImageFolder::from_list(list, &ScanOptions::default()),
            paths: images
                .iter()
                .map(|record| (record.image, record.path.as_str()))
                .collect(),
            preprocessing,
        }))
    }

    /// One picture per node, `(layer, channel)` to a data address. Missing images leave gaps.
    fn of_nodes(&self, graph: &AttributionGraph) -> BTreeMap<(u32, u32), String> {
        let mut found = BTreeMap::new();
        let mut missing = 0;
        for layer in &self.run.model_info().layers {
            let wanted: Vec<u32> = graph
                .nodes
                .iter()
                .filter(|node| node.layer == layer.id.0)
                .map(|node| node.channel.0)
                .collect();
            let Ok(examples) = self.run.examples(layer.id) else {
                continue;
            };
            for example in examples.flatten().filter(|example| example.rank == 0) {
                if !wanted.contains(&example.channel.0) {
                    continue;
                }
                match self.crop(layer, &example) {
                    Some(picture) => {
                        found.insert((layer.id.0, example.channel.0), picture);
                    }
                    None => missing += 1,
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

    fn crop(&self, layer: &LayerInfo, example: &DatasetExample) -> Option<String> {
        let item = ImageItem {
            image: example.image,
            path: (*self.paths.get(&example.image)?).to_owned(),
            folder: None,
        };
        let image = load(&self.source, &item, &DecodeLimits::default()).ok()?;
        let unit = [u32::from(example.row), u32::from(example.column)];
        let area = ReceptiveField::of_layer(layer).input_rectangle(unit, self.preprocessing.size);
        let rect = InputRect {
            top: f64::from(area.top),
            left: f64::from(area.left),
            height: f64::from(area.height),
            width: f64::from(area.width),
        };
        let crop = crop_and_resize(&image, &self.preprocessing, rect, PICTURE_SIDE).ok()?;
        Some(data_uri("image/jpeg", &encode_jpeg(&crop, 85).ok()?))
    }
}

fn remembered_images(run: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(run.join(SOURCE_FILE)).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(PathBuf::from(value.get("images")?.as_str()?))
}
