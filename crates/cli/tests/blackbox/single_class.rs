//! A run in which there is but one class: nothing to compare it with, and nothing that is specific to
//! it. Every question is answered, and no number is none.

use crate::case::{CLASSES, Case, small_network_of};
use crate::command::Summit;
use crate::finite;
use std::fs;
use std::path::Path;

/// Images of one class, of a network that knows it alone or others too.
fn case(classes: i64) -> Case {
    let case = Case::small(5);
    for other in &CLASSES[1..] {
        fs::remove_dir_all(case.images.join(other)).unwrap();
    }
    fs::write(&case.model, small_network_of(classes).bytes()).unwrap();
    let names: String = CLASSES
        .iter()
        .take(classes as usize)
        .map(|name| format!("{name}\n"))
        .collect();
    fs::write(case.path("labels.txt"), names).unwrap();
    case
}

fn made_run(case: &Case) -> std::path::PathBuf {
    let run = case.path("run");
    let labels = case.path("labels.txt");
    case.run(&run).arg("--labels").arg(labels).expect(0, &[]);
    run
}

/// The answer of a query that must succeed, checked.
fn answer(run: &Path, query: &[&str], format: &str) -> String {
    let (command, arguments) = query.split_first().unwrap();
    let asked = Summit::new(command).arg(run).args(arguments);
    let text = asked.args(&["--format", format]).expect(0, &[]).stdout;
    let origin = format!("{query:?} as {format}");
    match format {
        "json" => finite::assert_json(&text, &origin),
        _ => finite::assert_text(&text, &origin),
    }
    assert!(!text.is_empty(), "{origin}");
    text
}

#[test]
fn every_question_to_one_class_is_answered() {
    for classes in [1, 3] {
        let case = case(classes);
        let run = made_run(&case);
        assert!(finite::assert_folder(&run) > 0);
        let tables: [&[&str]; 12] = [
            &["classes"],
            &["predictions"],
            &["predictions", "--group", "ash", "--show", "images"],
            &["predictions", "--show", "confusion"],
            &["predictions", "--show", "histogram"],
            &["predictions", "--show", "calibration"],
            &["channels", "--group", "ash", "--examples", "2"],
            &["similar", "--class", "ash"],
            &["embed"],
            &["embed", "--of", "channels"],
            &["embed", "--of", "images"],
            &["paths", "--group", "ash", "--through", "layer2:1"],
        ];
        let frequent: &[&str] = &["paths", "--frequent", "1"];
        let contrasted: &[&str] = &["paths", "--frequent", "1", "--contrast"];
        for query in tables.into_iter().chain([frequent, contrasted]) {
            for format in ["text", "csv", "json"] {
                answer(&run, query, format);
            }
        }
        let graphs: [&[&str]; 5] = [
            &["graph", "--group", "ash", "--no-pictures"],
            &["graph", "--group", "ash", "--contrast", "--no-pictures"],
            &["graph", "--group", "where:image = 0", "--no-pictures"],
            &["compare", "ash", "ash", "--no-pictures"],
            &[
                "compare",
                "ash",
                "where:image < 2",
                "--contrast",
                "--no-pictures",
            ],
        ];
        for query in graphs {
            for format in ["text", "json", "dot", "svg"] {
                answer(&run, query, format);
            }
        }
        for (contrast, name) in [(false, "all"), (true, "contrasted")] {
            let out = case.path(name);
            let asked = Summit::new("graph")
                .arg(&run)
                .arg("--all")
                .arg("--out")
                .arg(&out);
            let asked = asked.args(if contrast { &["--contrast"] } else { &[] });
            asked.args(&["--format", "json"]).expect(0, &["ash"]);
            finite::assert_folder(&out);
            assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
        }
    }
}
