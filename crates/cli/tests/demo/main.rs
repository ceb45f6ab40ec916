//! `summit demo`, and on its run: the planted facts, the commands of the documentation, the examples.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may panic"
)]

#[cfg(unix)]
mod documentation;
mod planted;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

struct Demo {
    folder: tempfile::TempDir,
    printed: String,
}

impl Demo {
    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self) -> PathBuf {
        self.folder().join("run")
    }
}

/// The demonstration, made once for all tests.
fn demo() -> &'static Demo {
    static DEMO: OnceLock<Demo> = OnceLock::new();
    DEMO.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let printed = summit(&[
            "demo",
            "--no-serve",
            "--out",
            folder.path().to_str().unwrap(),
        ]);
        Demo { folder, printed }
    })
}

/// Standard output of a command that must succeed.
fn summit(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_summit"))
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&summit(arguments)).unwrap()
}
