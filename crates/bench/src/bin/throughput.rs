//! Images per second of the main job and of the plain network, beside ONNX Runtime running the
//! plain network on the same cores. Contenders take turns; medians of all rounds are reported.
//!
//! `cargo run --release -p summit-bench --bin throughput -- --model net.onnx --images photos/`
#![allow(clippy::print_stdout, reason = "a report")]

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use summit_images::{
    DecodeLimits, ImageFolder, ImageSource, InputShape, ScanOptions, from_metadata,
};
use summit_nn::backend::{Backend, Device, OrtBackend, OrtModel, Runner};
use summit_nn::exec::{CompileOptions, Hooks, Network, RunError, Session};
use summit_nn::grad::{Request, derive};
use summit_nn::graph::ValueId;
use summit_nn::layers::{find_blocks, find_layers};
use summit_nn::onnx::{LoadOptions, Model, load};
use summit_summarize::{Inputs, Pass, PassOptions, Progress, run_shards};

/// What is measured: runs for about the given time and returns images per second.
type Contender = Box<dyn FnMut(Duration) -> Result<f64>>;

/// Loads a contender.
type Make<'a> = Box<dyn Fn() -> Result<Contender> + 'a>;

struct Arguments {
    model: PathBuf,
    images: Option<PathBuf>,
    threads: usize,
    rounds: usize,
    seconds: f64,
    gradient: bool,
}

fn arguments() -> Result<Arguments> {
    let mut parsed = Arguments {
        model: PathBuf::new(),
        images: None,
        threads: 2,
        rounds: 5,
        seconds: 2.0,
        gradient: false,
    };
    let mut rest = std::env::args().skip(1);
    while let Some(flag) = rest.next() {
        if flag == "--gradient" {
            parsed.gradient = true;
            continue;
        }
        let value = rest
            .next()
            .with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--model" => parsed.model = value.into(),
            "--images" => parsed.images = Some(value.into()),
            "--threads" => parsed.threads = value.parse()?,
            "--rounds" => parsed.rounds = value.parse()?,
            "--seconds" => parsed.seconds = value.parse()?,
            _ => bail!("unknown argument {flag}"),
        }
    }
    Ok(parsed)
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let model = load(&arguments.model, &LoadOptions::default())?;
    let threads = arguments.threads;
    let mut contenders: Vec<(String, Make<'_>)> = Vec::new();
    for (name, runners, own) in [
        ("one thread a session", threads, 1),
        ("all threads in one session", 1, threads),
    ] {
        let (path, model) = (&arguments.model, &model);
        contenders.push((
            format!("ONNX Runtime, plain network, {name}"),
            Box::new(move || {
                let backend = onnx_runtime(path, model, own)?;
                plain(Arc::new(backend), model, runners)
            }),
        ));
    }
    for (name, workers) in [("", threads), (", one worker", 1)] {
        let model = &model;
        contenders.push((
            format!("Summit, plain network{name}"),
            Box::new(move || {
                let network = Network::compile(&model.graph, &CompileOptions::default())?;
                plain(Arc::new(network), model, workers)
            }),
        ));
    }
    if arguments.gradient {
        let model = &model;
        contenders.push((
            "Summit, network and gradient of a class by the image".to_owned(),
            Box::new(move || gradient(model, threads)),
        ));
    }
    if let Some(images) = &arguments.images {
        for (name, influence, workers) in [
            ("Summit, main job without influence", false, threads),
            ("Summit, main job", true, threads),
            ("Summit, main job, one worker", true, 1),
        ] {
            let model = &model;
            contenders.push((
                name.to_owned(),
                Box::new(move || main_job(model, images, influence, workers)),
            ));
        }
    }
    let mut rates = vec![Vec::new(); contenders.len()];
    let mut peaks = vec![None; contenders.len()];
    for _ in 0..arguments.rounds {
        for (((_, make), rates), peak) in contenders.iter().zip(&mut rates).zip(&mut peaks) {
            // Alone in memory: threads and caches of another would slow it down.
            forget_peak();
            let mut contender = make()?;
            rates.push(contender(Duration::from_secs_f64(arguments.seconds))?);
            *peak = peak_memory_mib().max(*peak);
        }
    }
    let medians: Vec<f64> = rates
        .iter_mut()
        .map(|rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        })
        .collect();
    let peer = medians[0].max(medians[1]);
    println!(
        "{}: images/s on {threads} threads, medians of {} rounds of {} s, ratio to the better ONNX Runtime, peak memory",
        arguments
            .model
            .file_name()
            .unwrap_or_default()
            .to_string_lossy(),
        arguments.rounds,
        arguments.seconds
    );
    for (((name, _), median), peak) in contenders.iter().zip(&medians).zip(peaks) {
        let peak = peak.map_or(String::new(), |peak| format!("{peak:5} MiB"));
        println!("{median:8.1} {:6.2} x {peak}  {name}", median / peer);
    }
    Ok(())
}

fn onnx_runtime(path: &Path, model: &Model, threads: usize) -> Result<OrtBackend> {
    Ok(OrtBackend::new(&OrtModel {
        bytes: &std::fs::read(path)?,
        folder: path.parent(),
        graph: &model.graph,
        observed: &[],
        device: Device::Cpu,
        threads,
    })?)
}

/// The network alone, `threads` runners side by side.
fn plain(backend: Arc<dyn Backend>, model: &Model, threads: usize) -> Result<Contender> {
    let input = input_of(model);
    let runners: Vec<Box<dyn Runner>> = (0..threads)
        .map(|_| backend.runner())
        .collect::<Result<_, _>>()?;
    repeat(runners, move |runner| {
        runner.run(&input, &mut |_, _| {}).map(drop)
    })
}

/// The network and the gradient of one class's logit by the image, `threads` sessions side by side.
fn gradient(model: &Model, threads: usize) -> Result<Contender> {
    let mut request = Request::new(model.graph.output, 1);
    request.wrt.push(model.graph.input);
    let derived = derive(&model.graph, &request)?;
    let options = CompileOptions {
        observed: derived.gradients.into_iter().flatten().collect(),
        ..CompileOptions::default()
    };
    let network = Network::compile(&derived.graph, &options)?;
    let input = input_of(model);
    let sessions: Vec<Session> = (0..threads).map(|_| network.session()).collect();
    repeat(sessions, move |session| {
        session.run_with(&input, &mut Class).map(drop)
    })
}

/// The gradient of one class's logit.
struct Class;

impl Hooks for Class {
    fn feed(&mut self, _: ValueId, data: &mut [f32]) {
        data[7] = 1.0;
    }
}

/// Numbers like those of a preprocessed photograph.
fn input_of(model: &Model) -> Vec<f32> {
    let shape = &model.graph.values[model.graph.input.index()].shape;
    (0..shape.iter().product::<usize>())
        .map(|k| ((k * 7919) % 511) as f32 / 256.0 - 1.0)
        .collect()
}

/// All workers side by side, each doing its work over and over.
fn repeat<W: Send + 'static>(
    mut workers: Vec<W>,
    work: impl Fn(&mut W) -> Result<(), RunError> + Send + Sync + 'static,
) -> Result<Contender> {
    for worker in &mut workers {
        work(worker)?;
    }
    Ok(Box::new(move |duration| {
        let stop = AtomicBool::new(false);
        let start = Instant::now();
        let counts: Vec<Result<usize, _>> = std::thread::scope(|scope| {
            let running: Vec<_> = workers
                .iter_mut()
                .map(|worker| {
                    let (stop, work) = (&stop, &work);
                    scope.spawn(move || {
                        let mut count = 0;
                        while !stop.load(Ordering::Relaxed) {
                            work(worker)?;
                            count += 1;
                        }
                        Ok::<usize, RunError>(count)
                    })
                })
                .collect();
            std::thread::sleep(duration);
            stop.store(true, Ordering::Relaxed);
            running
                .into_iter()
                .map(|thread| thread.join().unwrap_or(Ok(0)))
                .collect()
        });
        let total: usize = counts.into_iter().sum::<Result<usize, _>>()?;
        Ok(total as f64 / start.elapsed().as_secs_f64())
    }))
}

/// Decoding, network and summaries of real images, shard by shard, nothing written.
fn main_job(model: &Model, images: &Path, influence: bool, threads: usize) -> Result<Contender> {
    let layers = find_layers(&model.graph);
    let blocks = find_blocks(&model.graph, &layers);
    let options = PassOptions {
        influence,
        ..PassOptions::default()
    };
    let pass = Arc::new(Pass::new(&model.graph, &layers, &blocks, options)?);
    let source = ImageFolder::scan(images, &ScanOptions::default())?;
    let &[_, channels, height, width] = model.graph.values[model.graph.input.index()]
        .shape
        .as_slice()
    else {
        bail!("the network's input is no image");
    };
    let input = InputShape {
        channels: channels as u32,
        height: height as u32,
        width: width as u32,
    };
    let preprocessing = from_metadata(&model.metadata, input).preprocessing;
    let mut next = 0;
    Ok(Box::new(move |duration| {
        let items = &source.list().items;
        let labels = vec![None; items.len()];
        let limits = DecodeLimits::default();
        let inputs = Inputs {
            source: &source,
            items,
            labels: &labels,
            preprocessing: &preprocessing,
            limits: &limits,
        };
        let start = Instant::now();
        let mut seen = 0;
        while start.elapsed() < duration {
            // Shards of 64 images, as many as keep all workers busy.
            let count = 64 * threads as u32;
            if next + count > items.len() as u32 {
                next = 0;
            }
            let ranges = (0..threads as u32)
                .map(|shard| next + 64 * shard..next + 64 * (shard + 1))
                .collect();
            next += count;
            run_shards(
                &pass,
                inputs,
                ranges,
                threads,
                &Progress::default(),
                &AtomicBool::new(false),
                |_, tables| {
                    seen += tables.images.len() + tables.skipped.len();
                    Ok::<(), std::convert::Infallible>(())
                },
            )?;
        }
        Ok(seen as f64 / start.elapsed().as_secs_f64())
    }))
}

/// Peak resident memory of this process since [`forget_peak`], MiB (Linux); part of it is what
/// earlier contenders' allocators kept.
fn peak_memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib >> 10)
}

/// Where the system does not offer it, peaks are those of all contenders so far.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
