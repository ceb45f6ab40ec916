//! Wrong arguments: refused with a reason before anything is written; a closed pipe is no failure.

use crate::case::Case;
use crate::command::{BINARY, Summit};
use std::process::{Command, Stdio};

#[test]
fn values_out_of_range_are_refused() {
    struct Wrong {
        flags: &'static [&'static str],
        says: &'static str,
    }
    let wrong = |flags, says| Wrong { flags, says };
    let cases = [
        wrong(&["--threads", "0"], "--threads"),
        wrong(&["--threads", "1000000"], "--threads"),
        wrong(&["--shard-images", "0"], "--shard-images"),
        wrong(&["--shard-images", "-1"], "-1"),
        wrong(&["--mass", "0"], "above 0 and at most 1"),
        wrong(&["--mass", "2"], "above 0 and at most 1"),
        wrong(&["--mass", "nan"], "above 0 and at most 1"),
        wrong(&["--top-k", "0"], "--top-k"),
        wrong(&["--top-k", "3", "--mass", "0.1"], "cannot be used with"),
        wrong(
            &["--max-skipped", "many"],
            "a number of images or a percentage",
        ),
        wrong(
            &["--max-skipped", "101%"],
            "a number of images or a percentage",
        ),
        wrong(
            &["--max-skipped", "-1"],
            "a number of images or a percentage",
        ),
        wrong(&["--preset", "torch"], "imagenet-torch, imagenet-tf, caffe"),
        wrong(&["--mean", "1,2"], "three numbers"),
        wrong(&["--std", "0"], "std not 0"),
        wrong(&["--std", "nan,1,1"], "finite"),
        wrong(&["--resize", "squish"], "crop, squash, none"),
        wrong(
            &["--short-side", "5", "--resize", "crop"],
            "short side of 5",
        ),
        wrong(&["--color", "blue"], "rgb, bgr, grey"),
        wrong(&["--range", "0-2"], "0-255, 0-1"),
        wrong(&["--input-shape", "3,4"], "three numbers"),
        wrong(&["--input-shape", "3,0,20"], "[1, 3, 0, 20]"),
        wrong(&["--output", "bird"], "\"bird\""),
        wrong(&["--labels", "nowhere.tsv"], "nowhere.tsv"),
        wrong(&["--layers", "layer1,layer9"], "\"layer9\""),
        wrong(&["--layers", "layer1,layer1"], "\"layer1\""),
        wrong(&["--layers", "flat"], "\"flat\""),
        wrong(&["--layers", "image"], "\"image\""),
        wrong(&["--exclude", "layer1"], "LAYER:CHANNEL"),
        wrong(&["--exclude", "layer9:1"], "no layer \"layer9\""),
        wrong(&["--exclude", "layer1:6"], "channels 0 to 5"),
        wrong(&["--exclude", "layer1:x"], "channels 0 to 5"),
        wrong(&["--fast"], "--fast"),
    ];
    let case = Case::small(1);
    let out = case.path("run");
    for Wrong { flags, says } in cases {
        // The preparation of the case would collide with some of the flags.
        let outcome = Summit::new("run")
            .arg("--model")
            .arg(&case.model)
            .arg("--images")
            .arg(&case.images)
            .arg("--out")
            .arg(&out)
            .args(flags)
            .expect(2, &[says]);
        assert!(outcome.stderr.contains("error: "), "{}", outcome.stderr);
        assert!(!out.exists(), "{flags:?}: something was written");
    }
}

#[test]
fn graphs_that_cannot_be_are_refused() {
    let case = Case::small(4);
    let run = case.path("run");
    case.run(&run).expect(0, &[]);
    let graph = || Summit::new("graph").arg(&run);
    graph().expect(2, &["--group <GROUP>|--all"]);
    graph()
        .args(&["--class", "oak"])
        .fails(&["no class \"oak\"", "3 classes"]);
    graph()
        .args(&["--class", "ced"])
        .fails(&["did you mean cedar"]);
    graph().args(&["--class", "3"]).fails(&["no class \"3\""]);
    graph()
        .args(&["--all", "--threshold", "2"])
        .expect(2, &["from 0 to 1"]);
    graph()
        .args(&["--all", "--threshold", "nan"])
        .expect(2, &["from 0 to 1"]);
    let target = |name: &str| case.path(name).display().to_string();
    graph()
        .args(&["--class", "ash", "--out", &target("ash.png")])
        .fails(&["\"png\"", "--format"]);
    graph()
        .args(&["--class", "ash", "--out", &target("nowhere/ash.svg")])
        .fails(&["nowhere/ash.svg", "No such file"]);
    graph()
        .args(&[
            "--all",
            "--out",
            &case.model.display().to_string(),
            "--format",
            "dot",
        ])
        .fails(&["small.onnx", "a folder is needed"]);
    graph()
        .args(&["--class", "ash", "--out", &target("ash.svg")])
        .expect(0, &[]);
    let without = case.path("without");
    case.run(&without).args(&["--no-influence"]).expect(0, &[]);
    Summit::new("graph")
        .arg(&without)
        .arg("--all")
        .fails(&["--no-influence", "without"]);
}

#[test]
fn no_class_is_lost_when_one_cannot_be_drawn() {
    let case = Case::small(4);
    std::fs::remove_dir_all(case.images.join("birch")).unwrap();
    std::fs::write(case.path("labels.txt"), "ash\nbirch\ncedar\n").unwrap();
    let run = case.path("run");
    case.run(&run).expect(0, &["2 of 2 folders matched"]);
    let graph = Summit::new("graph").arg(&run);
    graph
        .args(&["--class", "birch"])
        .fails(&["no image of this run belongs to the group \"birch\""]);
    let folder = case.path("graphs");
    let all = Summit::new("graph")
        .arg(&run)
        .args(&["--all", "--format", "json", "--out"]);
    all.arg(&folder).expect(0, &[]);
    let written = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(written, 2);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let case = Case::small(4);
    let run = case.path("run");
    case.run(&run).expect(0, &[]);
    let run = run.display().to_string();
    let model = case.model.display().to_string();
    let commands: [&[&str]; 4] = [
        &["graph", &run, "--all", "--format", "json"],
        &["graph", &run, "--all"],
        &["inspect", &model, "--json"],
        &["--help"],
    ];
    for arguments in commands {
        let mut child = Command::new(BINARY)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Closed before a byte is read.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert_eq!(said, "", "{arguments:?}");
    }
}

#[test]
fn a_full_standard_output_is_a_failure() {
    if !std::path::Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full");
        return;
    }
    let case = Case::small(1);
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = Command::new(BINARY)
        .arg("inspect")
        .arg(&case.model)
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot write to standard output"), "{said}");
}

#[test]
fn every_command_explains_itself() {
    for command in [
        "inspect",
        "check",
        "run",
        "plan",
        "shard",
        "add",
        "graph",
        "classes",
        "predictions",
        "channels",
        "similar",
        "compare",
        "embed",
        "paths",
        "serve",
        "export",
        "merge",
    ] {
        let outcome = Summit::new(command).arg("--help").expect(0, &[]);
        assert!(outcome.stdout.contains("Usage: summit "), "{command}");
        // Options of other kinds do not slip under the last headings.
        for heading in ["Preprocessing (", "Images on servers"] {
            let below = outcome.stdout.split(heading).nth(1).unwrap_or_default();
            for flag in ["--out", "--json", "--threads", "--model"] {
                assert!(!below.contains(flag), "{command} {flag}");
            }
        }
    }
}
