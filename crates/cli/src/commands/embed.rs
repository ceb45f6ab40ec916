//! `summit embed`: maps of classes, channels or images, layer by layer.

use super::{grouping, layer_name, layers};
use crate::message;
use crate::query_args::{EmbedArgs, Points, TableFormat};
use crate::table::{Entry, Table, format_of};
use anyhow::Result;
use std::process::ExitCode;
use summit_explain::class_name;
use summit_explain::embedding::Umap;
use summit_query::{MapOf, Mapped, Questions};
use summit_tables::{ClassId, ImageId};

pub fn run(args: &EmbedArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let of = match args.of {
        Points::Classes => MapOf::Classes(grouping(args.by_prediction)),
        Points::Channels => MapOf::Channels,
        Points::Images => MapOf::Images,
    };
    let umap = Umap {
        seed: args.seed,
        ..Umap::default()
    };
    let maps = questions.maps(of, &layers(&questions, &args.layers)?, &umap)?;
    let format = format_of(&args.table)?;
    if args.table.out.is_some() || format != TableFormat::Text {
        coordinates(&questions, args.of, &maps).write(&args.table)?;
    }
    // The quality is the answer where the coordinates went to a file, a remark beside them, and in
    // text all there is.
    let text = quality(&questions, &maps).to_text();
    if args.table.out.is_some() || format == TableFormat::Text {
        message::print(&text)?;
    } else {
        message::note(&format!(
            "how well neighbourhoods survived\n{}",
            text.trim_end()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn quality(questions: &Questions, maps: &[Mapped]) -> Table {
    let mut table = Table::new(&["layer", "points", "trustworthiness", "neighbours"]);
    for map in maps {
        let quality = map.embedding.trustworthiness;
        table.rows.push(vec![
            layer_name(questions, map.layer).into(),
            Entry::Whole(map.ids.len() as u64),
            Entry::real(quality.map(|quality| quality.value), 4),
            quality.map_or(Entry::Missing, |quality| {
                Entry::Whole(quality.neighbours as u64)
            }),
        ]);
    }
    table
}

fn coordinates(questions: &Questions, of: Points, maps: &[Mapped]) -> Table {
    let mut table = Table::new(&["layer", "id", "name", "x", "y"]);
    for map in maps {
        for (&id, &[x, y]) in map.ids.iter().zip(&map.embedding.points) {
            let name: Entry = match of {
                Points::Classes => class_name(questions.classes(), ClassId(id)).into(),
                Points::Channels => format!("channel {id}").into(),
                Points::Images => questions
                    .record(ImageId(id))
                    .map_or(Entry::Missing, |record| record.path.as_str().into()),
            };
            table.rows.push(vec![
                layer_name(questions, map.layer).into(),
                id.into(),
                name,
                Entry::real(Some(x), 4),
                Entry::real(Some(y), 4),
            ]);
        }
    }
    table
}
