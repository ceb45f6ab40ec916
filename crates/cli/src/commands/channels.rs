//! `summit channels`: the channels of a group, layer by layer.

use super::{layer_name, layers};
use crate::message;
use crate::query_args::ChannelsArgs;
use crate::table::{Entry, Table};
use anyhow::Result;
use std::process::ExitCode;
use summit_query::Questions;

pub fn run(args: &ChannelsArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let group = questions.group(&args.group)?;
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let mut table = Table::new(&[
        "layer", "channel", "images", "share", "example", "value", "row", "column",
    ]);
    table
        .remarks
        .push(format!("{}: {}", group.name, message::images(group.size())));
    for layer in layers(&questions, &args.layers)?.into_iter().rev() {
        for channel in questions.channels_of(&group, layer, limit, args.examples)? {
            let share = f64::from(channel.images) / f64::from(group.size());
            let start = [
                layer_name(&questions, layer).into(),
                channel.channel.0.into(),
                channel.images.into(),
                Entry::real(Some(share), 3),
            ];
            let without = [
                Entry::Missing,
                Entry::Missing,
                Entry::Missing,
                Entry::Missing,
            ];
            let mut examples: Vec<[Entry; 4]> = channel
                .examples
                .iter()
                .map(|example| {
                    let record = questions.record(example.image);
                    [
                        record.map_or(Entry::Missing, |record| record.path.as_str().into()),
                        Entry::real(Some(f64::from(example.value)), 2),
                        u32::from(example.row).into(),
                        u32::from(example.column).into(),
                    ]
                })
                .collect();
            if examples.is_empty() {
                examples.push(without);
            }
            for example in examples {
                table
                    .rows
                    .push(start.iter().cloned().chain(example).collect());
            }
        }
    }
    table.write(&args.table)?;
    Ok(ExitCode::SUCCESS)
}
