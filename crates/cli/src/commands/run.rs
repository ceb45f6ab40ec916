//! `summit run`: the pass over the images.

use crate::args::{BackendArg, Limit, RunArgs};
use crate::model::{self, LabelledImages};
use crate::{message, progress, sample};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use summit_images::{DecodeLimits, ImageSource, Preprocessing, SkippedPath};
use summit_nn::layers::{Blocks, LayerValue};
use summit_nn::onnx::Model;
use summit_query::Questions;
use summit_store::{
    ImageList, ImageRange, ModelEntry, PassedOver, RunSpec, RunWriter, ShardData, Source,
    StoreError,
};
use summit_summarize::{Inputs, Pass, PassOptions, Progress, ShardTables, run_shards};
use summit_tables::{ChannelId, LayerId, LayerInfo, TopRule};

/// Below this top-1 on the sample, other preprocessings are tried.
const SUSPICIOUS_ACCURACY: f64 = 0.6;

/// How much better another one must be to be named, as a share of the sample.
const CLEARLY_BETTER: f64 = 0.1;

/// Images of the sample looked at before a run.
const SAMPLE: usize = 200;

/// Skipped images and passed-over entries listed on screen.
const LISTED_ON_SCREEN: usize = 10;

pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let threads = args
        .threads
        .map_or_else(super::default_threads, usize::from);
    let loaded = model::load_from(&args.model)?;
    let preprocessing = model::preprocessing(&loaded, &args.preprocessing)?;
    let (layers, blocks) = model::layers(&loaded, &args.layers)?;
    let pass = prepare(args, &loaded, &layers, &blocks)?;
    let images = model::images(&loaded, &args.model.model, &args.images)?;
    let passed_over = &images.source.list().skipped;
    list_on_screen(
        "passed over",
        passed_over.len(),
        passed_over.iter(),
        |entry| (&entry.path, &entry.reason),
    );
    message::note(&format!("preprocessing: {preprocessing}"));

    let spec = spec(args, &loaded, &pass, &preprocessing, &images)?;
    let mut writer = RunWriter::create_or_resume(&args.out, spec)?;
    write_source(args)?;
    if writer.is_complete() {
        message::note(&format!(
            "nothing to do: the run is complete: {}",
            args.out.display()
        ));
    } else {
        let before = writer.manifest().counts.done + writer.manifest().counts.skipped;
        if before > 0 {
            message::note(&format!(
                "continuing: {before} of {} images are done",
                writer.manifest().counts.listed
            ));
        } else if !args.no_check {
            look_at_sample(&loaded, &images, &preprocessing, threads)?;
        }
        let finished = summarise(&pass, &images, &preprocessing, &mut writer, args, threads)?;
        if !finished {
            let counts = writer.manifest().counts;
            message::note(&format!(
                "stopped with {} of {} images done, which are kept; give the same command again to \
                 continue: {}",
                counts.done + counts.skipped,
                counts.listed,
                args.out.display()
            ));
            return Ok(ExitCode::from(2));
        }
    }
    if let Some(measure) = args.signed.influence.signed() {
        super::flow::after_run(
            &args.out,
            measure,
            args.signed.influence_images,
            args.threads,
        )?;
    }
    report(args, &writer, passed_over)
}

/// Warns of the first few entries, with their reasons.
fn list_on_screen<'a, T: 'a>(
    what: &str,
    count: usize,
    entries: impl Iterator<Item = &'a T>,
    words: impl Fn(&'a T) -> (&'a String, &'a String),
) {
    for (path, reason) in entries.take(LISTED_ON_SCREEN).map(words) {
        message::warning(&format!("{what}: {path}: {reason}"));
    }
    if count > LISTED_ON_SCREEN {
        message::warning(&format!(
            "{what}: and {} more, listed in the run folder",
            count - LISTED_ON_SCREEN
        ));
    }
}

/// The pass on the backend asked for.
fn prepare(
    args: &RunArgs,
    loaded: &Model,
    layers: &[LayerValue],
    blocks: &Blocks,
) -> Result<Arc<Pass>> {
    let options = pass_options(args, layers)?;
    let mut pass = Pass::new(&loaded.graph, layers, blocks, options)?;
    match args.backend {
        BackendArg::Builtin if args.device != "cpu" => {
            bail!("--device {} needs --backend ort", args.device)
        }
        BackendArg::Builtin => {}
        BackendArg::Ort => use_ort(&mut pass, loaded, args)?,
    }
    Ok(Arc::new(pass))
}

/// Lets ONNX Runtime run the network, one thread a worker.
#[cfg(feature = "ort")]
fn use_ort(pass: &mut Pass, loaded: &Model, args: &RunArgs) -> Result<()> {
    use summit_nn::backend::{OrtBackend, OrtModel};
    let path = &args.model.model;
    let bytes = model::bytes(path)?;
    let backend = OrtBackend::new(&OrtModel {
        bytes: &bytes,
        folder: path.parent(),
        graph: &loaded.graph,
        observed: pass.observed(),
        device: args.device.parse().map_err(anyhow::Error::msg)?,
        threads: 1,
    })?;
    pass.run_on(Box::new(backend));
    Ok(())
}

#[cfg(not(feature = "ort"))]
fn use_ort(_: &mut Pass, _: &Model, _: &RunArgs) -> Result<()> {
    bail!("this summit was built without ONNX Runtime: build it with `--features ort`")
}

fn pass_options(args: &RunArgs, layers: &[LayerValue]) -> Result<PassOptions> {
    let rule = args.top_k.map_or(TopRule::Mass(args.mass), TopRule::TopK);
    let infos: Vec<_> = layers.iter().map(|layer| layer.info.clone()).collect();
    let mut excluded = args
        .exclude
        .iter()
        .map(|text| model::find_channel(text, &infos).context("--exclude"))
        .collect::<Result<Vec<_>>>()?;
    excluded.extend(proposed(args, layers)?);
    excluded.sort_unstable();
    excluded.dedup();
    Ok(PassOptions {
        rule,
        influence: !args.no_influence,
        excluded,
        ..PassOptions::default()
    })
}

/// Channels that are on top of most images of an earlier run.
fn proposed(args: &RunArgs, layers: &[LayerValue]) -> Result<Vec<(LayerId, ChannelId)>> {
    let Some(folder) = &args.exclude_outliers_of else {
        return Ok(Vec::new());
    };
    let questions = Questions::open(folder)?;
    let known = questions.layers().iter();
    let own = layers.iter().map(|layer| &layer.info);
    let shape = |layer: &LayerInfo| (layer.name.clone(), layer.channels);
    if !known.map(shape).eq(own.map(shape)) {
        bail!(
            "--exclude-outliers-of: the run has other layers: {}",
            folder.display()
        );
    }
    let found = questions.outliers()?;
    let of_layer = found.into_iter().flat_map(|outliers| {
        let channels = outliers.channels.into_iter();
        channels.map(move |outlier| (outliers.layer, outlier.channel))
    });
    Ok(of_layer.collect())
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
    let options = pass.options();
    let excluded: Vec<String> = options
        .excluded
        .iter()
        .filter_map(|(layer, channel)| {
            let layer = pass.info().layers.get(layer.index())?;
            Some(format!("{}:{}", layer.name, channel.0))
        })
        .collect();
    let passed_over = list.skipped.iter().map(|entry| PassedOver {
        path: entry.path.clone(),
        reason: entry.reason.clone(),
    });
    Ok(RunSpec {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        model: ModelEntry {
            name,
            sha256: model::sha256(&args.model.model)?,
            input_shape: vec![input.channels, input.height, input.width],
            info: pass.info().clone(),
        },
        parameters: serde_json::json!({
            "top_rule": options.rule,
            "influence": options.influence.then_some("conv-max"),
            "backend": match args.backend {
                BackendArg::Builtin => "builtin".to_owned(),
                BackendArg::Ort => format!("ort {}", args.device),
            },
            "inputs_per_output": options.inputs_per_output,
            "excluded": excluded,
        }),
        preprocessing: serde_json::to_value(preprocessing)?,
        classes: images.classes.clone(),
        images: ImageList {
            listed: list.items.len() as u32,
            sha256: list.list_hash.to_string(),
            passed_over: passed_over.collect(),
        },
    })
}

/// Remembers where network and images lie, for the pictures and recounts of later commands. Not part
/// of the results.
fn write_source(args: &RunArgs) -> Result<()> {
    let absolute = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let source = Source {
        images: Some(absolute(&args.images.images)),
        model: Some(absolute(&args.model.model)),
        input_shape: args.model.input_shape,
        output: args.model.output.clone(),
    };
    Ok(source.store(&args.out)?)
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
        .missing_shards(args.shard_images)
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
        other => anyhow::Error::msg(other.to_string()),
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

/// The closing summary: what the run holds, from its tables.
fn report(args: &RunArgs, writer: &RunWriter, passed_over: &[SkippedPath]) -> Result<ExitCode> {
    let run = summit_store::Run::open(&args.out)?;
    let counts = writer.manifest().counts;
    let skipped: Vec<_> = run.skipped()?.collect::<Result<_, StoreError>>()?;
    print_summary(args, &run, passed_over.len())?;
    list_on_screen("skipped", skipped.len(), skipped.iter(), |image| {
        (&image.path, &image.reason)
    });
    let unused = skipped.len() + passed_over.len();
    let all = counts.listed as usize + passed_over.len();
    let too_many = args.max_skipped.is_some_and(|limit| match limit {
        Limit::Images(limit) => unused > limit as usize,
        Limit::Percent(limit) => unused as f64 * 100.0 > limit * all as f64,
    });
    if too_many {
        message::warning(&format!(
            "{unused} of {all} images were skipped or passed over, more than --max-skipped allows"
        ));
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

fn print_summary(args: &RunArgs, run: &summit_store::Run, passed_over: usize) -> Result<()> {
    let counts = run.manifest().counts;
    let (mut labelled, mut top1, mut top5) = (0u32, 0u32, 0u32);
    for record in run.images()? {
        let record = record?;
        if let Some(label) = record.label {
            labelled += 1;
            top1 += u32::from(record.top_classes.first() == Some(&label));
            top5 += u32::from(record.top_classes.contains(&label));
        }
    }
    let share = |count: u32| (labelled > 0).then(|| f64::from(count) / f64::from(labelled));
    let layers = run.model_info().layers.len();
    if args.json {
        let summary = serde_json::json!({
            "run": args.out, "images": counts.done, "skipped": counts.skipped,
            "passed_over": passed_over, "layers": layers, "labelled": labelled,
            "top1": share(top1), "top5": share(top5),
        });
        return message::print(&serde_json::to_string_pretty(&summary)?);
    }
    message::print(&format!(
        "{}: {} images, {} skipped, {layers} layers",
        args.out.display(),
        counts.done,
        counts.skipped
    ))?;
    if let (Some(top1), Some(top5)) = (share(top1), share(top5)) {
        message::print(&format!(
            "top-1 {:.2} %, top-5 {:.2} % of {labelled} labelled images",
            100.0 * top1,
            100.0 * top5
        ))?;
    }
    Ok(())
}
