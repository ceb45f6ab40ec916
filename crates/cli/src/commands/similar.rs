//! `summit similar`: the classes most like a group, layer by layer.

use super::{grouping, layer_name};
use crate::message;
use crate::query_args::SimilarArgs;
use crate::table::{Entry, Table};
use anyhow::Result;
use std::process::ExitCode;
use summit_explain::class_name;
use summit_query::Questions;
use summit_tables::ClassId;

pub fn run(args: &SimilarArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let group = questions.group(&args.group)?;
    let grouping = grouping(args.by_prediction);
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let mut table = Table::new(&["layer", "rank", "similarity", "name", "class"]);
    table.remarks.push(format!(
        "{}: {}; cosine of the shares of images that have a channel on top",
        group.name,
        message::images(group.size())
    ));
    for found in questions
        .similar(&group, grouping, limit)?
        .into_iter()
        .rev()
    {
        for (rank, neighbour) in (1u32..).zip(found.neighbours) {
            let class = ClassId(neighbour.group.0);
            table.rows.push(vec![
                layer_name(&questions, found.layer).into(),
                rank.into(),
                Entry::real(Some(neighbour.similarity), 3),
                class_name(questions.classes(), class).into(),
                class.0.into(),
            ]);
        }
    }
    if table.rows.is_empty() {
        table
            .remarks
            .push("no other class has images to compare with".to_owned());
    }
    table.write(&args.table)?;
    Ok(ExitCode::SUCCESS)
}
