//! `summit graph`: the attribution graphs of a run's classes.

use crate::args::{GraphArgs, GraphFormat};
use crate::{message, model};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::process::ExitCode;
use summit_explain::graph::GraphNode;
use summit_explain::render::{
    SvgOptions, TextOptions, Theme, data_uri, render_dot, render_svg, render_text,
};
use summit_explain::{AttributionGraph, SelectionParameters};
use summit_site::graphs::{ClassGroup, class_sizes};
use summit_site::pictures::encode;
use summit_site::{Crops, GraphMaker, SiteError, class_name, image_root};
use summit_store::{Run, StoreError};
use summit_tables::{ClassEntry, ClassId, Grouping, ImageRecord};

/// Side of a node's picture, pixels.
const PICTURE_SIDE: u32 = 96;

pub fn run(args: &GraphArgs) -> Result<ExitCode> {
    let run = Run::open(&args.run)?;
    let classes = &run.manifest().spec.classes;
    let images: Vec<ImageRecord> = run.images()?.collect::<Result<_, StoreError>>()?;
    let grouping = if args.by_prediction {
        Grouping::Prediction
    } else {
        Grouping::Label
    };
    let sizes = class_sizes(&images, args.by_prediction);
    let wanted: Vec<ClassId> = if args.all {
        sizes.keys().copied().collect()
    } else {
        args.classes
            .iter()
            .map(|text| model::find_class(classes, text))
            .collect::<Result<_>>()?
    };
    let format = format(args)?;
    let maker = GraphMaker::new(
        &run,
        SelectionParameters {
            start_threshold: args.threshold,
            ..SelectionParameters::default()
        },
    )?;
    let pictures = (format == GraphFormat::Svg && !args.no_pictures)
        .then(|| Pictures::new(&run, args, images))
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
        let group = ClassGroup {
            class,
            name: &name,
            images: size,
            grouping,
        };
        let graph = maker.graph(&run, &group)?;
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

/// Crops of the images that excite a channel most.
struct Pictures<'a> {
    run: &'a Run,
    crops: Crops,
}

impl<'a> Pictures<'a> {
    /// `None`, with a warning, where the images are not to be found.
    fn new(run: &'a Run, args: &GraphArgs, images: Vec<ImageRecord>) -> Result<Option<Self>> {
        let Some(root) = args.images.clone().or_else(|| image_root(run.path())) else {
            message::warning(
                "the run does not say where its images are; drawing without pictures (see --images)",
            );
            return Ok(None);
        };
        match Crops::open(run, root, images.into()) {
            Ok(crops) => Ok(Some(Self { run, crops })),
            Err(problem @ SiteError::Picture { .. }) => {
                message::warning(&format!(
                    "{problem}; drawing without pictures (see --images)"
                ));
                Ok(None)
            }
            Err(problem) => Err(problem.into()),
        }
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
