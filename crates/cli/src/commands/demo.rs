//! `summit demo`: the whole system on a small world made here.
//!
//! Writes images and a network, then runs this program's other commands on them, each as a user would
//! give it and printed as such; so nothing is done that a user could not do with own files.

use crate::args::{AddressArgs, DemoArgs, ServeArgs};
use crate::interrupt::Interrupt;
use crate::message;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering;
use summit_demo::{networks, world};

/// What to look for; docs/tutorial.md has it with pictures.
const GUIDE: &str = "\
Five things are planted in these images. What did the network make of them?
 1. A short cut. 95 of 100 fish are held by a hand. Class \"fish\": what excites channel 56 of mixed_b?
 2. Twins. Spotted and striped mushrooms differ in their cap's marks alone. Compare the two classes.
 3. Two kinds. Some clocks have a dial, some have digits. Class \"clock\": are its images one group?
 4. Strangers. A hand or two are elsewhere. Errors: what is taken for a fish?
 5. Wrong labels. Six images lie in the wrong folder. Errors: the worst margins.
truth.json beside the images has the answers; docs/tutorial.md finds each of them step by step.";

pub fn run(args: &DemoArgs) -> Result<ExitCode> {
    prepare(&args.out)?;
    // A command under way stops by itself, and this program after it.
    let interrupt = Interrupt::of_process();
    interrupt.listen_quietly()?;
    for step in steps(&args.out) {
        let done = child(&step)?;
        if interrupt.came().load(Ordering::Relaxed) {
            return Ok(ExitCode::from(2));
        }
        if done != 0 {
            return Ok(ExitCode::from(done));
        }
    }
    message::print(GUIDE)?;
    if args.no_serve {
        return Ok(ExitCode::SUCCESS);
    }
    super::serve::run(&ServeArgs {
        run: args.out.join("run"),
        address: AddressArgs {
            host: Ipv4Addr::LOCALHOST.into(),
            port: args.port,
            allow_host: Vec::new(),
            ui_dir: None,
        },
        images: None,
        model: None,
    })
}

/// Writes network, class names and images, where an earlier demonstration has not.
fn prepare(folder: &Path) -> Result<()> {
    let (images, network) = (folder.join("images"), folder.join("network.onnx"));
    let ours = std::fs::read(&network).is_ok_and(|bytes| bytes == networks::DEMO.onnx);
    if images.exists() && !ours {
        bail!("there are other images: {}; use --out", images.display());
    }
    if world::DEMO.is_written(&images) {
        return Ok(());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    write(&network, networks::DEMO.onnx)?;
    let labels = networks::DEMO.labels.as_bytes();
    write(&folder.join("network.labels.tsv"), labels)?;
    let truths = world::DEMO.write(&images)?;
    message::note(&format!(
        "drew {} images of {} classes: {}",
        truths.len(),
        world::Class::ALL.len(),
        images.display()
    ));
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Command lines, in order.
fn steps(folder: &Path) -> [Vec<OsString>; 4] {
    let [network, images, run, graphs] =
        ["network.onnx", "images", "run", "graphs"].map(|name| folder.join(name));
    [
        words(
            &["run"],
            &[
                (Some("--model"), &network),
                (Some("--images"), &images),
                (Some("--out"), &run),
            ],
            &["--mass", "0.2", "--influence", "flow"],
        ),
        words(
            &["graph"],
            &[(None, &run), (Some("--out"), &graphs)],
            &["--all", "--format", "svg"],
        ),
        words(
            &["evaluate"],
            &[(None, &run)],
            &["--fit", "8", "--held-out", "4", "--edge-images", "1"],
        ),
        words(&["featvis"], &[(None, &run)], &["--preset", "fast"]),
    ]
}

/// A command line of words, paths with their flags, and words again.
fn words(first: &[&str], paths: &[(Option<&str>, &Path)], last: &[&str]) -> Vec<OsString> {
    let mut line: Vec<OsString> = first.iter().map(OsString::from).collect();
    for (flag, path) in paths {
        line.extend(flag.map(OsString::from));
        line.push(path.into());
    }
    line.extend(last.iter().map(OsString::from));
    line
}

/// Runs this program; its exit code, 2 where a signal ended it.
fn child(arguments: &[OsString]) -> Result<u8> {
    let shown: Vec<_> = arguments
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    message::note(&format!("$ summit {}", shown.join(" ")));
    let program = std::env::current_exe().context("cannot find this program")?;
    let status = Command::new(program)
        .args(arguments)
        .status()
        .context("cannot start this program")?;
    Ok(status
        .code()
        .and_then(|code| code.try_into().ok())
        .unwrap_or(2))
}
