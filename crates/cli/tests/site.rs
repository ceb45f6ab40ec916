//! `summit serve` and `summit export` from outside: a run made by the command itself, HTTP by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

#[allow(dead_code, reason = "its main is the example's")]
#[path = "../examples/fixture.rs"]
mod fixture;
#[path = "support/served.rs"]
#[allow(dead_code, reason = "a part of it serves here")]
mod served;

use serde_json::Value;
use served::Served;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const SUMMIT: &str = env!("CARGO_BIN_EXE_summit");

fn summit(arguments: &[&str]) -> Output {
    Command::new(SUMMIT).args(arguments).output().unwrap()
}

fn succeed(arguments: &[&str]) -> String {
    let output = summit(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The run all tests look at; never written to after it is made.
fn run() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site");
        let _ = std::fs::remove_dir_all(&folder);
        fixture::make(&folder);
        let [model, images, run] = ["net.onnx", "images", "run"].map(|name| folder.join(name));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        succeed(&[
            "run",
            "--no-check",
            "--mass",
            "0.2",
            "--model",
            &text(&model),
            "--images",
            &text(&images),
            "--out",
            &text(&run),
        ]);
        // The first that asks for the images writes their maps.
        serve(&run, &[]).json("/bundle/points/images/0.json");
        run
    })
}

/// A copy of the run that may be written to.
fn copy_run(to: &Path) {
    for (name, bytes) in files_below(run()) {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// `summit serve` on a free port.
fn serve(folder: &Path, further: &[&str]) -> Served {
    let mut command = Command::new(SUMMIT);
    command
        .args(["serve", folder.to_str().unwrap(), "--port", "0"])
        .args(further);
    Served::start(command)
}

#[test]
fn the_page_and_nothing_beside_it() {
    let served = serve(run(), &[]);
    let page = served.get("/");
    assert_eq!(page.status, 200);
    assert!(String::from_utf8_lossy(&page.body).contains("<title>Summit</title>"));
    assert!(
        page.headers["content-security-policy"]
            .starts_with("default-src 'none'; script-src 'self';")
    );
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    for path in [
        "/app.map",
        "/bundle/",
        "/bundle/graphs/",
        "/bundle/../manifest.json",
        "/../../../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/bundle/graphs/..%2f..%2fmanifest.json",
        "/bundle/%2e%2e/source.json",
        "/source.json",
        "/run/manifest.json",
        "/images.parquet",
        "//etc/passwd",
        "/bundle/media/top/0/0.jpg%00.json",
    ] {
        let answer = served.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(
            !answer.body.starts_with(b"<"),
            "{path}: a page instead of an error"
        );
    }
    let host = &served.host;
    let post = served.raw(format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ));
    assert_eq!(post.status, 405);
}

#[test]
fn only_its_own_pages_may_ask() {
    let served = serve(run(), &["--allow-host", "lab.example"]);
    let port = served.host.rsplit_once(':').unwrap().1.to_owned();
    let with_host = |host: &str| {
        served
            .raw(format!(
                "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            ))
            .status
    };
    assert_eq!(with_host(&format!("localhost:{port}")), 200);
    assert_eq!(with_host("lab.example"), 200);
    assert_eq!(with_host("evil.example"), 403);
    assert_eq!(with_host(&format!("evil.example:{port}")), 403);
    let own = format!("Origin: http://{}\r\n", served.host);
    assert_eq!(served.get_with("/bundle/manifest.json", &own).status, 200);
    for origin in ["http://evil.example", "null"] {
        let answer = served.get_with("/bundle/manifest.json", &format!("Origin: {origin}\r\n"));
        assert_eq!(answer.status, 403, "{origin}");
    }
}

#[test]
fn unchanged_files_are_not_sent_again() {
    let served = serve(run(), &[]);
    let path = "/bundle/classes.json";
    let first = served.get(path);
    let etag = &first.headers["etag"];
    let again = served.get_with(path, &format!("If-None-Match: {etag}\r\n"));
    assert_eq!((again.status, again.body.len()), (304, 0));
    for (accepted, coding) in [("gzip, br", "br"), ("gzip;q=0.8, deflate", "gzip")] {
        let small = served.get_with(path, &format!("Accept-Encoding: {accepted}\r\n"));
        assert_eq!(small.headers["content-encoding"], coding);
        assert!(small.body.len() < first.body.len(), "{coding}");
    }
}

#[test]
fn the_bundle_tells_what_the_run_holds() {
    let served = serve(run(), &[]);
    let manifest = served.json("/bundle/manifest.json");
    assert_eq!(manifest["images"]["done"], 96);
    assert_eq!(manifest["skipped"][0]["path"], "s01/broken.png");
    assert_eq!(manifest["measures"], serde_json::json!(["conv-max"]));
    let classes = served.json("/bundle/classes.json");
    let sum = |column: &Value| {
        column
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(sum(&classes["images"]), 96);
    assert_eq!(sum(&classes["predicted"]), 96);
    assert_eq!(
        sum(&classes["correct"]),
        manifest["images"]["correct"].as_u64().unwrap()
    );
    for histogram in classes["histogram"].as_array().unwrap() {
        assert_eq!(sum(histogram), 12);
    }
    let confusion = served.json("/bundle/confusion.json");
    assert_eq!(sum(&confusion["images"]), 96);

    let similarity = served.json("/bundle/similarity/2.json");
    for layer in similarity["permille"].as_array().unwrap() {
        assert_eq!(layer[2], 1000, "a class is like itself");
    }
    let images = served.json("/bundle/images/3.json");
    let margins: Vec<f64> = images["margin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_f64().unwrap())
        .collect();
    assert_eq!(margins.len(), 12);
    assert!(margins.is_sorted());
    let missing = served.get("/bundle/graphs/99.json");
    assert_eq!(missing.status, 404);
    assert_eq!(
        String::from_utf8_lossy(&missing.body),
        "this run has no images of class 99\n"
    );
}

/// A graph but for where its nodes stand: the page has one order of channels for all classes.
fn without_places(graph: &Value) -> Value {
    let mut graph = graph.clone();
    for row in ["nodes", "classes"] {
        for node in graph[row].as_array_mut().into_iter().flatten() {
            node["x"] = Value::Null;
        }
    }
    graph
}

/// The graph of the interface is the graph of `summit graph`; rows of A are those of its nodes.
#[test]
fn one_graph_wherever_it_is_shown() {
    let served = serve(run(), &[]);
    let text = succeed(&[
        "graph",
        run().to_str().unwrap(),
        "--class",
        "s05",
        "--format",
        "json",
    ]);
    let printed: Value = serde_json::from_str(&text).unwrap();
    let graph = served.json("/bundle/graphs/4.json");
    assert_eq!(without_places(&graph), without_places(&printed));
    let rows = served.json("/bundle/activations/4.json");
    for node in graph["nodes"].as_array().unwrap() {
        let row = &rows["layers"][node["layer"].as_u64().unwrap() as usize];
        let place = row["channel"]
            .as_array()
            .unwrap()
            .iter()
            .position(|channel| channel == &node["channel"]);
        let count = place.map_or(0, |place| row["images"][place].as_u64().unwrap());
        assert_eq!(node["count"], count);
    }
}

/// Masks stand in the order of the examples they belong to.
#[test]
fn masks_belong_to_examples() {
    let served = serve(run(), &[]);
    let manifest = served.json("/bundle/manifest.json");
    assert_eq!(manifest["pictures"]["masks"], true);
    for layer in 0..manifest["layers"].as_array().unwrap().len() {
        let channels = served.json(&format!("/bundle/channels/{layer}.json"));
        let masks = served.json(&format!("/bundle/masks/{layer}.json"));
        for column in ["examples", "range"] {
            let examples = channels[column].as_array().unwrap().iter();
            for (examples, masks) in examples.zip(masks[column].as_array().unwrap()) {
                let masks = masks.as_str().unwrap();
                assert_eq!(
                    examples["class"].as_array().unwrap().len() * 16,
                    masks.len()
                );
            }
        }
        let best = masks["examples"].as_array().unwrap().iter();
        let active = best.filter(|masks| !masks.as_str().unwrap().starts_with(&"0".repeat(16)));
        assert!(active.count() > 10);
    }
}

/// The order of channels is kept, and whatever is wrong with what was kept shows in no graph.
#[test]
fn the_order_of_channels_is_kept() {
    let run = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site-order");
    let _ = std::fs::remove_dir_all(&run);
    copy_run(&run);
    let kept = run.join("channel_order.json");
    let graphs = || {
        let served = serve(&run, &[]);
        [3, 5].map(|class| served.json(&format!("/bundle/graphs/{class}.json")))
    };
    let order = std::fs::read_to_string(&kept).unwrap();
    std::fs::remove_file(&kept).unwrap();
    let fresh = graphs();
    assert_eq!(
        std::fs::read_to_string(&kept).unwrap(),
        order,
        "the first graph makes what the end of the run made"
    );
    assert_eq!(graphs(), fresh, "as kept");
    let layers = &serde_json::from_str::<Value>(&order).unwrap()["content"];
    assert_ne!(layers, &Value::Array(Vec::new()));

    let reversed = |order: &str| {
        let mut file: Value = serde_json::from_str(order).unwrap();
        for layer in file["content"].as_array_mut().unwrap() {
            layer.as_array_mut().unwrap().reverse();
        }
        file
    };
    // What is kept is used, and nothing but what is kept for these tables.
    std::fs::write(&kept, reversed(&order).to_string()).unwrap();
    assert_ne!(
        graphs(),
        fresh,
        "the kept order is what places the channels"
    );
    let mut foreign = reversed(&order);
    foreign["manifest"] = "0000000000000000".into();
    for wrong in [
        foreign.to_string(),
        order[..order.len() / 2].to_owned(),
        "{}".to_owned(),
    ] {
        std::fs::write(&kept, wrong).unwrap();
        assert_eq!(graphs(), fresh);
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), order, "made again");
    }
}

/// The conv-max graphs of classes are kept: as they would be made, and nothing that is not of these tables.
#[test]
fn graphs_are_kept() {
    let run = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site-graphs");
    let _ = std::fs::remove_dir_all(&run);
    copy_run(&run);
    let kept = [3, 5].map(|class| run.join(format!("class_graphs/{class}.json")));
    let read = || {
        kept.each_ref()
            .map(|file| std::fs::read_to_string(file).unwrap())
    };
    let graphs = || {
        let served = serve(&run, &[]);
        [3, 5].map(|class| served.json(&format!("/bundle/graphs/{class}.json")))
    };
    let of_the_run = read();
    let shown = graphs();
    std::fs::remove_dir_all(run.join("class_graphs")).unwrap();
    assert_eq!(graphs(), shown, "a graph made anew is the one kept");
    assert_eq!(read(), of_the_run, "and is kept");

    // What is kept is what is shown.
    let [file, _] = &kept;
    let [good, _] = &of_the_run;
    let change = |change: fn(&mut Value)| {
        let mut file: Value = serde_json::from_str(good).unwrap();
        change(&mut file);
        file.to_string()
    };
    let renamed = change(|file| file["content"]["group"]["name"] = "changed".into());
    std::fs::write(file, renamed).unwrap();
    assert_eq!(graphs()[0]["group"]["name"], "changed");

    for wrong in [
        change(|file| file["manifest"] = "0000000000000000".into()),
        change(|file| file["schema_version"] = 0.into()),
        change(|file| file["content"]["edges"][0]["to"] = 1_000_000.into()),
        good[..good.len() / 2].to_owned(),
        "{}".to_owned(),
    ] {
        std::fs::write(file, wrong).unwrap();
        assert_eq!(graphs(), shown);
        assert_eq!(&read(), &of_the_run, "made again");
    }
}

/// Maps are kept: those of classes from the end of the run on, those of images from their first visit on.
#[test]
fn maps_are_kept() {
    let run = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site-maps");
    let _ = std::fs::remove_dir_all(&run);
    copy_run(&run);
    let [classes, images] = ["class_maps.json", "image_maps.json"].map(|name| run.join(name));
    let made = std::fs::read_to_string(&classes).unwrap();
    std::fs::remove_file(&images).unwrap();
    let maps = || {
        let served = serve(&run, &[]);
        ["embedding/2", "points/images/2"]
            .map(|name| served.get(&format!("/bundle/{name}.json")).body)
    };
    let kept = maps();
    std::fs::remove_file(&classes).unwrap();
    let of_images = std::fs::read_to_string(&images).unwrap();
    assert_eq!(maps(), kept, "as made");
    assert_eq!(
        std::fs::read_to_string(&classes).unwrap(),
        made,
        "made again"
    );

    // What is kept is used, and nothing that is damaged.
    let moved = made.replacen("\"x\":[", "\"x\":[1000.0,", 1);
    let mut mirrored: Value = serde_json::from_str(&made).unwrap();
    for layer in mirrored["content"].as_array_mut().unwrap() {
        let x = layer["x"].take();
        layer["x"] = layer["y"].take();
        layer["y"] = x;
    }
    std::fs::write(&classes, mirrored.to_string()).unwrap();
    assert_ne!(maps()[0], kept[0], "the kept map is what is shown");
    for wrong in [&moved, &made[..made.len() / 2], "[]"] {
        std::fs::write(&classes, wrong).unwrap();
        std::fs::write(&images, of_images.replacen("\"content\"", "\"tables\"", 1)).unwrap();
        assert_eq!(maps(), kept);
        assert_eq!(
            std::fs::read_to_string(&classes).unwrap(),
            made,
            "made again"
        );
        assert_eq!(std::fs::read_to_string(&images).unwrap(), of_images);
    }
}

/// The edges of a graph of signed influence have their images, those of conv-max counts none.
#[test]
fn edges_have_the_images_that_carry_them() {
    let run = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site-edges");
    let _ = std::fs::remove_dir_all(&run);
    copy_run(&run);
    succeed(&[
        "flow",
        run.to_str().unwrap(),
        "--measure",
        "lrp",
        "--class",
        "3",
    ]);
    let served = serve(&run, &[]);
    let [graph, file] =
        ["graphs", "edges"].map(|kind| served.json(&format!("/bundle/{kind}/3.json")));
    assert_eq!(graph["measure"], "lrp");
    let column = |name: &str| file[name].as_array().unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    let mut drawn = 0;
    for edge in graph["edges"].as_array().unwrap() {
        let [from, to] = ["from", "to"].map(|end| &graph["nodes"][number(&edge[end]) as usize]);
        let place = (0..column("lower").len()).find(|&place| {
            let ends = [
                from["layer"].clone(),
                from["channel"].clone(),
                to["channel"].clone(),
            ];
            ["lower", "from", "to"].map(|name| column(name)[place].clone()) == ends
        });
        let place = place.expect("every drawn edge has images");
        let effects = column("effect")[place].as_array().unwrap();
        assert_eq!(effects.len() as u64, number(&edge["top_images"]).min(8));
        assert_eq!(
            effects.len(),
            column("places")[place].as_array().unwrap().len()
        );
        let sizes = effects.iter().map(|effect| effect.as_f64().unwrap().abs());
        assert!(sizes.clone().rev().is_sorted());
        drawn += 1;
    }
    assert!(drawn > 0);
    // All are images of the class.
    let of_class = served.json("/bundle/images/3.json");
    let of_class = of_class["image"].as_array().unwrap();
    let images = file["images"]["image"].as_array().unwrap();
    assert!(images.iter().all(|image| of_class.contains(image)));
    let places = column("places")
        .iter()
        .flat_map(|places| places.as_array().unwrap());
    assert!(
        places
            .into_iter()
            .all(|place| (number(place) as usize) < images.len())
    );
    let sheet = served.get("/bundle/media/edges/3.jpg");
    assert!(sheet.body.starts_with(&[0xff, 0xd8]));
    for absent in [
        "media/carrying/flow/3/1/1.jpg",
        "edges/conv-max/3.json",
        "media/edges/conv-max/3.jpg",
        "edges/4.json",
    ] {
        assert_eq!(
            served.get(&format!("/bundle/{absent}")).status,
            404,
            "{absent}"
        );
    }

    let target = tempfile::tempdir().unwrap();
    let site = target.path().join("site");
    succeed(&["export", run.to_str().unwrap(), site.to_str().unwrap()]);
    let exported = std::fs::read(site.join("bundle/edges/lrp/3.json")).unwrap();
    assert_eq!(exported, served.get("/bundle/edges/3.json").body);
    assert_eq!(
        std::fs::read(site.join("bundle/media/edges/lrp/3.jpg")).unwrap(),
        sheet.body
    );
}

/// A photograph that is an image of the run is seen as the run saw it.
#[test]
fn a_photograph_is_looked_at() {
    let served = serve(run(), &[]);
    assert_eq!(served.json("/bundle/manifest.json")["network"], true);
    let images = served.json("/bundle/images/3.json");
    let path = images["path"][0].as_str().unwrap();
    let photo = std::fs::read(run().parent().unwrap().join("images").join(path)).unwrap();
    let answer = served.post("/bundle/photo", &served.own(), &photo);
    assert_eq!(answer.status, 200);
    let seen: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(seen["class"][0], images["prediction"][0]);
    let difference =
        seen["probability"][0].as_f64().unwrap() - images["probability"][0].as_f64().unwrap();
    assert!(difference.abs() < 1e-3, "{difference}");
    let carriers = served.json("/bundle/carriers/3.json");
    let columns = |file: &Value| {
        let layers = file["layer"].as_array().unwrap().clone();
        layers
            .into_iter()
            .zip(file["channel"].as_array().unwrap().clone())
            .map(|(layer, channel)| (layer.as_u64().unwrap(), channel.as_u64().unwrap()))
            .collect::<Vec<_>>()
    };
    let tops: std::collections::BTreeSet<_> = columns(&seen).into_iter().collect();
    let places = carriers["images"].as_array().unwrap().iter();
    let of_first = columns(&carriers)
        .into_iter()
        .zip(places)
        .filter(|(_, places)| places[0] == 0)
        .map(|(key, _)| key)
        .collect();
    assert_eq!(tops, of_first);
    assert_eq!(
        served
            .post("/bundle/photo", "http://evil.example", &photo)
            .status,
        403
    );
    let broken = served.post("/bundle/photo", &served.own(), b"no image at all");
    assert_eq!(broken.status, 400);
    let said = String::from_utf8_lossy(&broken.body);
    assert!(said.contains("the photograph cannot be read"), "{said}");
}

/// The path of a photograph is the fewest channels of each layer that hold half of its positive score, as
/// `summit flow` measures it on that image alone.
#[test]
fn a_photograph_has_its_path() {
    let run = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site-path");
    let _ = std::fs::remove_dir_all(&run);
    copy_run(&run);
    let served = serve(&run, &[]);
    let images = served.json("/bundle/images/3.json");
    // The surest: its label is its prediction, so both explain the same class.
    let path = images["path"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .as_str()
        .unwrap();
    assert_eq!(images["prediction"].as_array().unwrap().last().unwrap(), 3);
    let photo = std::fs::read(self::run().parent().unwrap().join("images").join(path)).unwrap();
    let answer = served.post("/bundle/photo", &served.own(), &photo);
    let seen: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(seen["path"]["measure"], "lrp");
    let list = |name: &str| seen["path"][name].as_array().unwrap().iter();
    let found: Vec<(u64, u64)> = list("layer")
        .zip(list("channel"))
        .map(|(layer, channel)| (layer.as_u64().unwrap(), channel.as_u64().unwrap()))
        .collect();

    let file = run.join("one.txt");
    std::fs::write(&file, path).unwrap();
    let group = format!("list:{}", file.display());
    succeed(&[
        "flow",
        run.to_str().unwrap(),
        "--measure",
        "lrp",
        "--group",
        &group,
    ]);
    let folder = std::fs::read_dir(run.join("flow/lrp"))
        .unwrap()
        .next()
        .unwrap();
    let header = std::fs::read(folder.unwrap().path().join("flow.json")).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["images"], 1);
    let run = summit_store::Run::open(&run).unwrap();
    let flow = summit_store::FlowStore::of(&run);
    let flow = flow
        .read("lrp", header["group"].as_str().unwrap())
        .unwrap()
        .unwrap();
    let mut wanted = Vec::new();
    for layer in flow
        .scores
        .chunk_by(|left, right| left.layer == right.layer)
    {
        let mut positive: Vec<_> = layer.iter().filter(|score| score.sum > 0.0).collect();
        positive.sort_by(|left, right| right.sum.total_cmp(&left.sum));
        let half = positive.iter().map(|score| score.sum).sum::<f64>() / 2.0;
        let mut held = 0.0;
        for score in positive {
            if held >= half {
                break;
            }
            held += score.sum;
            wanted.push((u64::from(score.layer), u64::from(score.channel)));
        }
    }
    wanted.sort_unstable();
    assert!(found.is_sorted());
    assert_eq!(found, wanted);
    assert!(wanted.len() < flow.scores.len() / 2);
    let scores = list("score").map(|score| score.as_f64().unwrap());
    for (score, &(layer, channel)) in scores.zip(&found) {
        let own = flow
            .scores
            .iter()
            .find(|own| (u64::from(own.layer), u64::from(own.channel)) == (layer, channel));
        let off = (score - own.unwrap().sum).abs();
        assert!(
            off <= 1e-5 * score.abs(),
            "{layer}:{channel} is off by {off}"
        );
    }
}

/// A channel changed in the browser does what `summit whatif` says.
#[test]
fn a_changed_channel_is_tried() {
    let served = serve(run(), &[]);
    let ask = |question: Value| {
        served.post(
            "/bundle/whatif",
            &served.own(),
            question.to_string().as_bytes(),
        )
    };
    let graph = served.json("/bundle/graphs/3.json");
    let node = &graph["nodes"][0];
    let (layer, channel) = (&node["layer"], &node["channel"]);
    let question = |factor: f64| serde_json::json!({"class": 3, "layer": layer, "channel": channel, "factor": factor});

    let answer = ask(question(0.0));
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let muted: Value = serde_json::from_slice(&answer.body).unwrap();
    let name = &graph["layers"][layer.as_u64().unwrap() as usize]["name"];
    let mute = format!("{}:{channel}", name.as_str().unwrap());
    let run = run().to_str().unwrap();
    let said = succeed(&[
        "whatif", "--group", "label:3", "--mute", &mute, "--json", run,
    ]);
    let said: Value = serde_json::from_str(&said).unwrap();
    for (ours, theirs) in [
        ("images", "images"),
        ("right", "right"),
        ("changed", "changed"),
        ("margin", "score_change"),
    ] {
        assert_eq!(muted["class"][ours], said["all"][theirs], "{ours}");
    }
    assert_ne!(
        muted["class"]["margin"]["mean"], 0.0,
        "the channel does something"
    );
    let moved = said["confusion"].as_array().unwrap();
    assert_eq!(muted["prediction"].as_array().unwrap().len(), moved.len());

    let same: Value = serde_json::from_slice(&ask(question(1.0)).body).unwrap();
    for images in ["class", "others"] {
        assert_eq!(same[images]["changed"], 0);
        assert_eq!(same[images]["margin"]["mean"], 0.0);
        assert_eq!(same[images]["right"][0], same[images]["right"][1]);
    }

    let refused = |question: Value, status: u16, why: &str| {
        let answer = ask(question);
        let said = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{said}");
        assert!(said.contains(why), "{said}");
    };
    let odd = |layer: u32, class: u32| serde_json::json!({"class": class, "layer": layer, "channel": 0, "factor": 0.0});
    refused(odd(999, 3), 400, "layer 999");
    refused(odd(0, 9999), 400, "the class has no labelled images");
    refused(serde_json::json!({"class": -1}), 400, "not understood");
    refused(Value::String("x".repeat(5000)), 413, "too long");
    let foreign = served.post(
        "/bundle/whatif",
        "http://evil.example",
        question(0.0).to_string().as_bytes(),
    );
    assert_eq!(foreign.status, 403);
}

/// Parts of a class are groups of `summit graph`; what stands behind a graph fits it.
#[test]
fn parts_inputs_and_carriers_fit_the_class() {
    let served = serve(run(), &[]);
    let classes = served.json("/bundle/classes.json");
    let confused = (0..8usize)
        .find_map(|class| Some((class, classes["confused_with"][class][0][0].as_u64()?)));
    let (class, other) = confused.expect("the network errs");
    let graph = served.json(&format!("/bundle/graphs/{class}-{other}.json"));
    let cell = format!("cell:{class}:{other}");
    let arguments = [
        "graph",
        run().to_str().unwrap(),
        "--group",
        &cell,
        "--format",
        "json",
    ];
    let printed: Value = serde_json::from_str(&succeed(&arguments)).unwrap();
    assert_eq!(without_places(&graph), without_places(&printed));
    let size = |part: &str| {
        let answer = served.get(&format!("/bundle/graphs/{class}-{part}.json"));
        let graph: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        graph["group"]["images"].as_u64().unwrap_or(0)
    };
    assert_eq!(size(&class.to_string()), classes["correct"][class]);
    assert_eq!(size(&class.to_string()) + size("wrong"), 12);
    let none = (0..8u64).find(|&other| size(&other.to_string()) == 0);
    let path = format!("/bundle/graphs/{class}-{}.json", none.unwrap());
    assert_eq!(served.get(&path).status, 404);

    let graph = served.json(&format!("/bundle/graphs/{class}.json"));
    let carriers = served.json(&format!("/bundle/carriers/{class}.json"));
    let inputs = served.json(&format!("/bundle/inputs/{class}.json"));
    let place = |file: &Value, node: &Value| {
        let layers = file["layer"].as_array().unwrap().iter();
        let mut both = layers.zip(file["channel"].as_array().unwrap());
        both.position(|(layer, channel)| *layer == node["layer"] && *channel == node["channel"])
    };
    let nodes = graph["nodes"].as_array().unwrap();
    for node in nodes.iter().filter(|node| node["count"] != 0) {
        let place = place(&carriers, node).expect("a top channel has images");
        let images = carriers["images"][place].as_array().unwrap().len();
        assert_eq!(images as u64, node["count"].as_u64().unwrap());
    }
    let mut further = 0;
    for (index, node) in nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node["layer"] != 0)
    {
        let place = place(&inputs, node).expect("every channel but the first layer's");
        let edges = graph["edges"].as_array().unwrap().iter();
        let drawn: Vec<&Value> = edges
            .filter(|edge| edge["to"] == index)
            .map(|edge| &nodes[edge["from"].as_u64().unwrap() as usize]["channel"])
            .collect();
        for input in inputs["inputs"][place].as_array().unwrap() {
            further += 1;
            assert!(
                !drawn.contains(&&input["channel"]),
                "{input} is drawn already"
            );
            assert!(input["influence"].as_u64().unwrap() > 0);
        }
    }
    assert!(further > 0);
}

#[test]
fn an_export_holds_what_serve_shows() {
    let served = serve(run(), &[]);
    let target = tempfile::tempdir().unwrap();
    let site = target.path().join("site");
    let arguments = ["export", run().to_str().unwrap(), site.to_str().unwrap()];
    succeed(&arguments);
    let files = files_below(&site);
    let channels = 24 + 96 + 160 + 224;
    let classes = served.json("/bundle/classes.json");
    let parts: usize = (0..8)
        .map(|class| {
            let [right, all] =
                ["correct", "labelled"].map(|column| classes[column][class].as_u64().unwrap());
            let confused = classes["confused_with"][class].as_array().unwrap().len();
            usize::from(right > 0) + usize::from(right < all) + confused
        })
        .sum();
    // Interface, README and mark; tables; per layer; per class; graphs of parts; two pictures a channel.
    assert_eq!(
        files.len(),
        5 + 2 + 4 + 6 * 4 + 7 * 8 + parts + 2 * channels
    );
    for (path, content) in &files {
        // Names and photographs are taken where the run is served, which these files tell.
        let only_here = [
            ".nojekyll",
            "README.txt",
            "bundle/annotations.json",
            "bundle/manifest.json",
        ];
        if only_here.contains(&path.as_str()) {
            continue;
        }
        let answer = served.get(&format!("/{path}"));
        assert_eq!(answer.status, 200, "{path}");
        assert!(&answer.body == content, "{path} differs");
    }
    let pictures = files.iter().filter(|(path, _)| path.ends_with(".jpg"));
    for (path, content) in pictures {
        assert!(content.starts_with(&[0xff, 0xd8]), "{path} is no JPEG");
    }

    let again = serve(&site, &[]);
    for path in ["/", "/bundle/classes.json", "/bundle/media/detail/3/1.jpg"] {
        assert_eq!(again.get(path).body, served.get(path).body, "{path}");
    }
    let [exported, mut live] = [&again, &served].map(|site| site.json("/bundle/manifest.json"));
    live["network"] = false.into();
    live["draws"] = false.into();
    assert_eq!(exported, live);
    assert_eq!(again.post("/bundle/photo", &again.own(), b"").status, 405);
    assert_eq!(again.get("/bundle/graphs/99.json").status, 404);
    assert_eq!(again.get("/README.txt").status, 404);

    succeed(&arguments);
    assert_eq!(
        files_below(&site),
        files,
        "a second export into the same folder"
    );
}

fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(current) = open.pop() {
        for entry in std::fs::read_dir(current).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn an_export_never_writes_over_other_things() {
    let target = tempfile::tempdir().unwrap();
    let precious = target.path().join("thesis.txt");
    std::fs::write(&precious, "years of work").unwrap();
    let output = summit(&[
        "export",
        run().to_str().unwrap(),
        target.path().to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("the folder is not empty and holds no earlier export"),
        "{errors}"
    );
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "years of work");
}

#[test]
fn names_are_kept_with_the_run() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site-named");
    let _ = std::fs::remove_dir_all(&target);
    let [copy, site] = ["run", "site"].map(|name| target.join(name));
    copy_run(&copy);
    let served = serve(&copy, &[]);
    let layer = served.json("/bundle/manifest.json")["layers"][1]["name"].clone();
    let post = |origin: &str, body: &str| served.post("/bundle/annotations.json", origin, body);
    let own = served.own();
    let name = format!(r#"{{"layer": {layer}, "channel": 3, "text": "grass"}}"#);
    assert_eq!(post("http://evil.example", &name).status, 403);
    for refused in ["", "{}", r#"{"layer": "none", "channel": 0, "text": "x"}"#] {
        assert_eq!(post(&own, refused).status, 400, "{refused}");
    }
    assert_eq!(post(&own, &"x".repeat(20_000)).status, 413);
    assert!(!copy.join("annotations.json").exists());
    assert_eq!(post(&own, &name).status, 204);
    let annotations = served.json("/bundle/annotations.json");
    assert_eq!(annotations["writable"], true);
    assert_eq!(annotations["annotations"][0]["text"], "grass");
    drop(served);

    succeed(&["export", copy.to_str().unwrap(), site.to_str().unwrap()]);
    let served = serve(&site, &[]);
    let exported = served.json("/bundle/annotations.json");
    assert_eq!(exported["writable"], false);
    assert_eq!(exported["annotations"], annotations["annotations"]);
}

/// A picture as numbers from 0 to 255, and its extent.
fn pixels(jpeg: &[u8]) -> (Vec<f64>, [u32; 2]) {
    let image = image::load_from_memory(jpeg).unwrap().to_rgb8();
    let extent = [image.width(), image.height()];
    (
        image.iter().map(|&level| f64::from(level)).collect(),
        extent,
    )
}

fn mean_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
    sum / a.len() as f64
}

#[test]
fn thumbnails_stand_in_for_images_that_are_gone() {
    let there = serve(run(), &[]);
    let gone = serve(run(), &["--images", "nowhere"]);
    assert!(gone.json("/bundle/manifest.json")["pictures"].is_object());
    gone.json("/bundle/graphs/0.json");
    let mut most: f64 = 0.0;
    for channel in 0..4 {
        let path = format!("/bundle/media/top/0/{channel}.jpg");
        let other = format!("/bundle/media/top/0/{}.jpg", channel + 1);
        let picture = |served: &Served, path: &str| pixels(&served.get(path).body).0;
        let original = picture(&there, &path);
        let stand_in = picture(&gone, &path);
        assert!(mean_difference(&original, &stand_in) < 12.0, "{path}");
        most = most.max(mean_difference(&picture(&there, &other), &stand_in));
    }
    assert!(most > 12.0, "any picture would have passed: {most}");
}

#[test]
fn an_image_that_is_gone_is_named() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site-gone");
    let _ = std::fs::remove_dir_all(&folder);
    let images = folder.join("images");
    for (name, bytes) in files_below(&run().parent().unwrap().join("images")) {
        let path = images.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let served = serve(run(), &[]);
    let carrier = &served.json("/bundle/images/3.json")["path"][0];
    let lost = carrier.as_str().unwrap();
    std::fs::remove_file(images.join(lost)).unwrap();
    let site = folder.join("site");
    let [place, site] = [&images, &site].map(|path| path.to_str().unwrap());
    let output = summit(&["export", run().to_str().unwrap(), site, "--images", place]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.contains(lost)).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].starts_with("summit: warning: "), "{said}");
    assert!(
        lines[0].ends_with("its stored thumbnail stands in"),
        "{said}"
    );
    assert!(!said.contains("pictures are missing"), "{said}");
}

#[test]
fn a_channel_is_shown_over_its_range() {
    let served = serve(run(), &[]);
    let layers = served.json("/bundle/manifest.json")["layers"].clone();
    let tile = served.json("/bundle/manifest.json")["pictures"]["detail_tile"].clone();
    let tile = u32::try_from(tile.as_u64().unwrap()).unwrap();
    for layer in 0..layers.as_array().unwrap().len() {
        let file = served.json(&format!("/bundle/channels/{layer}.json"));
        for range in file["range"].as_array().unwrap() {
            let values = range["value"].as_array().unwrap().iter();
            let values: Vec<f64> = values.map(|value| value.as_f64().unwrap()).collect();
            assert!((4..=10).contains(&values.len()), "{values:?}");
            assert!(values.is_sorted(), "{values:?}");
            assert_eq!(range["class"].as_array().unwrap().len(), values.len());
        }
        let strip = served.get(&format!("/bundle/media/detail/{layer}/0.jpg"));
        assert_eq!(pixels(&strip.body).1, [10 * tile, 2 * tile]);
    }
}

#[test]
fn what_is_no_run_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    let output = summit(&["serve", empty.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("summit: error: "));
}

#[test]
fn feature_visualisations_are_shown_once_they_are_there() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site-features");
    let _ = std::fs::remove_dir_all(&folder);
    copy_run(&folder);
    let served = serve(&folder, &[]);
    let shown = |path: &str| served.get(path).status;
    let has = || served.json("/bundle/manifest.json")["pictures"]["features"].clone();
    assert_eq!(has(), Value::Bool(false));
    assert_eq!(shown("/bundle/media/feature/1/2.jpg"), 404);
    let none = served.json("/bundle/features/1.json");
    assert_eq!(none["channel"], serde_json::json!([]));
    assert_eq!(served.json("/bundle/manifest.json")["draws"], true);
    let layers = served.json("/bundle/manifest.json")["layers"].clone();
    let channel = format!("{}:2", layers[1]["name"].as_str().unwrap());
    let run = folder.to_str().unwrap();
    succeed(&["featvis", run, "--steps", "3", "--channel", &channel]);

    // The server was not told.
    assert_eq!(has(), Value::Bool(true));
    let picture = served.get("/bundle/media/feature/1/2.jpg");
    assert_eq!(picture.headers["content-type"], "image/jpeg");
    assert!(picture.body.starts_with(&[0xff, 0xd8]));
    assert_eq!(
        served.json("/bundle/features/1.json")["channel"],
        serde_json::json!([2])
    );
    assert_eq!(shown("/bundle/media/features/1.jpg"), 200);
    assert_eq!(shown("/bundle/media/feature/1/1.jpg"), 404);
    assert_eq!(shown("/bundle/media/feature/0/2.jpg"), 404);

    // Asked for, drawn with the settings of the layer's other pictures.
    let own = format!("http://{}", served.host);
    let ask = |path: &str, origin: &str| served.post(path, origin, "").status;
    assert_eq!(
        ask("/bundle/media/feature/1/1.jpg", "http://evil.example"),
        403
    );
    assert_eq!(ask("/bundle/media/feature/1/99999.jpg", &own), 404);
    assert_eq!(ask("/bundle/media/feature/99/1.jpg", &own), 404);
    assert_eq!(ask("/bundle/media/top/1/1.jpg", &own), 405);
    assert_eq!(ask("/bundle/media/feature/1/2.jpg", &own), 202);
    assert_eq!(ask("/bundle/media/feature/1/1.jpg", &own), 202);
    let deadline = Instant::now() + Duration::from_secs(120);
    while shown("/bundle/media/feature/1/1.jpg") == 404 {
        assert!(Instant::now() < deadline, "it was never drawn");
        std::thread::sleep(Duration::from_millis(100));
    }
    let requested = served.get("/bundle/media/feature/1/1.jpg").body;
    let listed = served.json("/bundle/features/1.json");
    assert_eq!(listed["channel"], serde_json::json!([1, 2]));
    assert_eq!(listed["unnatural"].as_array().unwrap().len(), 2);
    drop(served);

    // The same bytes as from the command.
    let other = folder.join("other");
    copy_run(&other);
    let channel = channel.replace(":2", ":1");
    let made = other.to_str().unwrap();
    succeed(&[
        "featvis",
        made,
        "--steps",
        "3",
        "--detail",
        "--channel",
        &channel,
    ]);
    let served = serve(&other, &[]);
    assert!(served.get("/bundle/media/feature/1/1.jpg").body == requested);
    assert_eq!(
        served.json("/bundle/features/1.json")["detail"],
        serde_json::json!([true])
    );
    let strip = served.get("/bundle/media/feature-detail/1/1.jpg");
    assert!(strip.status == 200 && strip.body.starts_with(&[0xff, 0xd8]));
    drop(served);

    let site = folder.join("exported");
    succeed(&["export", run, site.to_str().unwrap()]);
    let exported = std::fs::read(site.join("bundle/media/feature/1/2.jpg")).unwrap();
    assert!(exported == picture.body);
    let served = serve(&site, &[]);
    assert_eq!(served.json("/bundle/manifest.json")["draws"], false);
    let own = format!("http://{}", served.host);
    let refused = served.post("/bundle/media/feature/1/3.jpg", &own, "");
    assert_eq!(refused.status, 405);
}

/// A server that ends, or cannot begin, does so with a sentence and its exit code.
#[test]
fn it_ends_as_it_should() {
    let mut served = serve(run(), &[]);
    assert_eq!(served.get("/bundle/classes.json").status, 200);
    let port = served.host.rsplit_once(':').unwrap().1.to_owned();
    let second = summit(&["serve", run().to_str().unwrap(), "--port", &port]);
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(
        said.contains("cannot listen on") && said.contains("--port"),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");

    let id = served.child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(killed.success());
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}
