//! `summit featvis`: pictures of what excites the channels of a run.
//!
//! One layer after the other; of a layer one channel per worker at a time. A finished picture is
//! committed at once, so the command may be killed at any time and given again.

use super::flow::groups;
use super::{default_threads, layer_name, layers};
use crate::evidence_args::{FeaturePreset, FeatvisArgs};
use crate::features::{FeatureMaker, FeatureSettings, Subject, alone};
use crate::network::{RunNetwork, originals};
use crate::recount::NetworkRecount;
use crate::{message, model, progress};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use summit_explain::find_class;
use summit_query::{GraphChoices, Questions};
use summit_site::feature_sheet;
use summit_store::{FeaturePicture, FeatureRecord, FeatureWriter};
use summit_tables::{ChannelId, LayerId};

/// Tiles in a row of a sheet.
const SHEET_COLUMNS: u32 = 8;

/// Side of a sheet's tiles, pixels.
const SHEET_TILE: u32 = 128;

/// Channels to render, by layer.
type Wanted = BTreeMap<LayerId, BTreeSet<ChannelId>>;

pub fn run(args: &FeatvisArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let network = RunNetwork::open(&questions, &args.recount)?;
    if let Some(subject) = subject(args, &questions)? {
        return draw_alone(args, &network, subject);
    }
    let wanted = sampled(wanted(args, &questions)?, args.sample);
    let without = "pictures are not compared with natural images";
    let crops = originals(&questions, args.recount.images.as_deref(), without)?;
    let maker = FeatureMaker {
        questions: &questions,
        network: &network,
        crops: crops.as_ref(),
        settings: settings(args),
    };
    let writer = FeatureWriter::new(&args.run, maker.settings.json())?;
    let mut summary = Summary::default();
    for (&layer, channels) in &wanted {
        render(args, maker, &writer, (layer, channels), &mut summary)?;
    }
    if let Some(path) = &args.sheet {
        let channels: Vec<_> = flat(&wanted).collect();
        let sheet = feature_sheet(questions.run(), &channels, SHEET_COLUMNS, SHEET_TILE)?;
        std::fs::write(path, sheet).with_context(|| format!("cannot write {}", path.display()))?;
    }
    summary.print(args)?;
    Ok(ExitCode::SUCCESS)
}

/// What is drawn where it is no channel.
fn subject(args: &FeatvisArgs, questions: &Questions) -> Result<Option<Subject>> {
    if let Some(text) = &args.logit {
        let class = find_class(questions.classes(), text).context("--logit")?;
        return Ok(Some(Subject::Logit(class)));
    }
    let Some(text) = &args.joint else {
        return Ok(None);
    };
    let channels = || -> Result<Subject> {
        let (first, other) = text
            .rsplit_once('+')
            .with_context(|| format!("\"{text}\": LAYER:CHANNEL+CHANNEL is needed"))?;
        let (layer, one) = model::find_channel(first, questions.layers())?;
        let name = layer_name(questions, layer);
        let (_, other) = model::find_channel(&format!("{name}:{other}"), questions.layers())?;
        Ok(Subject::Joint(layer, [one, other]))
    };
    channels().map(Some).context("--joint")
}

fn draw_alone(args: &FeatvisArgs, network: &RunNetwork, subject: Subject) -> Result<ExitCode> {
    let out = args.out.as_deref().context("--out is needed")?;
    let (jpeg, made) = alone(network, subject, &settings(args))?;
    std::fs::write(out, jpeg).with_context(|| format!("cannot write {}", out.display()))?;
    let (path, objective, steps) = (out.display(), made.objective, made.steps);
    message::print(&format!(
        "{path}: objective {objective:.4} after {steps} steps\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn settings(args: &FeatvisArgs) -> FeatureSettings {
    let preset = match args.preset {
        FeaturePreset::Standard => FeatureSettings::STANDARD,
        FeaturePreset::Fast => FeatureSettings::FAST,
    };
    FeatureSettings {
        steps: args.steps.unwrap_or(preset.steps),
        largest_side: args.side.unwrap_or(preset.largest_side),
        seed: args.seed,
        parameterisation: args.parameterisation,
    }
}

fn wanted(args: &FeatvisArgs, questions: &Questions) -> Result<Wanted> {
    let mut wanted = Wanted::new();
    if args.all || !args.layers.is_empty() {
        for layer in layers(questions, &args.layers).context("--layer")? {
            let info = questions.layers().get(layer.index());
            let channels = info.map_or(0, |info| info.channels);
            wanted.insert(layer, (0..channels).map(ChannelId).collect());
        }
    }
    for text in &args.channels {
        let (layer, channel) =
            model::find_channel(text, questions.layers()).context("--channel")?;
        wanted.entry(layer).or_default().insert(channel);
    }
    if wanted.is_empty() || !args.groups.is_empty() {
        add_graphs(args, questions, &mut wanted)
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

/// Adds the channels of the graphs of the groups asked for, or of all classes.
fn add_graphs(args: &FeatvisArgs, questions: &Questions, wanted: &mut Wanted) -> Result<()> {
    let recount = NetworkRecount::new(questions, &args.recount);
    for group in groups(questions, &args.groups)? {
        let found = questions.graph(&group, &GraphChoices::default(), &recount)?;
        for node in found.graph.nodes {
            let layer = wanted.entry(LayerId(node.layer)).or_default();
            layer.insert(node.channel);
        }
    }
    Ok(())
}

/// Renders what is missing of a layer.
fn render(
    args: &FeatvisArgs,
    maker: FeatureMaker<'_>,
    writer: &FeatureWriter,
    (layer, wanted): (LayerId, &BTreeSet<ChannelId>),
    summary: &mut Summary,
) -> Result<()> {
    let info = maker.questions.layers().get(layer.index());
    let info = info.context("a layer is missing")?;
    let mut features = writer.layer(info)?;
    let kind = if args.detail {
        FeaturePicture::Detail
    } else {
        FeaturePicture::Feature
    };
    let has = |channel: &&ChannelId| features.has(**channel, kind);
    let (there, missing): (Vec<_>, Vec<_>) = wanted.iter().partition(has);
    summary.kept += there.len() as u32;
    if !missing.is_empty() {
        let layer = maker.layer(layer)?;
        let threads = args.threads.map_or_else(default_threads, usize::from);
        let bar = progress::bar("rendering", "channels");
        bar.set_length(missing.len() as u64);
        bar.set_message(format!("{}, ", info.name));
        let next = AtomicUsize::new(0);
        let (results, finished) = mpsc::channel();
        std::thread::scope(|scope| -> Result<()> {
            for _ in 0..threads.min(missing.len()) {
                let results = results.clone();
                let (missing, next, layer) = (&missing, &next, &layer);
                scope.spawn(move || {
                    let mut worker = layer.worker();
                    while let Some(&&channel) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let made = worker.channel(channel, args.detail);
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
    }
    let mut records = features.records();
    let own = records
        .by_ref()
        .filter(|(channel, _)| wanted.contains(channel));
    own.for_each(|(_, record)| summary.add(&info.name, record));
    Ok(())
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
