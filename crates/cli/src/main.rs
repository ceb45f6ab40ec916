//! The `summit` command.
fn main() {}
