//! `summit run`: the pass over the images, from the plan to the tables in one process.

use super::plan::{Planned, list_on_screen};
use crate::interrupt::Interrupt;
use crate::model::{self, LabelledImages};
use crate::page::Page;
use crate::run_args::{Limit, RunArgs};
use crate::work::Work;
use crate::{message, sample};
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use summit_images::{ImageSource, Preprocessing, SkippedPath};
use summit_nn::onnx::Model;
use summit_site::Live;
use summit_site::schema::LivePhase;
use summit_store::{Counts, RunWriter, StoreError};
use summit_summarize::Progress;

/// Below this top-1 on the sample, other preprocessings are tried.
const SUSPICIOUS_ACCURACY: f64 = 0.6;

/// How much better another one must be to be named, as a share of the sample.
const CLEARLY_BETTER: f64 = 0.1;

/// Images of the sample looked at before a run.
const SAMPLE: usize = 200;

pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let told = Told {
        live: Live::default(),
        progress: Arc::default(),
        interrupt: Interrupt::of_process(),
    };
    let page = args
        .serve
        .then(|| Page::open(&args.address, &told.live, &told.progress))
        .transpose()?;
    let mut outcome = make(args, &told);
    if let Some(page) = page {
        let local = args.address.host.is_loopback();
        outcome = page.end(outcome, &args.plan.out, local, &told.interrupt);
    }
    Ok(outcome?.unwrap_or(ExitCode::from(2)))
}

/// Who hears of a run while it is made, and who stops it.
struct Told {
    live: Live,
    progress: Arc<Progress>,
    interrupt: Interrupt,
}

impl Told {
    fn phase(&self, phase: LivePhase, counts: Counts) {
        self.live.update(|file| {
            file.phase = phase;
            (file.done, file.skipped) = (counts.done, counts.skipped);
        });
    }

    /// What is known before the pass. Of images done before, classes are counted where anybody sees it.
    fn begin(&self, args: &RunArgs, planned: &Planned<'_>, writer: &RunWriter) -> Result<()> {
        let counts = writer.manifest().counts;
        let name = |path: &Path| {
            path.file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        };
        self.live.update(|file| {
            file.model = name(&args.plan.model.model);
            file.data_set = name(&args.plan.images.images);
            file.listed = counts.listed;
            file.before = counts.done + counts.skipped;
            (file.done, file.skipped) = (counts.done, counts.skipped);
        });
        if args.serve {
            for image in writer.images() {
                self.live.count(&planned.images.classes, &[image?]);
            }
        }
        Ok(())
    }
}

/// Makes the run, or what is missing of it; the exit code, none where the user stopped it.
fn make(args: &RunArgs, told: &Told) -> Result<Option<ExitCode>> {
    let threads = args
        .threads
        .map_or_else(super::default_threads, usize::from);
    let out = &args.plan.out;
    let planned = Planned::new(&args.plan)?;
    let mut writer = planned.begin(out)?;
    told.begin(args, &planned, &writer)?;
    if writer.is_complete() {
        message::note(&format!(
            "nothing to do: the run is complete: {}",
            out.display()
        ));
    } else {
        let before = writer.manifest().counts.done + writer.manifest().counts.skipped;
        if before > 0 {
            message::note(&format!(
                "continuing: {before} of {} images are done",
                writer.manifest().counts.listed
            ));
        } else if !args.no_check {
            let Planned {
                model,
                images,
                preprocessing,
                ..
            } = &planned;
            look_at_sample(model, images, preprocessing, threads)?;
        }
        let finished = summarise(&planned, &mut writer, args, threads, told)?;
        if !finished {
            let counts = writer.manifest().counts;
            message::note(&format!(
                "stopped with {} of {} images done, which are kept; give the same command again to \
                 continue: {}",
                counts.done + counts.skipped,
                counts.listed,
                out.display()
            ));
            return Ok(None);
        }
    }
    super::prepare(out);
    if let Some(measure) = args.signed.influence.signed() {
        told.phase(LivePhase::Influence, writer.manifest().counts);
        super::flow::after_run(out, measure, args.signed.influence_images, args.threads)?;
    }
    report(args, &writer, &planned.images.source.list().skipped).map(Some)
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

/// Runs the missing shards and makes the tables; false when stopped by the user.
fn summarise(
    planned: &Planned<'_>,
    writer: &mut RunWriter,
    args: &RunArgs,
    threads: usize,
    told: &Told,
) -> Result<bool> {
    let counts = writer.manifest().counts;
    let work = Work {
        pass: &planned.pass,
        source: &planned.images.source,
        items: &planned.images.source.list().items,
        labels: &planned.images.labels,
        preprocessing: &planned.preprocessing,
        threads,
        before: counts.done + counts.skipped,
        listed: counts.listed,
        progress: &told.progress,
        interrupt: &told.interrupt,
    };
    told.phase(LivePhase::Images, counts);
    let missing = writer.missing_shards(args.plan.shard_images);
    work.shards(&missing, |range, data| {
        writer.commit_shard(range, data)?;
        told.live.count(&planned.images.classes, &data.images);
        Ok(())
    })?;
    let counts = writer.manifest().counts;
    if counts.done + counts.skipped < counts.listed {
        told.phase(LivePhase::Images, counts);
        return Ok(false);
    }
    told.phase(LivePhase::Tables, counts);
    message::note("writing the tables");
    writer.finalize()?;
    Ok(true)
}

/// The closing summary: what the run holds, from its tables.
fn report(args: &RunArgs, writer: &RunWriter, passed_over: &[SkippedPath]) -> Result<ExitCode> {
    let run = summit_store::Run::open(&args.plan.out)?;
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
            "run": args.plan.out, "images": counts.done, "skipped": counts.skipped,
            "passed_over": passed_over, "layers": layers, "labelled": labelled,
            "top1": share(top1), "top5": share(top5),
        });
        return message::print(&serde_json::to_string_pretty(&summary)?);
    }
    message::print(&format!(
        "{}: {} images, {} skipped, {layers} layers",
        args.plan.out.display(),
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
