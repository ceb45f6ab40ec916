//! Runs every command and every Python block of README.md and docs/, on the demonstration's run, so that
//! none can rot.
//!
//! A block that is too heavy, or needs what is not here, carries `<!-- not run: REASON -->` on the line
//! before it; such blocks are listed. The files of a document share a folder that holds `summit-demo` (what
//! `summit demo` makes), `run` (its run), `net.onnx` (its network) and `photos` (some of its images).

use crate::demo;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SUMMIT: &str = env!("CARGO_BIN_EXE_summit");

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A fenced block.
#[derive(Debug, PartialEq)]
struct Block {
    language: String,
    /// Line of the fence, from 1.
    line: usize,
    text: String,
    /// Why it is not run.
    excuse: Option<String>,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    let mut before = "";
    for (number, line) in (1..).zip(document.lines()) {
        match (line.strip_prefix("```"), open) {
            (Some(language), false) => {
                let excuse = before.strip_prefix("<!-- not run: ");
                blocks.push(Block {
                    language: language.trim().to_owned(),
                    line: number,
                    text: String::new(),
                    excuse: excuse.map(|text| text.trim_end_matches("-->").trim().to_owned()),
                });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => blocks.last_mut().unwrap().text += &format!("{line}\n"),
            (None, false) => {}
        }
        before = line;
    }
    assert!(!open, "a block is not closed");
    blocks
}

/// The commands of a block: its lines in `sh`, those after `$ ` in `console`.
fn commands(block: &Block) -> Vec<String> {
    let joined = block.text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    let lines: Vec<&str> = match block.language.as_str() {
        "sh" => lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect(),
        "console" => lines.filter_map(|line| line.strip_prefix("$ ")).collect(),
        _ => Vec::new(),
    };
    lines
        .into_iter()
        .map(|line| line.replace("cargo run --release -- ", "summit "))
        .collect()
}

/// A command that serves a page until it is stopped.
fn serves(command: &str) -> bool {
    let demo = command.starts_with("summit demo") && !command.contains("--no-serve");
    command.starts_with("summit serve") || command.ends_with(" --serve") || demo
}

/// Where documents' commands run: a folder with `bin/summit` and a demonstration of its own, which they may
/// change.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let copy = Command::new("cp")
        .arg("-R")
        .args([demo().folder(), &root.path().join("summit-demo")])
        .status();
    assert!(copy.unwrap().success());
    fs::create_dir(root.path().join("bin")).unwrap();
    symlink(SUMMIT, root.path().join("bin/summit")).unwrap();
    root
}

/// The folder a document's commands run in.
fn work_folder(root: &Path, document: &Path, text: &str) -> PathBuf {
    let folder = root.join(document.file_stem().unwrap());
    fs::create_dir(&folder).unwrap();
    let demo = root.join("summit-demo");
    symlink(&demo, folder.join("summit-demo")).unwrap();
    if !text.contains("--out run") {
        symlink(demo.join("run"), folder.join("run")).unwrap();
    }
    fs::copy(demo.join("network.onnx"), folder.join("net.onnx")).unwrap();
    fs::copy(
        demo.join("network.labels.tsv"),
        folder.join("net.labels.tsv"),
    )
    .unwrap();
    for class in ["fish", "mug"] {
        let photos = folder.join("photos").join(class);
        fs::create_dir_all(&photos).unwrap();
        for entry in fs::read_dir(demo.join("images").join(class))
            .unwrap()
            .take(12)
        {
            let entry = entry.unwrap();
            fs::copy(entry.path(), photos.join(entry.file_name())).unwrap();
        }
    }
    folder
}

fn shell(root: &Path, folder: &Path, command: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", root.join("bin").display()));
    shell
}

/// What went wrong.
fn run(root: &Path, folder: &Path, command: &str) -> Result<(), String> {
    if serves(command) {
        return serve(root, folder, command);
    }
    let output = shell(root, folder, command).output().unwrap();
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Starts the server, asks it for its page, and stops it.
fn serve(root: &Path, folder: &Path, command: &str) -> Result<(), String> {
    // `exec`: what is stopped is the server, not its shell.
    let mut child = shell(root, folder, &format!("exec {command} --port 0"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.map_while(Result::ok).find_map(|line| {
        let address = line.strip_prefix("http://")?.trim_end_matches('/');
        Some(address.to_owned())
    });
    let answer = address.map(|address| {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    child.kill().unwrap();
    child.wait().unwrap();
    match answer {
        Some(answer) if answer.starts_with("HTTP/1.1 200") => Ok(()),
        other => Err(format!("no page: {other:?}")),
    }
}

/// All Python blocks of a document as one program.
fn python(root: &Path, folder: &Path, blocks: &[Block]) -> Option<Result<(), String>> {
    let program: String = blocks
        .iter()
        .filter(|block| block.language == "python" && block.excuse.is_none())
        .map(|block| block.text.as_str())
        .collect();
    if program.is_empty() {
        return None;
    }
    let python = workspace().join("target/python/bin/python");
    if !python.exists() {
        println!("skipped: target/python absent (./test makes it), Python blocks not run");
        return None;
    }
    fs::write(folder.join("blocks.py"), program).unwrap();
    Some(run(
        root,
        folder,
        &format!("{} blocks.py", python.display()),
    ))
}

#[test]
fn every_command_of_the_documentation_works() {
    let root = root();
    let root = root.path();
    let mut documents = vec![workspace().join("README.md")];
    documents.extend(
        fs::read_dir(workspace().join("docs"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents.sort();
    let (mut done, mut failures) = (0, Vec::new());
    for document in &documents {
        let text = fs::read_to_string(document).unwrap();
        let name = document.file_name().unwrap().to_string_lossy().into_owned();
        let folder = work_folder(root, document, &text);
        let blocks = blocks(&text);
        for block in &blocks {
            if let Some(excuse) = &block.excuse {
                assert!(excuse.len() > 10, "{name}:{}: say why", block.line);
                println!("not run: {name}:{}: {excuse}", block.line);
                continue;
            }
            for command in commands(block) {
                done += 1;
                if let Err(problem) = run(root, &folder, &command) {
                    failures.push(format!("{name}:{}: {command}: {problem}", block.line));
                }
            }
        }
        if let Some(Err(problem)) = python(root, &folder, &blocks) {
            failures.push(format!("{name}: Python: {problem}"));
        }
    }
    println!("{done} commands run");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(
        done >= 15,
        "the documentation has more commands than {done}"
    );
}

/// The literate programs in `crates/cli/examples`.
#[test]
fn the_examples_run() {
    let root = root();
    let folder = root.path().join("summit-demo");
    let examples = Path::new(SUMMIT).parent().unwrap().join("examples");
    if !examples.join("ask_a_run").exists() {
        println!(
            "skipped: the examples are not built (`cargo test` builds them, `--test` alone does not)"
        );
        return;
    }
    for command in ["run_a_network", "ask_a_run run fish"] {
        run(
            root.path(),
            &folder,
            &format!("{}/{command}", examples.display()),
        )
        .unwrap();
    }
}

#[test]
fn blocks_and_commands_are_found() {
    let text = "```sh\n# why\nsummit a \\\n  b\ncargo run --release -- c\n```\n\
                <!-- not run: needs an hour -->\n```console\n$ summit d\noutput\n```\n";
    let found = blocks(text);
    assert_eq!(commands(&found[0]), ["summit a    b", "summit c"]);
    assert_eq!(commands(&found[1]), ["summit d"]);
    assert_eq!(found[1].excuse.as_deref(), Some("needs an hour"));
    assert!(serves("summit demo") && !serves("summit demo --no-serve"));
}
