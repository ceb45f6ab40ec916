//! The `summit` binary as its users meet it: same bytes however a run is cut, stopped or killed; a
//! clear sentence and the right exit code for every hostile input; bounded memory.
//!
//! Every test runs on a small network and images made here; where the evaluation data are present, the
//! golden networks join in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may panic"
)]

mod arguments;
mod case;
mod command;
mod disk;
mod explain_image;
mod features;
mod finite;
mod identical;
mod images;
mod live;
mod memory;
mod models;
mod run_folders;
mod server;
mod shards;
mod single_class;
mod sources;

#[path = "../support/served.rs"]
#[allow(dead_code, reason = "a part of it serves here")]
mod served;

#[path = "../../../nn/tests/common/file.rs"]
#[allow(dead_code, reason = "a part of it serves here")]
mod file;
#[path = "../../../store/tests/common/folders.rs"]
mod folders;
#[path = "../../../images/tests/support/mod.rs"]
mod support;
