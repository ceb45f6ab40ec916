//! `summit run --serve`: the page of a run while it is made, and afterwards.

use crate::case::{CLASSES, Case};
use crate::command::{Summit, signal};
use crate::folders::{assert_same, contents};
use crate::served::{Answer, Served};
use crate::server::{Fault, Rule, serve};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

const PER_CLASS: usize = 8;

/// The last class's images come late: their first request is not answered.
const SLOW: &[Rule] = &[("slow/", Fault::Hang, 1)];

/// Seconds a request may take, and how many images a shard has.
const FLAGS: &[&str] = &["--io-timeout", "2", "--shard-images", "4"];

/// A list of a case's images on a server that is slow with the last class.
fn slow_list(case: &Case) -> PathBuf {
    let server = serve(&case.images, SLOW);
    let path = case.path("list.csv");
    let mut file = File::create(&path).unwrap();
    writeln!(file, "name,url,label").unwrap();
    for class in CLASSES {
        let speed = if class == "cedar" { "slow/" } else { "" };
        for entry in fs::read_dir(case.images.join(class)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            writeln!(
                file,
                "{class}/{name},{server}/{speed}{class}/{name},{class}"
            )
            .unwrap();
        }
    }
    path
}

/// A run with its page on a free port.
fn start(run: Summit) -> Served {
    Served::start(run.args(&["--serve", "--port", "0"]).into())
}

/// Asks for the states of the run.
fn listen(served: &Served) -> TcpStream {
    let host = &served.host;
    served.send(format!(
        "GET /events HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    ))
}

/// All states until the run ends.
fn events(stream: TcpStream) -> Vec<Value> {
    let answer = Answer::of(stream);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let text = String::from_utf8(answer.body).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

/// Interrupts it; the exit code.
fn end(served: &mut Served) -> Option<i32> {
    signal(&served.child, "INT");
    served.child.wait().unwrap().code()
}

/// A column by class.
fn by_class(file: &Value, column: &str) -> BTreeMap<u64, Value> {
    let numbers = |name: &str| file[name].as_array().unwrap().clone();
    let classes = numbers("class").into_iter().map(|id| id.as_u64().unwrap());
    classes.zip(numbers(column)).collect()
}

/// A column of the finished run's classes, all of which have images.
fn of_run(classes: &Value, column: &str) -> BTreeMap<u64, Value> {
    let values = classes[column].as_array().unwrap();
    (0..).zip(values.clone()).collect()
}

fn sum(column: &Value) -> u64 {
    let counts = column.as_array().unwrap().iter();
    counts.map(|count| count.as_u64().unwrap()).sum()
}

#[test]
fn a_run_is_shown_while_it_grows_and_served_when_it_is_complete() {
    let case = Case::small(PER_CLASS);
    let list = slow_list(&case);
    let run = |out: &str| case.run_on(&list, &case.path(out)).args(FLAGS);
    let mut served = start(run("run"));
    let phase = served.json("/bundle/live.json")["phase"].clone();
    assert!(phase == "preparing" || phase == "images", "{phase}");
    let early = served.get("/bundle/manifest.json");
    assert_eq!(early.status, 202);
    assert_eq!(early.body, b"the run is not finished yet\n");
    assert_eq!(served.get("/").status, 200);
    let foreign =
        served.raw("GET /events HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(foreign.status, 403);
    let foreign = served.get_with("/events", "Origin: http://evil.example\r\n");
    assert_eq!(foreign.status, 403);

    let events = events(listen(&served));
    let stored: Vec<u64> = events.iter().map(|event| sum(&event["images"])).collect();
    let looked: Vec<u64> = events
        .iter()
        .map(|event| event["done"].as_u64().unwrap())
        .collect();
    assert!(stored.is_sorted(), "{stored:?}");
    assert!(looked.is_sorted(), "{looked:?}");
    // The first two classes are there while the third is waited for.
    let two = stored
        .iter()
        .position(|&stored| stored == 2 * PER_CLASS as u64);
    let two = &events[two.unwrap()];
    assert_eq!(two["phase"], "images");
    assert!(by_class(two, "name").into_keys().eq([0, 1]), "{two}");
    let last = events.last().unwrap();
    assert_eq!(last["phase"], "complete");
    let names: Vec<_> = by_class(last, "name").into_values().collect();
    assert_eq!(names, CLASSES);

    // The counts are those of the finished run.
    let classes = served.json("/bundle/classes.json");
    for column in ["images", "labelled", "correct"] {
        assert_eq!(by_class(last, column), of_run(&classes, column), "{column}");
    }
    let manifest = served.json("/bundle/manifest.json");
    assert_eq!(manifest["images"]["done"], 3 * PER_CLASS);
    assert_eq!(end(&mut served), Some(0));
    run("reference").expect(0, &[]);
    assert_same(&case.path("reference"), &case.path("run"), &[]);
}

#[test]
fn a_run_that_is_stopped_says_so_and_is_continued_with_its_counts() {
    let case = Case::small(300);
    let run = || {
        let run = case.run(&case.path("run"));
        run.args(&["--threads", "1", "--shard-images", "20"])
    };
    let mut served = start(run());
    let stream = listen(&served);
    while sum(&served.json("/bundle/live.json")["images"]) == 0 {}
    signal(&served.child, "INT");
    let stopped = events(stream);
    let last = stopped.last().unwrap();
    assert_eq!(last["phase"], "stopped");
    assert_eq!(last["problem"], "it was interrupted");
    let stored = sum(&last["images"]);
    assert_eq!(last["done"], stored);
    assert_eq!(served.child.wait().unwrap().code(), Some(2));

    let mut served = start(run());
    let events = events(listen(&served));
    let begun = events.iter().find(|event| event["phase"] == "images");
    let begun = begun.unwrap();
    assert_eq!(begun["before"], stored);
    assert!(sum(&begun["images"]) >= stored, "{begun}");
    let last = events.last().unwrap();
    assert_eq!(last["phase"], "complete");
    let classes = served.json("/bundle/classes.json");
    for column in ["images", "correct"] {
        assert_eq!(by_class(last, column), of_run(&classes, column), "{column}");
    }
    assert_eq!(end(&mut served), Some(0));
}

#[test]
fn a_port_in_use_is_said_before_anything_is_made() {
    let case = Case::small(1);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let out = case.path("run");
    let place = format!("cannot listen on 127.0.0.1:{port}");
    case.run(&out)
        .args(&["--serve", "--port", &port])
        .fails(&[&place, "--port"]);
    assert!(!out.exists());
    // A port alone would be ignored.
    case.run(&out)
        .args(&["--port", "0"])
        .expect(2, &["--serve"]);
    assert!(!out.exists());
}

#[test]
fn a_run_that_fails_says_why_and_ends() {
    let case = Case::small(1);
    fs::write(&case.model, "no network").unwrap();
    let out = case.path("run");
    case.run(&out)
        .args(&["--serve", "--port", "0"])
        .fails(&["small.onnx"]);
    assert!(
        contents(case.folder.path())
            .keys()
            .all(|name| !name.starts_with("run/"))
    );
}
