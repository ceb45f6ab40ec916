//! # A finished run, asked from Rust
//!
//! ```sh
//! summit demo --no-serve
//! cargo run --release -p summit --example ask_a_run -- summit-demo/run fish
//! ```
//!
//! A run is a folder of Parquet tables. `summit_query::Questions` opens it; every question after that is a
//! function of its tables, and none needs the network.

use anyhow::Context;
use std::path::Path;
use summit_query::{GraphChoices, NoRecount, Questions};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let run = arguments.next().context("a run folder is needed")?;
    let class = arguments.next().context("a class is needed")?;
    let questions = Questions::open(Path::new(&run))?;

    // A group is a set of images: a class, a cell of the confusion matrix, a condition over the
    // predictions, a list. All are written as on the command line.
    let group = questions.group(&class)?;
    print_line(&format!(
        "{}: {} images",
        group.name,
        questions.members(&group).count()
    ))?;

    // A, the activation matrix, one row of it: in how many of the group's images each channel of a layer is
    // among the strongest.
    for (layer, counts) in questions
        .layers()
        .iter()
        .zip(questions.counts_of_layers(&group)?)
    {
        let strongest = (0u32..).zip(&counts).max_by_key(|&(_, count)| count);
        let (channel, count) = strongest.context("a layer has channels")?;
        print_line(&format!(
            "{}: channel {channel} in {count} images",
            layer.name
        ))?;
    }

    // The attribution graph joins A with the influence of channels on channels. `NoRecount`: a class is made
    // of whole cells of the confusion matrix, so no image needs to be run again.
    let made = questions.graph(&group, &GraphChoices::default(), &NoRecount)?;
    print_line(&format!(
        "{} channels, {} edges",
        made.graph.nodes.len(),
        made.graph.edges.len()
    ))
}

/// A line on standard output.
fn print_line(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").context("cannot write")
}
