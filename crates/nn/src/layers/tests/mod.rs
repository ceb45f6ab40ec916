//! Tests of the layer analysis on graphs built by hand; the real networks are in
//! `tests/layers.rs` of the crate.

mod blocks;
mod build;
mod cuts;
mod layout;
mod receptive;
