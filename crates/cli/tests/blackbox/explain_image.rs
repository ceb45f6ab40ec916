//! One photograph explained: what the JSON says agrees with itself, the page needs nothing else, and a
//! bad photograph is named.

use crate::case::Case;
use crate::command::Summit;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn explain(run: &Path, image: &Path) -> Summit {
    Summit::new("explain-image").arg(run).arg(image)
}

fn json(run: &Path, image: &Path, further: &[&str]) -> Value {
    let outcome = explain(run, image)
        .args(&["--format", "json", "--threshold", "0.5"])
        .args(further)
        .expect(0, &[]);
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn pairs(list: &Value) -> Vec<(u64, u64)> {
    let pair = |entry: &Value| {
        (
            entry["layer"].as_u64().unwrap(),
            entry["channel"].as_u64().unwrap(),
        )
    };
    list.as_array().unwrap().iter().map(pair).collect()
}

#[test]
fn an_explanation_agrees_with_itself() {
    let case = Case::small(4);
    let run = case.path("run");
    case.run(&run).expect(0, &[]);
    let image = case.images.join("birch/0001.png");
    let found = json(&run, &image, &[]);
    let prediction = found["prediction"].as_array().unwrap();
    let probabilities = prediction
        .iter()
        .map(|line| line["probability"].as_f64().unwrap());
    assert!((probabilities.sum::<f64>() - 1.0).abs() < 1e-5);
    assert_eq!(found["class"]["class"], prediction[0]["class"]);
    assert_eq!(found["runner_up"]["class"], prediction[1]["class"]);
    assert!(found["margin"].as_f64().unwrap() > 0.0);
    assert_eq!(found["graph"]["measure"], "flow");
    assert_eq!(found["size"], serde_json::json!([24, 20]));

    let channels = found["channels"].as_array().unwrap();
    let mut nodes = pairs(&found["graph"]["nodes"]);
    assert_eq!(channels.len(), nodes.len());
    assert!(
        channels
            .iter()
            .all(|channel| channel["score"].as_f64().unwrap() > 0.0)
    );
    // What is shared, missing and unusual makes up both graphs, once each.
    let comparison = &found["comparison"];
    let [shared, missing, unusual] =
        ["shared", "missing", "unusual"].map(|name| pairs(&comparison[name]));
    let mut own = [shared.clone(), unusual].concat();
    own.sort_unstable();
    nodes.sort_unstable();
    assert_eq!(own, nodes);
    let class = found["class"]["class"].to_string();
    let usual = Summit::new("graph")
        .arg(&run)
        .args(&["--class", &class, "--format", "json"])
        .expect(0, &[]);
    let usual: Value = serde_json::from_str(&usual.stdout).unwrap();
    let mut expected = [shared, missing].concat();
    expected.sort_unstable();
    assert_eq!(expected, pairs(&usual["nodes"]));

    // Another class: its margin over the prediction is below 0.
    let last = prediction[2]["name"].as_str().unwrap();
    let other = json(&run, &image, &["--class", last]);
    assert_eq!(other["class"]["name"], last);
    assert_eq!(other["runner_up"]["class"], prediction[0]["class"]);
    assert!(other["margin"].as_f64().unwrap() < 0.0);
}

#[test]
fn the_page_stands_alone() {
    let case = Case::small(2);
    let run = case.path("run");
    case.run(&run).arg("--no-influence").expect(0, &[]);
    let image = case.path("<i>&.png");
    fs::copy(case.images.join("ash/0000.png"), &image).unwrap();
    let page = case.path("page.html");
    explain(&run, &image).arg("--out").arg(&page).expect(0, &[]);
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
    assert!(html.contains("&lt;i&gt;&amp;.png") && !html.contains("<i>"));
    assert!(html.contains("<svg") && !html.contains("<?xml") && !html.contains("<script"));
    for (start, _) in html.match_indices("src=\"") {
        assert!(html[start + 5..].starts_with("data:image/jpeg;base64,"));
    }
    // Without influence there is no graph of the class to compare with.
    assert!(!html.contains("Beside the graph"));
    let text = explain(&run, &image).expect(0, &[]);
    assert!(text.stdout.contains("margin of"), "{}", text.stdout);
}

#[test]
fn a_bad_photograph_is_named() {
    let case = Case::small(2);
    let run = case.path("run");
    case.run(&run).expect(0, &[]);
    let absent = case.path("absent.png");
    explain(&run, &absent).fails(&["cannot read the image", "absent.png"]);
    let broken = case.path("broken.png");
    fs::write(&broken, b"\x89PNG\r\n\x1a\n and then nothing").unwrap();
    explain(&run, &broken).fails(&["cannot decode the image", "broken.png"]);
    let good = case.images.join("ash/0000.png");
    explain(&run, &good)
        .args(&["--class", "oak"])
        .fails(&["oak"]);
    explain(&run, &good)
        .args(&["--out", "page.pdf"])
        .fails(&["pdf"]);
    explain(&broken, &good).fails(&["broken.png"]);
}
