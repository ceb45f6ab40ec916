//! Signed influence, its evaluation and what-if by the binary, over a golden case.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn golden() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("SUMMIT_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("golden/inception-tiny");
    if !folder.is_dir() {
        println!("skipped: ../shared absent");
        return None;
    }
    Some(folder)
}

fn summit(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_summit"))
        .args(arguments)
        .output()
        .unwrap()
}

fn answer(arguments: &[&str]) -> String {
    let output = summit(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn parsed(arguments: &[&str]) -> Value {
    serde_json::from_str(&answer(arguments)).unwrap()
}

#[test]
fn from_a_run_to_graphs_what_if_and_evaluation() {
    let Some(case) = golden() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = path("run");
    let model = case.join("model.onnx");
    let (model, images) = (model.to_str().unwrap(), case.join("images"));
    let make = |model: &str, out: &str, more: &[&str]| {
        let fixed = [
            "run",
            "--model",
            model,
            "--images",
            images.to_str().unwrap(),
            "--out",
            out,
        ];
        let rest = ["--resize", "none", "--no-check", "--json"];
        parsed(&[&fixed[..], &rest[..], more].concat())
    };
    make(model, &run, &["--influence", "flow"]);

    // What was measured with the run is there, and is the same when measured again by other threads.
    let graph = |run: &str| {
        answer(&[
            "graph",
            run,
            "--class",
            "0",
            "--measure",
            "flow",
            "--format",
            "json",
        ])
    };
    let first = graph(&run);
    answer(&["flow", &run, "--again", "--threads", "3"]);
    assert_eq!(graph(&run), first);
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(first["measure"], "flow");
    assert_eq!(first["signed"]["images"], 6);
    assert!(
        first["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|node| node["score"]["mean"].as_f64() > Some(0.0))
    );

    // Where it was measured it is what is drawn.
    let unasked = answer(&["graph", &run, "--class", "0", "--format", "json"]);
    assert_eq!(unasked, graph(&run));
    let counted = ["graph", &run, "--class", "0", "--measure", "conv-max"];
    assert!(answer(&counted).contains("conv-max graph"));

    // Totals need no table, and what they are is said.
    let totals = ["graph", &run, "--class", "0", "--measure", "flow-totals"];
    assert!(answer(&totals).contains("flow-totals graph"));
    let refused = summit(&["flow", &run, "--measure", "flow-totals"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("computed by `summit graph`"));

    let refused = summit(&["graph", &run, "--class", "0", "--measure", "lrp"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("was not measured"));

    // Nothing changed, then a channel muted, also in the file that was saved.
    let nothing = parsed(&["whatif", &run, "--json"]);
    assert_eq!(nothing["all"]["right"][0], nothing["all"]["right"][1]);
    assert_eq!(nothing["all"]["score_change"]["mean"], 0.0);
    let saved = path("muted.onnx");
    let muted = parsed(&[
        "whatif",
        &run,
        "--mute",
        "inc2_out:0",
        "--boost",
        "inc1_out:3:2",
        "--json",
        "--save",
        &saved,
    ]);
    let again = path("again");
    make(&saved, &again, &[]);
    let images = muted["all"]["images"].as_f64().unwrap();
    let right = parsed(&["whatif", &again, "--json"])["all"]["right"][0]
        .as_f64()
        .unwrap();
    assert_eq!(
        right / images,
        muted["all"]["right"][1].as_f64().unwrap() / images
    );
    assert_ne!(muted["all"]["score_change"]["mean"], 0.0);

    let table = answer(&[
        "evaluate",
        &run,
        "--fit",
        "2",
        "--held-out",
        "2",
        "--edge-images",
        "1",
    ]);
    for row in [
        "| Layer | Mean | conv-max |",
        "| Layer | Zero | flow-ig |",
        "| Circuit | Resample | flow-totals |",
    ] {
        assert!(table.contains(row), "{row}");
    }
    let page = std::fs::read_to_string(folder.path().join("run/evaluation.html")).unwrap();
    assert!(
        page.contains("<svg") && !page.contains("http"),
        "the page stands alone"
    );
    assert!(graph(&run).contains("kept_margin"));
}
