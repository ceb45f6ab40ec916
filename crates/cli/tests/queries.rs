//! Queries by the binary over runs of the golden cases.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may panic"
)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use summit_query::Questions;
use summit_tables::{GroupId, Grouping, LayerId};

fn golden(case: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("SUMMIT_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let folder = shared.join("golden").join(case);
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

/// Standard output of a command that must succeed.
fn answer(arguments: &[&str]) -> String {
    let output = summit(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn make_run(case: &Path, images: &Path, out: &Path) {
    let model = case.join("model.onnx");
    let paths = [&model, images, out].map(|path| path.to_str().unwrap().to_owned());
    answer(&[
        "run",
        "--model",
        &paths[0],
        "--images",
        &paths[1],
        "--out",
        &paths[2],
        "--resize",
        "none",
        "--no-check",
    ]);
}

#[test]
fn a_by_prediction_is_the_golden_one() {
    for case in ["inception-tiny", "resnet-tiny", "depthwise-tiny"] {
        let Some(golden) = golden(case) else { return };
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        make_run(&golden, &golden.join("images"), &run);
        let questions = Questions::open(&run).unwrap();
        let text = std::fs::read(golden.join("expected/A.json")).unwrap();
        let expected: Value = serde_json::from_slice(&text).unwrap();
        for (index, layer) in questions.layers().iter().enumerate() {
            let rows = &expected[&layer.name]["mass0.03"]["prediction"];
            let rows: Vec<Vec<u32>> = serde_json::from_value(rows.clone()).unwrap();
            let all = questions
                .class_counts(Grouping::Prediction, LayerId::from_index(index))
                .unwrap();
            for (class, row) in (0..).zip(&rows) {
                assert_eq!(
                    all.group(GroupId(class)),
                    row.as_slice(),
                    "{case} {}",
                    layer.name
                );
                let group = questions.group(&format!("prediction:{class}"));
                match group {
                    Ok(group) => assert_eq!(&questions.counts(&group, layer.id).unwrap(), row),
                    Err(_) => assert!(row.iter().all(|&count| count == 0)),
                }
            }
        }
    }
}

/// A group that splits confusion cells needs the network again: its graph must be that of a run over
/// these images alone.
#[test]
fn the_graph_of_a_slice_is_that_of_a_run_over_it() {
    let Some(case) = golden("inception-tiny") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    make_run(&case, &case.join("images"), &whole);
    let questions = Questions::open(&whole).unwrap();
    // Two of every three images: of some cells the few inside are run again, of others those outside.
    let condition = "where:not path like '%1.png' and not path like '%4.png'";
    let group = questions.group(condition).unwrap();
    assert!(!group.cover(questions.records()).partial.is_empty());
    let part = folder.path().join("images");
    for record in questions.members(&group) {
        let target = part.join(&record.path);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(case.join("images").join(&record.path), target).unwrap();
    }
    let alone = folder.path().join("alone");
    make_run(&case, &part, &alone);
    let graph = |run: &Path, group: &str| -> Value {
        let text = answer(&[
            "graph",
            run.to_str().unwrap(),
            "--group",
            group,
            "--format",
            "json",
        ]);
        let mut graph: Value = serde_json::from_str(&text).unwrap();
        graph["group"]["name"] = Value::Null;
        graph
    };
    assert_eq!(graph(&whole, condition), graph(&alone, "all"));
}

#[test]
fn every_query_answers_in_every_format() {
    let Some(case) = golden("resnet-tiny") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    make_run(&case, &case.join("images"), &run);
    let run = run.to_str().unwrap();
    let layer = &Questions::open(Path::new(run)).unwrap().layers()[0]
        .name
        .clone();
    let through = format!("{layer}:0");
    let queries: [&[&str]; 14] = [
        &["classes", run],
        &["predictions", run],
        &[
            "predictions",
            run,
            "--group",
            "wrong",
            "--show",
            "confusion",
        ],
        &["predictions", run, "--show", "histogram"],
        &["predictions", run, "--show", "calibration"],
        &["predictions", run, "--group", "0", "--show", "images"],
        &["channels", run, "--group", "correct", "--examples", "2"],
        &[
            "channels",
            run,
            "--group",
            "where:image = 3",
            "--layer",
            "0",
        ],
        &["similar", run, "--class", "0"],
        &["embed", run],
        &["embed", run, "--of", "channels"],
        &["embed", run, "--of", "images", "--layer", layer],
        &["paths", run, "--group", "0", "--through", &through],
        &["paths", run, "--frequent", "2"],
    ];
    for query in queries {
        for format in ["text", "csv", "json"] {
            let text = answer(&[query, &["--format", format]].concat());
            assert!(
                !text.contains("NaN") && !text.contains("inf"),
                "{query:?}: {text}"
            );
            match format {
                "json" => assert!(serde_json::from_str::<Value>(&text).unwrap().is_array()),
                "csv" => assert!(
                    text.lines().next().unwrap().split(',').count() > 1,
                    "{text}"
                ),
                _ => {}
            }
        }
    }
    for format in ["text", "json", "dot", "svg"] {
        let text = answer(&[
            "compare",
            run,
            "0",
            "1",
            "--format",
            format,
            "--no-pictures",
        ]);
        assert!(!text.contains("NaN"), "{text}");
    }
    let twice = [0, 1].map(|_| answer(&["embed", run, "--format", "csv", "--seed", "5"]));
    assert_eq!(twice[0], twice[1]);
    for (query, reason) in [
        (
            ["similar", run, "--group", "zebra"],
            "there is no class \"zebra\"",
        ),
        (
            ["similar", run, "--group", "where:image > 99"],
            "no image of this run belongs",
        ),
        (["similar", run, "--group", "where:x = 1"], "is no column"),
        (
            ["similar", run, "--group", "list:nowhere"],
            "cannot be read",
        ),
        (["embed", run, "--layer", "nowhere"], "there is no layer"),
    ] {
        let output = summit(&query);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{query:?}");
        assert!(
            errors.contains(reason) && !errors.contains("panicked"),
            "{errors}"
        );
    }
}
