//! A plan, its shards in any number of processes, and the merge.

use crate::case::Case;
use crate::command::Summit;
use crate::folders::assert_same;
use crate::server::{Bucket, Cloud};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use summit_store::Run;

/// Says where it was made, which is not part of the results.
const BUT: &[&str] = &["source.json"];

fn plan(case: &Case, out: &str) -> Summit {
    Summit::new("plan")
        .arg("--model")
        .arg(&case.model)
        .arg("--images")
        .arg(&case.images)
        .args(&["--out", out, "--shard-images", "7"])
        .args(&case.flags[..case.flags.len() - 1])
}

fn shard(plan: &str, id: usize) -> Summit {
    Summit::new("shard").args(&["--plan", plan, "--id", &id.to_string(), "--threads", "1"])
}

fn merge(plan: &str) -> Summit {
    Summit::new("merge").arg(plan)
}

fn shards(plan: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(plan.join("shards")).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

#[test]
fn shards_in_any_order_equal_one_run() {
    // 36 images: five shards of 7 and one of 1.
    let case = Case::small(12);
    let reference = case.path("reference");
    case.run(&reference).expect(0, &[]);
    let folder = case.path("plan");
    let name = folder.to_str().unwrap();
    let outcome = plan(&case, name).expect(0, &[]);
    assert!(
        outcome.stdout.contains("36 images in 6 shards"),
        "{}",
        outcome.stdout
    );
    // Planning again changes nothing.
    plan(&case, name).expect(0, &[]);
    merge(name).fails(&["6 of 6 shards are missing", name]);
    shard(name, 6).fails(&["there is no shard 6", "has 6"]);
    // Two at a time, the first twice.
    let mut running: Vec<_> = [5, 0, 0].map(|id| shard(name, id).start(None)).into();
    for child in &mut running {
        assert!(child.wait().unwrap().success());
    }
    for id in [3, 1, 2] {
        shard(name, id).expect(0, &[]);
    }
    shard(name, 1).expect(0, &["nothing to do: shard 1 is done"]);
    merge(name).fails(&["1 of 6 shards are missing (4)", name]);
    shard(name, 4).expect(0, &[]);
    let leftovers = shards(&folder);
    assert_eq!(leftovers.len(), 6, "{leftovers:?}");
    merge(name).expect(0, &[]);
    assert_same(&reference, &folder, BUT);
    shard(name, 4).expect(0, &["nothing to do"]);
    plan(&case, name).expect(0, &[]);
    // What was begun as a plan is a run like any other.
    case.run(&folder).expect(0, &["nothing to do"]);
}

#[test]
fn a_run_goes_on_from_shards_and_shards_from_a_run() {
    let case = Case::small(8);
    let reference = case.path("reference");
    case.run(&reference).expect(0, &[]);
    let folder = case.path("plan");
    let name = folder.to_str().unwrap();
    plan(&case, name).expect(0, &[]);
    shard(name, 2).expect(0, &[]);
    case.run(&folder)
        .args(&["--shard-images", "7"])
        .expect(0, &["continuing: 7 of 24 images are done"]);
    assert_same(&reference, &folder, BUT);
}

#[test]
fn a_damaged_foreign_or_doubled_shard_is_named_and_refused() {
    let case = Case::small(7);
    let other = Case::small(7);
    let [whole, foreign] = ["whole", "foreign"].map(|name| case.path(name));
    let name = whole.to_str().unwrap();
    plan(&case, name).expect(0, &[]);
    plan(&other, foreign.to_str().unwrap())
        .args(&["--top-k", "2"])
        .expect(0, &[]);
    for id in 0..3 {
        shard(name, id).expect(0, &[]);
        shard(foreign.to_str().unwrap(), id).expect(0, &[]);
    }
    let copy = |to: &str| {
        let target = case.path(to);
        crate::sources::copy(&whole, &target);
        target
    };
    let refused = |folder: &Path, says: &str| {
        let name = folder.to_str().unwrap();
        merge(name).fails(&[says, name]);
        assert!(!folder.join("images.parquet").exists());
    };
    let damaged = copy("damaged");
    let table = shards(&damaged)[1].join("images.parquet");
    let mut bytes = fs::read(&table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&table, bytes).unwrap();
    refused(&damaged, "the content of images.parquet has changed");
    let mixed = copy("mixed");
    let [own, strange] = [&mixed, &foreign].map(|run| shards(run)[0].clone());
    fs::remove_dir_all(&own).unwrap();
    crate::sources::copy(&strange, &own);
    refused(&mixed, "it was made from other inputs");
    let doubled = copy("doubled");
    let first = shards(&doubled)[0].clone();
    crate::sources::copy(&first, &first.with_file_name("0000000000-0000000007 copy"));
    refused(&doubled, "disagree");
    let gone = copy("gone");
    fs::remove_dir_all(&shards(&gone)[2]).unwrap();
    refused(&gone, "1 of 3 shards are missing (2)");
    fs::remove_file(shards(&gone)[0].join("done.json")).unwrap();
    refused(&gone, "done.json");
    merge(name).expect(0, &[]);
}

#[test]
fn a_plan_in_a_bucket_equals_one_run() {
    plan_in_a_bucket(Cloud::S3, "s3://images/runs/one");
}

#[test]
fn a_plan_in_an_azure_container_equals_one_run() {
    plan_in_a_bucket(Cloud::Azure, "az://images/runs/one");
}

fn plan_in_a_bucket(cloud: Cloud, url: &str) {
    let case = Case::small(5);
    let reference = case.path("reference");
    case.run(&reference).expect(0, &[]);
    let empty = case.path("empty");
    fs::create_dir(&empty).unwrap();
    let Some(bucket) = Bucket::start(cloud, &empty) else {
        return;
    };
    let environment = bucket.environment();
    plan(&case, url).environment(&environment).expect(0, &[]);
    plan(&case, url).environment(&environment).expect(0, &[]);
    let mut running: Vec<_> = [0, 1, 1]
        .map(|id| shard(url, id).environment(&environment).start(None))
        .into();
    for child in &mut running {
        assert!(child.wait().unwrap().success());
    }
    let out = case.path("merged");
    let merged = |out: &Path| merge(url).arg("--out").arg(out).environment(&environment);
    merged(&case.path("early")).fails(&["1 of 3 shards are missing (2)"]);
    shard(url, 2).environment(&environment).expect(0, &[]);
    shard(url, 2)
        .environment(&environment)
        .expect(0, &["nothing to do"]);
    merged(&out).expect(0, &[]);
    assert_same(&reference, &out, BUT);
}

#[test]
fn added_images_equal_one_run_of_all() {
    let case = Case::small(10);
    fs::write(case.images.join("ash/broken.png"), "no image").unwrap();
    fs::write(case.images.join("loose.png"), "beside the classes").unwrap();
    let reference = case.path("reference");
    case.run(&reference).expect(0, &[]);
    let [first, more] = ["first", "more"].map(|name| case.path(name));
    for (name, bytes) in crate::folders::contents(&case.images) {
        let odd = name.bytes().map(u32::from).sum::<u32>() % 2 == 1;
        let target = if odd { &more } else { &first }.join(name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, bytes).unwrap();
    }
    let run = case.path("run");
    case.run_on(&first, &run).expect(0, &[]);
    fs::write(run.join("annotations.json"), "{}").unwrap();
    let add = || Summit::new("add").arg(&run).arg("--images").arg(&more);
    add().expect(0, &[]);
    let but = [BUT, &["inventory.parquet", "annotations.json"]].concat();
    assert_same(&reference, &run, &but);
    assert!(run.join("annotations.json").exists());
    // Once only, and nothing is lost by trying.
    add().fails(&["is in both runs"]);
    assert_same(&reference, &run, &but);
}

/// Images that a channel names among its strongest, and those that are no example of any channel.
fn by_strength(run: &Path) -> [Vec<String>; 2] {
    let run = Run::open(run).unwrap();
    let layers = || run.model_info().layers.iter();
    let named: BTreeSet<_> = layers()
        .flat_map(|layer| run.examples(layer.id).unwrap())
        .map(|example| example.unwrap().image)
        .collect();
    let ranged: BTreeSet<_> = layers()
        .flat_map(|layer| run.range_examples(layer.id).unwrap())
        .map(|example| example.unwrap().image)
        .collect();
    let (mut strong, mut other) = (Vec::new(), Vec::new());
    for record in run.images().unwrap() {
        let record = record.unwrap();
        if named.contains(&record.image) {
            strong.push(record.path);
        } else if !ranged.contains(&record.image) {
            other.push(record.path);
        }
    }
    [strong, other]
}

#[test]
fn removed_images_leave_what_one_run_without_them_is() {
    let case = Case::small(600);
    fs::write(case.images.join("ash/broken.png"), "no image").unwrap();
    fs::write(case.images.join("birch/broken.png"), "no image").unwrap();
    let run = case.path("run");
    case.run(&run).expect(0, &[]);
    fs::write(run.join("annotations.json"), "{}").unwrap();
    let before = crate::folders::contents(&run);
    let [strong, other] = by_strength(&run);
    assert!(strong.len() > 10 && other.len() > 60, "{}", other.len());
    let take = |folder: &str, paths: &[&str]| {
        let folder = case.path(folder);
        for path in paths {
            let target = folder.join(path);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(case.images.join(path), target).unwrap();
        }
        folder
    };
    let remove = |images: &Path| Summit::new("remove").arg(&run).arg("--images").arg(images);
    let refused = |images: &Path, says: &str| {
        remove(images).fails(&[says]);
        assert_eq!(crate::folders::contents(&run), before, "{says}");
    };
    refused(
        &take("strong", &[&strong[0], &other[0]]),
        "1 of these images are among the 10 strongest",
    );
    let foreign = case.path("foreign");
    fs::create_dir_all(foreign.join("ash")).unwrap();
    fs::copy(case.images.join(&other[0]), foreign.join("ash/x.png")).unwrap();
    refused(&foreign, "no image \"ash/x.png\"");
    // The same name, another picture.
    let changed = take("changed", &[&other[0]]);
    fs::copy(case.images.join(&other[1]), changed.join(&other[0])).unwrap();
    refused(&changed, "are not what the run says of them");
    assert!(!case.path("run.removing").exists());
    refused(&case.images, "no image would be left");

    let gone: Vec<&str> = other.iter().step_by(3).map(String::as_str).collect();
    let less = take("less", &[gone.as_slice(), &["ash/broken.png"]].concat());
    remove(&less).expect(0, &[]);
    for path in crate::folders::contents(&less).keys() {
        fs::remove_file(case.images.join(path)).unwrap();
    }
    let reference = case.path("reference");
    case.run(&reference).expect(0, &[]);
    let but = [BUT, &["annotations.json"]].concat();
    assert_same(&reference, &run, &but);
    assert!(run.join("annotations.json").exists());
    // And back again.
    Summit::new("add")
        .arg(&run)
        .arg("--images")
        .arg(&less)
        .expect(0, &[]);
    let but = ["source.json", "inventory.parquet", "annotations.json"];
    let is_result = |name: &String| !but.contains(&name.as_str());
    let results = |mut files: std::collections::BTreeMap<String, Vec<u8>>| {
        files.retain(|name, _| is_result(name));
        files
    };
    assert_eq!(results(crate::folders::contents(&run)), results(before));
}

#[test]
fn the_built_in_network_has_plans_and_grows() {
    let case = Case::small(2);
    let [reference, folder] = ["reference", "plan"].map(|name| case.path(name));
    let name = folder.to_str().unwrap();
    let given = |command: &str, out: &Path| {
        let summit = Summit::new(command).args(&["--model", "squeezenet", "--images"]);
        summit.arg(&case.images).arg("--out").arg(out)
    };
    given("run", &reference)
        .args(&["--no-check"])
        .expect(0, &[]);
    given("plan", &folder)
        .args(&["--shard-images", "4"])
        .expect(0, &[]);
    for id in 0..2 {
        shard(name, id).expect(0, &[]);
    }
    merge(name).expect(0, &[]);
    assert_same(&reference, &folder, BUT);
    let more = case.path("more/ash");
    fs::create_dir_all(&more).unwrap();
    fs::copy(case.images.join("ash/0000.png"), more.join("9.png")).unwrap();
    let add = Summit::new("add").arg(&folder).arg("--images");
    add.arg(case.path("more")).expect(0, &[]);
    fs::copy(more.join("9.png"), case.images.join("ash/9.png")).unwrap();
    let all = case.path("all");
    given("run", &all).args(&["--no-check"]).expect(0, &[]);
    assert_same(&all, &folder, &["source.json", "inventory.parquet"]);
}
