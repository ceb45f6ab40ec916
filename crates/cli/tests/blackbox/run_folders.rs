//! Run folders that hold something else, or are damaged: named, and left as they are.

use crate::case::Case;
use crate::command::Summit;
use crate::folders::{assert_same, contents};
use std::fs;
use std::path::Path;

fn graph(run: &Path) -> Summit {
    Summit::new("graph").arg(run).arg("--all")
}

fn merge(first: &Path, second: &Path, out: &Path) -> Summit {
    Summit::new("merge")
        .arg(first)
        .arg(second)
        .arg("--out")
        .arg(out)
}

#[test]
fn a_run_is_not_written_over_anything_else() {
    let case = Case::small(2);
    let out = case.path("run");
    case.run(&out).expect(0, &[]);
    let before = contents(&out);
    let name = out.display().to_string();

    // Other settings, other images, another model, all in the same place.
    case.run(&out)
        .args(&["--top-k", "3"])
        .fails(&["other settings", "parameters.top_rule", &name]);
    let other = Case::small(3);
    case.run_on(&other.images, &out).fails(&[
        "other settings",
        "images.listed is 6 there and 9 now",
        &name,
    ]);
    let mut changed = crate::case::small_network();
    changed.initializers.swap(0, 1);
    fs::write(&case.model, changed.bytes()).unwrap();
    case.run(&out)
        .fails(&["other settings", "model.sha256", &name]);
    assert!(before == contents(&out), "the run was touched");

    let file = case.path("file");
    fs::write(&file, "mine").unwrap();
    case.run(&file)
        .fails(&["this is a file", &file.display().to_string()]);
    case.run(&file.join("below")).fails(&["file/below"]);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    let folder = case.path("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("thesis.txt"), "mine").unwrap();
    case.run(&folder)
        .fails(&["holds something else", &folder.display().to_string()]);
    assert_eq!(contents(&folder).len(), 1);
}

#[test]
fn two_processes_do_not_write_one_run() {
    let case = Case::small(60);
    let out = case.path("run");
    let mut first = case.run(&out).args(&["--shard-images", "3"]).start(None);
    while !out.join("shards").exists() {
        assert!(first.try_wait().unwrap().is_none(), "it ended too soon");
        std::thread::yield_now();
    }
    case.run(&out).fails(&[
        "another process is writing this run",
        &out.display().to_string(),
    ]);
    assert!(first.wait().unwrap().success());
    let alone = case.path("alone");
    case.run(&alone).expect(0, &[]);
    assert_same(&alone, &out, &[]);
}

#[test]
fn damage_is_named() {
    struct Damage {
        file: &'static str,
        change: fn(&mut Vec<u8>),
        /// In the words of `summit graph`.
        says: &'static str,
    }
    let half: fn(&mut Vec<u8>) = |bytes| bytes.truncate(bytes.len() / 2);
    let flip: fn(&mut Vec<u8>) = |bytes| {
        let end = bytes.len() - 5;
        bytes[end] ^= 0x40;
    };
    let middle: fn(&mut Vec<u8>) = |bytes| {
        let place = bytes.len() / 3;
        bytes[place..place + 8].fill(0xFF);
    };
    let damage = |file, change, says| Damage { file, change, says };
    let cases = [
        damage("manifest.json", half, "the manifest is damaged"),
        damage(
            "manifest.json",
            |bytes| bytes.clear(),
            "the manifest is damaged",
        ),
        damage("images.parquet", half, "the table is damaged"),
        damage("images.parquet", flip, "the table is damaged"),
        damage("images.parquet", middle, "the table is damaged"),
        damage(
            "influence/conv=conv2/part-0.parquet",
            half,
            "the table is damaged",
        ),
        damage(
            "influence/conv=conv2/part-0.parquet",
            flip,
            "the table is damaged",
        ),
        damage(
            "activations/layer=layer2/part-0.parquet",
            middle,
            "the table is damaged",
        ),
    ];
    let case = Case::small(6);
    let [run, other] = ["run", "other"].map(|name| case.path(name));
    case.run(&run).expect(0, &[]);
    graph(&run).expect(0, &[]);
    // A second run, of renamed images, to merge with.
    let renamed = case.path("renamed");
    fs::rename(&case.images, &renamed).unwrap();
    for class in fs::read_dir(&renamed).unwrap() {
        let class = class.unwrap().path();
        for image in fs::read_dir(&class).unwrap() {
            let image = image.unwrap();
            let name = format!("x{}", image.file_name().to_str().unwrap());
            fs::rename(image.path(), class.join(name)).unwrap();
        }
    }
    case.run_on(&renamed, &other).expect(0, &[]);
    let merged = case.path("merged");
    merge(&run, &other, &merged).expect(0, &[]);
    graph(&merged).expect(0, &[]);

    for (index, Damage { file, change, says }) in cases.iter().enumerate() {
        let path = run.join(file);
        let good = fs::read(&path).unwrap();
        let mut bytes = good.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let name = path.display().to_string();
        graph(&run).fails(&[says, &name]);
        let target = case.path(&format!("merged-{index}"));
        merge(&other, &run, &target).fails(&[says, &name]);
        let begun = fs::read_to_string(target.join("manifest.json")).unwrap_or_default();
        assert!(
            !begun.contains("\"complete\""),
            "{file}: merged all the same"
        );
        fs::write(&path, good).unwrap();
    }
    let missing = run.join("examples/layer=layer1/part-0.parquet");
    let good = fs::read(&missing).unwrap();
    fs::remove_file(&missing).unwrap();
    graph(&run).fails(&[
        "cannot be read: No such file",
        &missing.display().to_string(),
    ]);
    fs::write(&missing, good).unwrap();
    graph(&run).expect(0, &[]);
}

#[test]
fn what_is_no_run_is_refused() {
    let case = Case::small(2);
    let run = case.path("run");
    case.run(&run).expect(0, &[]);
    let empty = case.path("empty");
    fs::create_dir(&empty).unwrap();
    let nowhere = case.path("nowhere");
    let merged = case.path("merged");
    for place in [&empty, &nowhere] {
        let name = place.display().to_string();
        graph(place).fails(&["there is no run here", &name]);
        merge(&run, place, &merged).fails(&["there is no run here", &name]);
    }
    graph(&case.model).fails(&["Not a directory", "small.onnx"]);
    merge(&run, &run, &merged).fails(&["the image \"ash/0000.png\" is in both runs"]);
    assert!(!merged.exists());
    // A run under way.
    let partial = case.path("partial");
    let mut child = case
        .run(&partial)
        .args(&["--shard-images", "1"])
        .start(None);
    while !partial.join("manifest.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    graph(&partial).fails(&["not finished", "of 6 images are done"]);
    merge(&run, &partial, &merged).fails(&["not finished"]);
}

#[test]
fn runs_with_things_passed_over_can_be_merged() {
    let case = Case::small(2);
    let second = Case::small(2);
    for class in crate::case::CLASSES {
        for number in 0..2 {
            let folder = second.images.join(class);
            fs::rename(
                folder.join(format!("{number:04}.png")),
                folder.join(format!("x{number}.png")),
            )
            .unwrap();
        }
    }
    fs::write(case.images.join("cover.png"), "no class").unwrap();
    let [one, two, merged] = ["one", "two", "merged"].map(|name| case.path(name));
    case.run(&one).expect(
        0,
        &["passed over: cover.png: it lies beside the class folders"],
    );
    case.run_on(&second.images, &two).expect(0, &[]);
    merge(&one, &two, &merged).expect(0, &[]);
    let manifest = fs::read_to_string(merged.join("manifest.json")).unwrap();
    assert!(manifest.contains("cover.png"), "{manifest}");
}
