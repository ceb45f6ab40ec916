//! The same images from every kind of source, and servers and files that misbehave.

use crate::case::{CLASSES, Case};
use crate::folders::mix;
use crate::server::{Bucket, Cloud, Fault, Rule, serve};
use arrow::array::{
    Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Of each class: 2,001 images in all.
const PER_CLASS: usize = 667;

/// Class, name and bytes of every image of a case.
fn images(case: &Case) -> Vec<(usize, String, Vec<u8>)> {
    let mut found = Vec::new();
    for (index, class) in CLASSES.iter().enumerate() {
        let mut files: Vec<PathBuf> = fs::read_dir(case.images.join(class))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        found.extend(files.into_iter().map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (index, name, fs::read(path).unwrap())
        }));
    }
    found
}

/// A folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (name, bytes) in crate::folders::contents(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// In an order that is nobody's.
fn shuffled<T>(mut items: Vec<T>) -> Vec<T> {
    for index in (1..items.len()).rev() {
        items.swap(index, (mix(index as u64) % (index as u64 + 1)) as usize);
    }
    items
}

fn append(archive: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, bytes).unwrap();
}

/// Three archives, each telling the class in another way; one is packed.
fn archives(case: &Case) -> PathBuf {
    let folder = case.path("archives");
    fs::create_dir(&folder).unwrap();
    let members = shuffled(images(case));
    let of = |class: usize| members.iter().filter(move |(index, ..)| *index == class);
    let mut ash = tar::Builder::new(File::create(folder.join("train-000.tar")).unwrap());
    for (_, name, bytes) in of(0) {
        append(&mut ash, &name.replace(".png", ".cls"), b"ash\n");
        append(&mut ash, name, bytes);
    }
    ash.finish().unwrap();
    let packed = File::create(folder.join("train-001.tar.gz")).unwrap();
    let mut birch = tar::Builder::new(GzEncoder::new(packed, Compression::fast()));
    for (_, name, bytes) in of(1) {
        append(&mut birch, name, bytes);
        let json = br#"{"width": 24, "class_name": "birch"}"#;
        append(&mut birch, &name.replace(".png", ".json"), json);
    }
    birch.into_inner().unwrap().finish().unwrap();
    let mut cedar = tar::Builder::new(File::create(folder.join("train-002.tar")).unwrap());
    for (_, name, bytes) in of(2) {
        append(&mut cedar, &format!("./cedar/{name}"), bytes);
    }
    cedar.finish().unwrap();
    folder
}

/// Two tables as Hugging Face writes them.
fn tables(case: &Case) -> PathBuf {
    let folder = case.path("tables");
    fs::create_dir(&folder).unwrap();
    // Not the order of the network: the names decide.
    let names = ["cedar", "ash", "birch"];
    let features = format!(
        r#"{{"info": {{"features": {{"image": {{"_type": "Image"}}, "label": {{"names": {names:?}, "_type": "ClassLabel"}}}}}}}}"#
    );
    for (part, rows) in shuffled(images(case)).chunks(1200).enumerate() {
        let bytes = BinaryArray::from_iter_values(rows.iter().map(|(.., bytes)| bytes));
        let paths = StringArray::from_iter_values(rows.iter().map(|(_, name, _)| name));
        let number = |class: &str| names.iter().position(|name| *name == class).unwrap() as i64;
        let labels = rows.iter().map(|(class, ..)| number(CLASSES[*class]));
        let fields = Fields::from(vec![
            Field::new("bytes", DataType::Binary, true),
            Field::new("path", DataType::Utf8, true),
        ]);
        let columns: Vec<ArrayRef> = vec![Arc::new(bytes), Arc::new(paths)];
        let image = StructArray::new(fields, columns, None);
        let schema = Arc::new(Schema::new(vec![
            Field::new("image", image.data_type().clone(), true),
            Field::new("label", DataType::Int64, true),
        ]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(image),
            Arc::new(Int64Array::from_iter_values(labels)),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let described = KeyValue::new("huggingface".to_owned(), features.clone());
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(500))
            .set_compression(parquet::basic::Compression::SNAPPY)
            .set_key_value_metadata(Some(vec![described]));
        let file = File::create(folder.join(format!("train-{part:05}-of-00002.parquet"))).unwrap();
        let mut writer = ArrowWriter::try_new(file, schema, Some(properties.build())).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
    folder
}

/// A list; `location` says where an image is.
fn list(case: &Case, name: &str, location: impl Fn(&str, &str) -> String) -> PathBuf {
    let path = case.path(name);
    let mut file = File::create(&path).unwrap();
    writeln!(file, "name,url,label").unwrap();
    for (class, image, _) in shuffled(images(case)) {
        let class = CLASSES[class];
        let place = location(class, &image);
        writeln!(file, "{class}/{image},{place},{class}").unwrap();
    }
    path
}

/// What a manifest says of the tables.
fn results(run: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(run.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    ["state", "files", "paths_sha256", "counts", "classes"]
        .map(|field| manifest[field].clone())
        .to_vec()
}

#[test]
fn every_source_of_the_same_images_gives_the_same_tables() {
    let case = Case::small(PER_CLASS);
    let reference = case.path("reference");
    case.run(&reference)
        .expect(0, &["2001 images in 3 folders"]);
    let wanted = results(&reference);
    let server = serve(case.folder.path(), &[]);
    let local = list(&case, "local.csv", |class, name| {
        format!("images/{class}/{name}")
    });
    let remote = list(&case, "remote.csv", |class, name| {
        format!("{server}/images/{class}/{name}?signature=secret")
    });
    let archives = archives(&case);
    let in_parts = format!("{server}/archives/train-{{000..000}}.tar");
    let sources = [
        ("archives", archives.clone()),
        ("tables", tables(&case)),
        ("local list", local),
        ("web", remote),
    ];
    for (name, source) in sources {
        let out = case.path(&format!("run of {name}"));
        let outcome = case.run_on(&source, &out).expect(0, &["3 folders"]);
        assert!(!outcome.stderr.contains("secret"), "{}", outcome.stderr);
        assert_eq!(results(&out), wanted, "{name}");
    }
    // A table and an archive in parts over the network, one class of them each.
    let out = case.path("run of a remote archive");
    case.run_on(Path::new(&in_parts), &out)
        .expect(0, &["667 images"]);
    for (cloud, url) in [
        (Cloud::S3, "s3://images/"),
        (Cloud::S3, "gs://images"),
        (Cloud::Azure, "az://images/"),
    ] {
        let Some(bucket) = Bucket::start(cloud, &case.images) else {
            continue;
        };
        let out = case.path(&format!("run of {}", &url[..2]));
        let run = case.run_on(Path::new(url), &out);
        run.environment(&bucket.environment())
            .expect(0, &["2001 images in 3 folders"]);
        assert_eq!(results(&out), wanted, "{url}");
    }
}

#[test]
fn a_bucket_without_credentials_is_refused_in_a_sentence() {
    let case = Case::small(1);
    // No server of machine identities is asked: there is none here either.
    let environment = [
        ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("GCE_METADATA_HOST", "127.0.0.1:1"),
        ("GCE_METADATA_ROOT", "127.0.0.1:1"),
        ("GCE_METADATA_IP", "127.0.0.1:1"),
        ("HOME", "/nonexistent"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "not base64 but secret"),
    ];
    let urls = [
        "s3://nobodys/",
        "gs://nobodys/train/",
        "az://nobodys/train/",
        "gs://",
        "az:///x",
    ];
    for url in urls {
        let begun = Instant::now();
        let run = case.run_on(Path::new(url), &case.path("none"));
        let run = run.args(&["--io-timeout", "2", "--io-retries", "1"]);
        let outcome = run.environment(&environment).fails(&[url]);
        assert!(!outcome.stderr.contains("secret"), "{}", outcome.stderr);
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{url}: {:?}",
            begun.elapsed()
        );
    }
}

const FAULTS: &[Rule] = &[
    ("always-500/", Fault::Status(500), usize::MAX),
    ("once-500/", Fault::Status(500), 1),
    ("once-429/", Fault::Status(429), 1),
    ("always-404/", Fault::Status(404), usize::MAX),
    ("always-403/", Fault::Status(403), usize::MAX),
    ("always-half/", Fault::HalfBody, usize::MAX),
    ("once-half/", Fault::HalfBody, 1),
    ("always-hang/", Fault::Hang, usize::MAX),
    ("once-hang/", Fault::Hang, 1),
];

#[test]
fn a_server_that_fails_is_reported_and_does_not_hold_up_the_run() {
    let case = Case::small(9);
    let server = serve(&case.images, FAULTS);
    let path = case.path("list.csv");
    let mut file = File::create(&path).unwrap();
    writeln!(file, "url,name").unwrap();
    let mut broken = Vec::new();
    for (number, (class, image, _)) in images(&case).into_iter().enumerate() {
        let (rule, ..) = FAULTS[number % FAULTS.len()];
        let name = format!("{}/{image}", CLASSES[class]);
        writeln!(file, "{server}/{rule}{name}?token=secret,{name}").unwrap();
        if rule.starts_with("always") {
            broken.push((name, rule));
        }
    }
    broken.sort();
    let out = case.path("run");
    let begun = Instant::now();
    let patience = ["--io-timeout", "1", "--io-retries", "2", "--json"];
    let outcome = case.run_on(&path, &out).args(&patience).expect(0, &[]);
    // Three attempts of a second and two pauses, six of 27 hanging together: far from one after the other.
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    assert!(!outcome.stderr.contains("secret"), "{}", outcome.stderr);
    let text = fs::read_to_string(out.join("skipped.json")).unwrap();
    assert!(!text.contains("secret"), "{text}");
    let skipped: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let found: Vec<(String, String)> = skipped
        .iter()
        .map(|skip| {
            let text = |field: &str| skip[field].as_str().unwrap().to_owned();
            (text("path"), text("reason"))
        })
        .collect();
    let reason = |rule: &str| match rule {
        "always-500/" => "the server answered with status 500",
        "always-404/" => "the server does not have it",
        "always-403/" => "the server refuses access",
        "always-half/" => "the connection failed",
        _ => "the server did not answer in time",
    };
    let wanted: Vec<(String, String)> = broken
        .into_iter()
        .map(|(name, rule)| (name, reason(rule).to_owned()))
        .collect();
    assert_eq!(found, wanted);
    // Nothing of it is chance.
    let again = case.path("again");
    let server = serve(&case.images, FAULTS);
    let other = fs::read_to_string(&path).unwrap();
    let old = other
        .lines()
        .nth(1)
        .unwrap()
        .split('/')
        .nth(2)
        .unwrap()
        .to_owned();
    fs::write(
        &path,
        other.replace(&old, server.trim_start_matches("http://")),
    )
    .unwrap();
    case.run_on(&path, &again).args(&patience).expect(0, &[]);
    assert_eq!(results(&out), results(&again));
}

#[test]
fn broken_and_hostile_archives_are_named_and_the_rest_is_used() {
    let case = Case::small(2);
    let folder = case.path("archives");
    fs::create_dir(&folder).unwrap();
    let picture = fs::read(case.images.join("ash/0000.png")).unwrap();
    let mut good = tar::Builder::new(Vec::new());
    append(&mut good, "ash/1.png", &picture);
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    good.append_link(&mut link, "ash/2.png", "/etc/passwd")
        .unwrap();
    let mut outside = tar::Header::new_gnu();
    outside.set_size(1);
    outside.as_gnu_mut().unwrap().name[..14].copy_from_slice(b"../../evil.png");
    outside.set_cksum();
    good.append(&outside, &b"x"[..]).unwrap();
    let good = good.into_inner().unwrap();
    fs::write(folder.join("a-good.tar"), &good).unwrap();
    let mut cut = tar::Builder::new(Vec::new());
    append(&mut cut, "ash/3.png", &picture);
    append(&mut cut, "ash/4.png", &picture);
    let cut = cut.into_inner().unwrap();
    fs::write(folder.join("b-cut.tar"), &cut[..picture.len() + 1200]).unwrap();
    fs::write(folder.join("c-no.tar"), vec![b'?'; 4096]).unwrap();
    // 200 MB of nothing in 200 kB.
    let bomb = File::create(folder.join("d-bomb.tar.gz")).unwrap();
    let mut bomb = GzEncoder::new(bomb, Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..200 {
        bomb.write_all(&zeros).unwrap();
    }
    bomb.finish().unwrap();
    let out = case.path("run");
    let outcome = case.run_on(&folder, &out).expect(
        0,
        &[
            "evil.png",
            "c-no.tar",
            "d-bomb.tar.gz: it unpacks to more than",
        ],
    );
    assert!(!outcome.stderr.contains("2.png"), "{}", outcome.stderr);
    let text = fs::read_to_string(out.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(manifest["counts"]["done"].as_u64() >= Some(2), "{text}");
    case.run_on(&folder.join("c-no.tar"), &case.path("no"))
        .fails(&["no images", "c-no.tar"]);
}

#[test]
fn broken_tables_and_lists_are_named() {
    let case = Case::small(1);
    let write = |name: &str, bytes: &[u8]| {
        let path = case.path(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let table = tables(&case).join("train-00000-of-00002.parquet");
    let bytes = fs::read(&table).unwrap();
    let mut damaged = bytes.clone();
    // The pages, not the footer.
    damaged[4..200].fill(0xff);
    let out = case.path("run");
    let damaged = write("damaged.parquet", &damaged);
    let outcome = case.run_on(&damaged, &out).finish();
    assert!(
        outcome.code == Some(0) || outcome.stderr.contains("damaged.parquet"),
        "{}",
        outcome.stderr
    );
    let cases: [(&str, &[u8], &str); 5] = [
        ("cut.parquet", &bytes[..bytes.len() / 2], "cut.parquet"),
        (
            "text.parquet",
            b"PAR1 but no more of it PAR1",
            "text.parquet",
        ),
        ("empty.csv", b"", "needs a column of paths or URLs"),
        (
            "other.csv",
            b"a,b\n1,2\n",
            "needs a column of paths or URLs",
        ),
        (
            "away.csv",
            b"path\n/etc/hostname\n../secret.png\n",
            "no images",
        ),
    ];
    for (name, bytes, says) in cases {
        let path = write(name, bytes);
        case.run_on(&path, &case.path("none")).fails(&[says, name]);
    }
    case.run_on(Path::new("http://127.0.0.1:1/list.csv"), &case.path("none"))
        .args(&["--io-timeout", "1", "--io-retries", "1"])
        .fails(&["the connection failed", "127.0.0.1:1/list.csv"]);
    case.run_on(Path::new("http://127.0.0.1:1/folder/"), &case.path("none"))
        .fails(&["a web server cannot be listed"]);
}
