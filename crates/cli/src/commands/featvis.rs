//! `summit featvis`: pictures of what excites the channels of a run.
//!
//! One layer after the other; of a layer one channel per worker at a time. A finished picture is
//! committed at once, so the command may be killed at any time and given again.

use crate::args::{FeaturePreset, FeatvisArgs};
use crate::model::{self, RunModel};
use crate::{message, progress};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use summit_explain::SelectionParameters;
use summit_featvis::{
    EarlyStop, LayerNetwork, LayerSession, Objective, Probe, ProbeSession, Profile, RenderOptions,
    Rendering, Robustness, mean_profile, naturalness, picture_side, render,
};
use summit_images::{DecodedImage, encode_jpeg};
use summit_site::graphs::{ClassGroup, class_sizes};
use summit_site::{Crops, GraphMaker, class_name, feature_sheet, image_root};
use summit_store::{FeaturePicture, FeatureRecord, FeatureWriter, Run, StoreError};
use summit_tables::{ChannelId, DatasetExample, Grouping, ImageRecord, LayerId, LayerInfo};

/// Quality of the pictures; they are small and full of detail.
const JPEG_QUALITY: u8 = 90;

/// Adam's step length, lucid's.
const LEARNING_RATE: f32 = 0.05;

/// The objective has flattened when it grows by less than 1 % over 64 steps.
const EARLY_STOP: EarlyStop = EarlyStop {
    window: 64,
    growth: 0.01,
};

/// Pictures of a channel that differ, in the strip of details.
const DIVERSE: u32 = 4;

/// Best images of a channel its picture is compared with.
const COMPARED: usize = 5;

/// Images of other channels that stand for ordinary ones.
const ORDINARY: usize = 32;

/// Tiles in a row of a sheet.
const SHEET_COLUMNS: u32 = 8;

/// Side of a sheet's tiles, pixels.
const SHEET_TILE: u32 = 128;

/// Channels to render, by layer.
type Wanted = BTreeMap<LayerId, BTreeSet<ChannelId>>;

pub fn run(args: &FeatvisArgs) -> Result<ExitCode> {
    let run = Run::open(&args.run)?;
    let loaded = model::of_run(&run, args.model.as_deref())?;
    let images: Vec<ImageRecord> = run.images()?.collect::<Result<_, StoreError>>()?;
    let wanted = sampled(wanted(args, &run, &images)?, args.sample);
    let crops = open_crops(args, &run, images)?;
    let writer = FeatureWriter::new(&args.run, settings(args))?;
    let mut summary = Summary::default();
    for (&layer, channels) in &wanted {
        let work = LayerWork {
            args,
            run: &run,
            loaded: &loaded,
            crops: crops.as_ref(),
            layer,
        };
        work.render(&writer, channels, &mut summary)?;
    }
    if let Some(path) = &args.sheet {
        let channels: Vec<_> = flat(&wanted).collect();
        let sheet = feature_sheet(&run, &channels, SHEET_COLUMNS, SHEET_TILE)?;
        std::fs::write(path, sheet).with_context(|| format!("cannot write {}", path.display()))?;
    }
    summary.print(args)?;
    Ok(ExitCode::SUCCESS)
}

/// Everything pictures depend on beside the network and the channel.
fn settings(args: &FeatvisArgs) -> serde_json::Value {
    serde_json::json!({
        "parameterisation": "fourier",
        "objective": "channel",
        "steps": steps(args),
        "largest_side": largest_side(args),
        "learning_rate": LEARNING_RATE,
        "early_stop": EARLY_STOP,
        "seed": args.seed,
        "jpeg_quality": JPEG_QUALITY,
    })
}

fn steps(args: &FeatvisArgs) -> u32 {
    args.steps.unwrap_or(match args.preset {
        FeaturePreset::Standard => 512,
        FeaturePreset::Fast => 128,
    })
}

fn largest_side(args: &FeatvisArgs) -> u32 {
    args.side.unwrap_or(match args.preset {
        FeaturePreset::Standard => 128,
        FeaturePreset::Fast => 96,
    })
}

fn wanted(args: &FeatvisArgs, run: &Run, images: &[ImageRecord]) -> Result<Wanted> {
    let layers = &run.model_info().layers;
    let mut wanted = Wanted::new();
    let every = |layer: &LayerInfo| (0..layer.channels).map(ChannelId).collect();
    if args.all {
        return Ok(layers
            .iter()
            .map(|layer| (layer.id, every(layer)))
            .collect());
    }
    for name in &args.layers {
        let layer = layers.iter().find(|layer| layer.name == *name);
        let layer = layer.with_context(|| {
            format!("--layer: there is no layer \"{name}\"; `summit inspect` lists them")
        })?;
        wanted.insert(layer.id, every(layer));
    }
    for text in &args.channels {
        let (layer, channel) =
            model::find_channel(text, layers).with_context(|| format!("--channel {text}"))?;
        wanted.entry(layer).or_default().insert(channel);
    }
    let default = args.layers.is_empty() && args.channels.is_empty() && args.classes.is_empty();
    if default || !args.classes.is_empty() {
        add_graphs(args, run, images, &mut wanted)
            .context("the channels of graphs are wanted (see --layer, --channel and --all)")?;
    }
    Ok(wanted)
}

fn flat(wanted: &Wanted) -> impl Iterator<Item = (LayerId, ChannelId)> {
    let layers = wanted.iter();
    layers.flat_map(|(&layer, channels)| channels.iter().map(move |&channel| (layer, channel)))
}

/// This many of all, spread evenly.
fn sampled(wanted: Wanted, count: Option<u32>) -> Wanted {
    let all: Vec<_> = flat(&wanted).collect();
    let Some(count) = count
        .map(|count| count as usize)
        .filter(|&count| count < all.len())
    else {
        return wanted;
    };
    let mut sampled = Wanted::new();
    for place in 0..count {
        if let Some(&(layer, channel)) = all.get(place * all.len() / count) {
            sampled.entry(layer).or_default().insert(channel);
        }
    }
    sampled
}

/// Adds the channels of the graphs of the classes asked for, or of all.
fn add_graphs(
    args: &FeatvisArgs,
    run: &Run,
    images: &[ImageRecord],
    wanted: &mut Wanted,
) -> Result<()> {
    let names = &run.manifest().spec.classes;
    let maker = GraphMaker::new(run, SelectionParameters::default())?;
    let mut sizes = class_sizes(images, false);
    if !args.classes.is_empty() {
        let classes = args
            .classes
            .iter()
            .map(|text| model::find_class(names, text))
            .collect::<Result<BTreeSet<_>>>()?;
        sizes.retain(|class, _| classes.contains(class));
        if let Some(class) = classes.iter().find(|class| !sizes.contains_key(class)) {
            bail!("no image of \"{}\" in this run", class_name(names, *class));
        }
    }
    for (class, images) in sizes {
        let graph = maker.graph(
            run,
            &ClassGroup {
                class,
                name: &class_name(names, class),
                images,
                grouping: Grouping::Label,
            },
        )?;
        for node in graph.nodes {
            let layer = wanted.entry(LayerId(node.layer)).or_default();
            layer.insert(node.channel);
        }
    }
    Ok(())
}

/// The run's images, or none with a warning.
fn open_crops(args: &FeatvisArgs, run: &Run, images: Vec<ImageRecord>) -> Result<Option<Crops>> {
    let root = args.images.clone().or_else(|| image_root(run.path()));
    let problem = match root {
        None => "the run does not say where its images are".to_owned(),
        Some(root) => match Crops::open(run, root, images.into()) {
            Ok(crops) => return Ok(Some(crops)),
            Err(problem) => problem.to_string(),
        },
    };
    message::warning(&format!(
        "{problem}; pictures are not compared with natural images (see --images)"
    ));
    Ok(None)
}

/// Rendering channels of one layer.
struct LayerWork<'a> {
    args: &'a FeatvisArgs,
    run: &'a Run,
    loaded: &'a RunModel,
    crops: Option<&'a Crops>,
    layer: LayerId,
}

impl LayerWork<'_> {
    fn render(
        &self,
        writer: &FeatureWriter,
        wanted: &BTreeSet<ChannelId>,
        summary: &mut Summary,
    ) -> Result<()> {
        let index = self.layer.index();
        let layer = self
            .loaded
            .layers
            .get(index)
            .context("a layer is missing")?;
        let info = &layer.info;
        let mut features = writer.layer(info)?;
        let kind = if self.args.detail {
            FeaturePicture::Detail
        } else {
            FeaturePicture::Feature
        };
        let missing: Vec<ChannelId> = wanted
            .iter()
            .copied()
            .filter(|&channel| !features.has(channel, kind))
            .collect();
        summary.kept += (wanted.len() - missing.len()) as u32;
        let (graph, preprocessing) = (&self.loaded.model.graph, &self.loaded.preprocessing);
        let [height, width] = preprocessing.size;
        let largest = largest_side(self.args).min(height).min(width);
        let side = picture_side(info, largest);
        let network = Arc::new(LayerNetwork::new(graph, layer.value, side, preprocessing)?);
        let natural = Natural::new(self, layer.value, side, network.extents())?;
        let threads = self
            .args
            .threads
            .map_or_else(super::default_threads, usize::from);
        let bar = progress::bar("rendering", "channels");
        bar.set_length(missing.len() as u64);
        bar.set_message(format!("{}, ", info.name));
        let next = AtomicUsize::new(0);
        let (results, finished) = mpsc::channel();
        std::thread::scope(|scope| -> Result<()> {
            for _ in 0..threads.min(missing.len()) {
                let results = results.clone();
                let (missing, next, natural, network) = (&missing, &next, &natural, &network);
                scope.spawn(move || {
                    let mut session = network.session();
                    let mut judge = natural.judge();
                    while let Some(&channel) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let made = self.channel(&mut session, &mut judge, channel);
                        if results.send((channel, made)).is_err() {
                            // The other side met an error.
                            return;
                        }
                    }
                });
            }
            drop(results);
            for (channel, made) in finished {
                let (record, pictures) = made
                    .with_context(|| format!("channel {} of layer \"{}\"", channel.0, info.name))?;
                writer.commit(&mut features, channel, record, &pictures)?;
                bar.inc(1);
                summary.rendered += 1;
            }
            Ok(())
        })?;
        bar.finish_and_clear();
        for (_, record) in features
            .records()
            .filter(|(channel, _)| wanted.contains(channel))
        {
            summary.add(&info.name, record);
        }
        Ok(())
    }

    fn channel(
        &self,
        session: &mut LayerSession,
        judge: &mut Judge<'_>,
        channel: ChannelId,
    ) -> Result<(FeatureRecord, Vec<(FeaturePicture, Vec<u8>)>)> {
        let made = self.picture(session, Objective::channel(channel), channel, 0)?;
        let best = judge.natural.best(channel);
        let [height, width] = made.extents;
        let record = FeatureRecord {
            steps: made.steps,
            side: height.max(width) as u32,
            objective: made.objective,
            activation: made.maxima.get(channel.index()).copied().unwrap_or(0.0),
            natural_activation: best.first().map(|example| example.value),
            naturalness: judge.naturalness(&made, best)?,
        };
        let mut pictures = vec![(FeaturePicture::Feature, jpeg(std::slice::from_ref(&made))?)];
        if self.args.detail {
            let strip = self.strip(session, channel, made)?;
            pictures.push((FeaturePicture::Detail, jpeg(&strip)?));
        }
        Ok((record, pictures))
    }

    /// Different pictures of a channel, then the opposite one.
    fn strip(
        &self,
        session: &mut LayerSession,
        channel: ChannelId,
        first: Rendering,
    ) -> Result<Vec<Rendering>> {
        let mut styles = vec![session.style(&first.picture)?];
        let mut strip = vec![first];
        for number in 1..DIVERSE {
            let objective = Objective::channel(channel).apart_from(&styles);
            let made = self.picture(session, objective, channel, number)?;
            styles.push(session.style(&made.picture)?);
            strip.push(made);
        }
        strip.push(self.picture(session, Objective::negative(channel), channel, DIVERSE)?);
        Ok(strip)
    }

    /// `number` tells the pictures of a channel apart.
    fn picture(
        &self,
        session: &mut LayerSession,
        objective: Objective,
        channel: ChannelId,
        number: u32,
    ) -> Result<Rendering> {
        let [height, width] = session.network().extents();
        let options = RenderOptions {
            steps: steps(self.args),
            learning_rate: LEARNING_RATE,
            seed: self.args.seed,
            robustness: Robustness::for_side(height.max(width)),
            early_stop: Some(EARLY_STOP),
        };
        let key = [number, self.layer.0, channel.0].map(u64::from);
        Ok(render(session, &objective, &options, &key)?)
    }
}

/// The layer's dataset examples, and what the layers below do for ordinary images.
struct Natural<'a> {
    layer: &'a LayerInfo,
    crops: Option<&'a Crops>,
    /// Sorted by (channel, rank).
    examples: Vec<DatasetExample>,
    probe: Arc<Probe>,
    extents: [usize; 2],
    ordinary: Profile,
}

impl<'a> Natural<'a> {
    fn new(
        work: &'a LayerWork<'_>,
        value: summit_nn::graph::ValueId,
        side: u32,
        extents: [usize; 2],
    ) -> Result<Self> {
        let RunModel {
            model,
            layers,
            preprocessing,
            ..
        } = work.loaded;
        let index = work.layer.index();
        let below: Vec<_> = layers.iter().take(index).map(|layer| layer.value).collect();
        let probe = Probe::new(&model.graph, value, &below, side, preprocessing)?;
        let examples = work
            .run
            .examples(work.layer)?
            .collect::<Result<Vec<_>, StoreError>>()?;
        let info = layers.get(index).context("a layer is missing")?;
        let mut natural = Self {
            layer: &info.info,
            crops: work.crops,
            examples,
            probe: Arc::new(probe),
            extents,
            ordinary: Profile::new(),
        };
        let step = (info.info.channels as usize).div_ceil(ORDINARY).max(1);
        let some = (0..info.info.channels).step_by(step).map(ChannelId);
        let best: Vec<DatasetExample> = some
            .filter_map(|channel| natural.best(channel).first().copied())
            .collect();
        let profiles = natural.judge().profiles(&best);
        natural.ordinary = mean_profile(&profiles);
        Ok(natural)
    }

    /// The channel's examples, best first.
    fn best(&self, channel: ChannelId) -> &[DatasetExample] {
        let start = self
            .examples
            .partition_point(|example| example.channel < channel);
        let end = self
            .examples
            .partition_point(|example| example.channel <= channel);
        self.examples.get(start..end).unwrap_or_default()
    }

    fn judge(&self) -> Judge<'_> {
        Judge {
            natural: self,
            session: self.probe.session(),
        }
    }
}

/// One worker's comparison with natural images.
struct Judge<'a> {
    natural: &'a Natural<'a>,
    session: ProbeSession,
}

impl Judge<'_> {
    /// Of the examples whose images can be read.
    fn profiles(&mut self, examples: &[DatasetExample]) -> Vec<Profile> {
        let natural = self.natural;
        let Some(crops) = natural.crops else {
            return Vec::new();
        };
        let windows = examples
            .iter()
            .filter_map(|example| crops.window(natural.layer, example, natural.extents).ok());
        windows
            .filter_map(|window| self.session.profile(&window).ok())
            .collect()
    }

    fn naturalness(&mut self, made: &Rendering, best: &[DatasetExample]) -> Result<Option<f32>> {
        let images = self.profiles(best.get(..COMPARED).unwrap_or(best));
        if images.is_empty() || self.natural.ordinary.is_empty() {
            return Ok(None);
        }
        let own = self.session.profile(&made.picture)?;
        Ok(naturalness(&own, &images, &self.natural.ordinary))
    }
}

/// Pictures of equal extents side by side.
fn jpeg(pictures: &[Rendering]) -> Result<Vec<u8>> {
    let [height, width] = pictures.first().map_or([0, 0], |first| first.extents);
    let mut pixels = Vec::with_capacity(3 * height * width * pictures.len());
    for row in 0..height {
        for made in pictures {
            for position in row * width..(row + 1) * width {
                for colour in 0..3 {
                    let value = made.picture.get(colour * height * width + position);
                    pixels.push((value.copied().unwrap_or(0.5) * 255.0).round() as u8);
                }
            }
        }
    }
    let width = width * pictures.len();
    let image = DecodedImage::from_rgb(width as u32, height as u32, pixels);
    let image = image.context("the picture has the wrong extents")?;
    Ok(encode_jpeg(&image, JPEG_QUALITY)?)
}

/// What was done, per layer.
#[derive(Default)]
struct Summary {
    rendered: u32,
    kept: u32,
    layers: Vec<LayerSummary>,
}

/// Figures of one layer's pictures.
#[derive(Default, serde::Serialize)]
struct LayerSummary {
    layer: String,
    channels: u32,
    /// Activation in units of the best image's.
    relative: Vec<f32>,
    unnatural: u32,
    judged: u32,
    steps: u64,
}

impl Summary {
    fn add(&mut self, layer: &str, record: &FeatureRecord) {
        if self.layers.last().is_none_or(|last| last.layer != layer) {
            self.layers.push(LayerSummary {
                layer: layer.to_owned(),
                ..LayerSummary::default()
            });
        }
        let Some(last) = self.layers.last_mut() else {
            return;
        };
        last.channels += 1;
        last.relative.extend(record.relative_activation());
        last.judged += u32::from(record.naturalness.is_some());
        last.unnatural += u32::from(record.is_unnatural());
        last.steps += u64::from(record.steps);
    }

    fn print(&mut self, args: &FeatvisArgs) -> Result<()> {
        let mut lines = vec![format!(
            "{}: {} pictures rendered, {} there already",
            args.run.display(),
            self.rendered,
            self.kept
        )];
        let mut rows = Vec::new();
        for layer in &mut self.layers {
            layer.relative.sort_by(f32::total_cmp);
            let count = layer.relative.len();
            let mean = layer.relative.iter().sum::<f32>() / count.max(1) as f32;
            let median = layer.relative.get(count / 2).copied();
            let above = layer
                .relative
                .iter()
                .filter(|&&relative| relative > 1.0)
                .count();
            let share = 100.0 * above as f64 / count.max(1) as f64;
            rows.push(serde_json::json!({
                "layer": layer.layer, "channels": layer.channels, "mean_relative": mean,
                "median_relative": median, "percent_above_best_image": share,
                "unnatural": layer.unnatural, "judged": layer.judged,
                "mean_steps": layer.steps as f64 / f64::from(layer.channels.max(1)),
            }));
            lines.push(format!(
                "{}: {} channels, activation {mean:.2} x the best image's in the mean ({:.2} in the median), \
                 {share:.1} % above it; {} of {} not processed like natural images",
                layer.layer,
                layer.channels,
                median.unwrap_or(0.0),
                layer.unnatural,
                layer.judged
            ));
        }
        if args.json {
            let summary = serde_json::json!({
                "run": args.run, "rendered": self.rendered, "kept": self.kept, "layers": rows,
            });
            return message::print(&serde_json::to_string_pretty(&summary)?);
        }
        message::print(&lines.join("\n"))
    }
}
