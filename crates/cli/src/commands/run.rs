//! `summit run`: the pass over the images.

use crate::args::RunArgs;
use crate::model::{self, LabelledImages};
use crate::{message, progress, sample};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use summit_images::{DecodeLimits, ImageSource, Preprocessing};
use summit_nn::layers::LayerValue;
use summit_nn::onnx::Model;
use summit_store::{ImageList, ImageRange, ModelEntry, RunSpec, RunWriter, ShardData, StoreError};
use summit_summarize::{Inputs, Pass, PassOptions, Progress, ShardTables, run_shards};
use summit_tables::{ChannelId, LayerId, TopRule};

/// Below this top-1 on the sample, other preprocessings are tried.
const SUSPICIOUS_ACCURACY: f64 = 0.6;

/// How much better another one must be to be named, as a share of the sample.
const CLEARLY_BETTER: f64 = 0.1;

/// Images of the sample looked at before a run.
const SAMPLE: usize = 200;

pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let max_skipped = args.max_skipped.as_deref().map(parse_limit).transpose()?;
    let threads = args.threads.unwrap_or_else(super::default_threads).max(1);
    let loaded = model::load_from(&args.model)?;
    let preprocessing = model::preprocessing(&loaded, &args.images.preprocessing)?;
    let (layers, blocks) = model::layers(&loaded, &args.layers)?;
    let options = pass_options(args, &layers)?;
    let pass = Arc::new(Pass::new(&loaded.graph, &layers, &blocks, options)?);
    let images = model::images(&loaded, &args.model.model, &args.images)?;
    for skipped in images.source.list().skipped.iter().take(5) {
        message::warning(&format!(
            "passed over: {}: {}",
            skipped.path, skipped.reason
        ));
    }
    message::note(&format!("preprocessing: {preprocessing}"));

    let spec = spec(args, &loaded, &pass, &preprocessing, &images)?;
    let mut writer = RunWriter::create_or_resume(&args.out, spec)?;
    write_source(&args.out, &args.images.images)?;
    if writer.is_complete() {
        message::note(&format!("{} is complete already", args.out.display()));
    } else {
        let before = writer.manifest().counts.done + writer.manifest().counts.skipped;
        if before > 0 {
            message::note(&format!("continuing: {before} images are done"));
        } else if !args.no_check {
            look_at_sample(&loaded, &images, &preprocessing, threads)?;
        }
        let finished = summarise(&pass, &images, &preprocessing, &mut writer, args, threads)?;
        if !finished {
            message::note(&format!(
                "stopped; what is done is kept. Continue with the same command: {}",
                args.out.display()
            ));
            return Ok(ExitCode::from(2));
        }
    }
    report(args, &writer, max_skipped)
}

fn pass_options(args: &RunArgs, layers: &[LayerValue]) -> Result<PassOptions> {
    let rule = match args.top_k {
        Some(0) => bail!("--top-k must be at least 1"),
        Some(count) => TopRule::TopK(count),
        None if args.mass > 0.0 && args.mass <= 1.0 => TopRule::Mass(args.mass),
        None => bail!("--mass must be above 0 and at most 1, not {}", args.mass),
    };
    let mut excluded = Vec::new();
    for text in &args.exclude {
        let (layer, channel) = text
            .rsplit_once(':')
            .with_context(|| format!("--exclude {text}: LAYER:CHANNEL is needed"))?;
        let index = layers
            .iter()
            .position(|known| known.info.name == layer)
            .with_context(|| format!("--exclude {text}: there is no layer \"{layer}\""))?;
        let channel = channel
            .parse()
            .with_context(|| format!("--exclude {text}: \"{channel}\" is not a channel"))?;
        excluded.push((LayerId::from_index(index), ChannelId(channel)));
    }
    excluded.sort_unstable();
    excluded.dedup();
    Ok(PassOptions {
        rule,
        influence: !args.no_influence,
        excluded,
        ..PassOptions::default()
    })
}

fn spec(
    args: &RunArgs,
    loaded: &Model,
    pass: &Pass,
    preprocessing: &Preprocessing,
    images: &LabelledImages,
) -> Result<RunSpec> {
    let input = model::input_shape(loaded)?;
    let list = images.source.list();
    let name = args
        .model
        .model
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let excluded: Vec<String> = args.exclude.clone();
    let passed_over: Vec<_> = list.skipped.iter().take(1000).collect();
    Ok(RunSpec {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        model: ModelEntry {
            name,
            sha256: model::sha256(&args.model.model)?,
            input_shape: vec![input.channels, input.height, input.width],
            info: pass.info().clone(),
        },
        parameters: serde_json::json!({
            "top_rule": if let Some(k) = args.top_k { TopRule::TopK(k) } else { TopRule::Mass(args.mass) },
            "influence": if args.no_influence { serde_json::Value::Null } else { "conv-max".into() },
            "inputs_per_output": PassOptions::default().inputs_per_output,
            "excluded": excluded,
            "passed_over": passed_over,
        }),
        preprocessing: serde_json::to_value(preprocessing)?,
        classes: images.classes.clone(),
        images: ImageList {
            listed: list.items.len() as u32,
            sha256: list.list_hash.to_string(),
        },
    })
}

/// Remembers where the images lie, for the pictures of later commands. Not part of the results.
fn write_source(out: &Path, images: &Path) -> Result<()> {
    let root = std::fs::canonicalize(images).unwrap_or_else(|_| images.to_owned());
    let text = serde_json::to_string_pretty(&serde_json::json!({ "images": root }))?;
    let path = out.join(summit_site::SOURCE_FILE);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Reports accuracy on a sample and warns when it looks like a preprocessing error.
fn look_at_sample(
    loaded: &Model,
    images: &LabelledImages,
    preprocessing: &Preprocessing,
    threads: usize,
) -> Result<()> {
    let labelled = images.labels.iter().flatten().count();
    if labelled < 20 {
        return Ok(());
    }
    let count = SAMPLE.min(labelled.div_ceil(5)).max(20);
    let mut candidates = sample::candidates(preprocessing, model::input_shape(loaded)?);
    sample::measure(&loaded.graph, images, &mut candidates[..1], count, threads)?;
    let configured = candidates[0].clone();
    if configured.images == 0 {
        return Ok(());
    }
    let percent = |count: u32| 100.0 * f64::from(count) / f64::from(configured.images);
    message::note(&format!(
        "on a sample of {} images: top-1 {:.1} %, top-5 {:.1} %",
        configured.images,
        percent(configured.top1),
        percent(configured.top5)
    ));
    if configured.accuracy() >= SUSPICIOUS_ACCURACY {
        return Ok(());
    }
    sample::measure(&loaded.graph, images, &mut candidates[1..], count, threads)?;
    let best = candidates[1..].iter().max_by(|a, b| a.top1.cmp(&b.top1));
    if let Some(best) = best.filter(|b| b.accuracy() >= configured.accuracy() + CLEARLY_BETTER) {
        message::warning(&format!(
            "THE PREPROCESSING LOOKS WRONG: with \"{}\" top-1 is {:.1} % ({}). See `summit check`.",
            best.name,
            100.0 * best.accuracy(),
            best.preprocessing
        ));
    } else if configured.accuracy() < 5.0 / loaded.classes().max(1) as f64 {
        message::warning(
            "top-1 is close to chance: the preprocessing or the labels are probably wrong. See `summit check`.",
        );
    }
    Ok(())
}

/// Runs the missing shards; false when stopped by the user.
fn summarise(
    pass: &Arc<Pass>,
    images: &LabelledImages,
    preprocessing: &Preprocessing,
    writer: &mut RunWriter,
    args: &RunArgs,
    threads: usize,
) -> Result<bool> {
    let stop = Arc::new(AtomicBool::new(false));
    install_stop(&stop)?;
    let list = images.source.list();
    let limits = DecodeLimits::default();
    let inputs = Inputs {
        source: &images.source,
        items: &list.items,
        labels: &images.labels,
        preprocessing,
        limits: &limits,
    };
    let counts = writer.manifest().counts;
    let before = counts.done + counts.skipped;
    let ranges = writer
        .missing_shards(args.shard_images.max(1))
        .into_iter()
        .map(|range| range.start.0..range.end.0)
        .collect();
    let progress = Progress::default();
    let finished = AtomicBool::new(false);
    let start = std::time::Instant::now();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| progress::show(&progress, before, counts.listed, &finished));
        let outcome = run_shards(
            pass,
            inputs,
            ranges,
            threads,
            &progress,
            &stop,
            |range, tables| {
                let range = ImageRange::new(range.start, range.end);
                writer.commit_shard(range, &shard_data(tables))
            },
        );
        finished.store(true, Ordering::Relaxed);
        outcome
    });
    outcome.map_err(|error| match error {
        summit_summarize::RunError::Shard(error) => anyhow::Error::from(error),
        worker => anyhow::Error::msg(worker.to_string()),
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let seen = progress::seen(&progress);
    let network = progress.network_ns.load(Ordering::Relaxed) as f64;
    let decode = progress.decode_ns.load(Ordering::Relaxed) as f64;
    message::note(&format!(
        "{seen} images in {seconds:.1} s: {:.1} images/s, {:.0} % of the work in the network and its summaries",
        f64::from(seen) / seconds.max(1e-9),
        100.0 * network / (network + decode).max(1.0)
    ));
    if writer.manifest().counts.done + writer.manifest().counts.skipped < counts.listed {
        return Ok(false);
    }
    message::note("writing the tables");
    writer.finalize()?;
    Ok(true)
}

fn shard_data(tables: ShardTables) -> ShardData {
    let ShardTables {
        images,
        skipped,
        layers,
        activations,
        influence,
    } = tables;
    ShardData {
        images,
        skipped,
        layers,
        activations,
        influence,
    }
}

/// The first Ctrl-C stops at the next shard boundary, the second at once.
fn install_stop(stop: &Arc<AtomicBool>) -> Result<()> {
    let stop = Arc::clone(stop);
    ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        message::note(
            "stopping when the shards under way are done; press Ctrl-C again to stop at once",
        );
    })
    .context("cannot listen for Ctrl-C")
}

/// A number of images, or a share of them.
#[derive(Clone, Copy)]
enum Limit {
    Images(u32),
    Percent(f64),
}

fn parse_limit(text: &str) -> Result<Limit> {
    let problem = || format!("--max-skipped {text}: a number or a percentage is needed");
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.trim().parse().with_context(problem)?;
            if !(0.0..=100.0).contains(&percent) {
                bail!(problem());
            }
            Ok(Limit::Percent(percent))
        }
        None => Ok(Limit::Images(text.parse().with_context(problem)?)),
    }
}

/// The closing summary: what the run holds, from its tables.
fn report(args: &RunArgs, writer: &RunWriter, max_skipped: Option<Limit>) -> Result<ExitCode> {
    let run = summit_store::Run::open(&args.out)?;
    let counts = writer.manifest().counts;
    let (mut labelled, mut top1, mut top5) = (0u32, 0u32, 0u32);
    for record in run.images()? {
        let record = record?;
        if let Some(label) = record.label {
            labelled += 1;
            top1 += u32::from(record.top_classes.first() == Some(&label));
            top5 += u32::from(record.top_classes.contains(&label));
        }
    }
    let skipped: Vec<_> = run.skipped()?.collect::<Result<_, StoreError>>()?;
    let share = |count: u32| (labelled > 0).then(|| f64::from(count) / f64::from(labelled));
    if args.json {
        let summary = serde_json::json!({
            "run": args.out, "images": counts.done, "skipped": counts.skipped,
            "layers": run.model_info().layers.len(), "labelled": labelled,
            "top1": share(top1), "top5": share(top5),
        });
        message::print(&serde_json::to_string_pretty(&summary)?)?;
    } else {
        message::print(&format!(
            "{}: {} images, {} layers",
            args.out.display(),
            counts.done,
            run.model_info().layers.len()
        ))?;
        if let (Some(top1), Some(top5)) = (share(top1), share(top5)) {
            message::print(&format!(
                "top-1 {:.2} %, top-5 {:.2} % of {labelled} labelled images",
                100.0 * top1,
                100.0 * top5
            ))?;
        }
    }
    for image in skipped.iter().take(10) {
        message::warning(&format!("skipped: {}: {}", image.path, image.reason));
    }
    if skipped.len() > 10 {
        message::warning(&format!(
            "and {} more, in skipped.parquet",
            skipped.len() - 10
        ));
    }
    let too_many = match max_skipped {
        None => false,
        Some(Limit::Images(limit)) => counts.skipped > limit,
        Some(Limit::Percent(limit)) => {
            f64::from(counts.skipped) * 100.0 > limit * f64::from(counts.listed)
        }
    };
    if too_many {
        message::warning(&format!(
            "{} of {} images were skipped, more than allowed",
            counts.skipped, counts.listed
        ));
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}
