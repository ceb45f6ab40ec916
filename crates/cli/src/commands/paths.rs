//! `summit paths`: paths through a channel, and paths that many classes' graphs share.

use super::graph::graph_choices;
use super::layer_name;
use crate::model;
use crate::query_args::PathsArgs;
use crate::recount::NetworkRecount;
use crate::table::{Entry, Table};
use anyhow::{Context, Result};
use std::process::ExitCode;
use summit_explain::paths::{PathNode, frequent_paths, paths_through};
use summit_explain::{AttributionGraph, GroupSpec, class_name};
use summit_query::{Questions, in_parallel};
use summit_tables::{ClassId, Grouping, LayerId};

/// Paths of one length considered.
const MOST_PATHS: usize = 200_000;

pub fn run(args: &PathsArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let limit = if args.limit == 0 {
        MOST_PATHS
    } else {
        args.limit
    };
    let table = match (args.frequent, &args.group, &args.through) {
        (Some(support), ..) => frequent(&questions, args, support, limit)?,
        (None, Some(group), Some(through)) => {
            through_channel(&questions, args, group, through, limit)?
        }
        _ => anyhow::bail!("--group and --through are needed, or --frequent"),
    };
    table.write(&args.table)?;
    Ok(ExitCode::SUCCESS)
}

fn through_channel(
    questions: &Questions,
    args: &PathsArgs,
    group: &str,
    through: &str,
    limit: usize,
) -> Result<Table> {
    let group = questions.group(group)?;
    let node = path_node(questions, through)?;
    let recount = NetworkRecount::new(questions, &args.recount);
    let graph = questions
        .graph(&group, &graph_choices(&args.choices), &recount)?
        .graph;
    let mut table = Table::new(&["weakest_share", "path"]);
    table.remarks.push(format!(
        "{}: paths through {through} by the share of images of their weakest edge",
        group.name
    ));
    // More than are read would only be sorted and thrown away.
    for path in paths_through(&graph, node, limit.min(1000)) {
        let class = path
            .class
            .and_then(|class| graph.classes.get(class as usize));
        let class = class.map(|class| class.name.clone());
        let steps = path
            .nodes
            .iter()
            .map(|node| step(questions, node))
            .chain(class);
        table.rows.push(vec![
            Entry::real(Some(path.weakest), 3),
            steps.collect::<Vec<_>>().join(" > ").into(),
        ]);
    }
    if table.rows.is_empty() {
        table
            .remarks
            .push("the channel is not in the graph, or has no edges there".to_owned());
    }
    Ok(table)
}

fn frequent(questions: &Questions, args: &PathsArgs, support: u32, limit: usize) -> Result<Table> {
    let sizes = questions.class_sizes(Grouping::Label);
    let classes: Vec<ClassId> = sizes.into_keys().collect();
    let recount = NetworkRecount::new(questions, &args.recount);
    let choices = graph_choices(&args.choices);
    let graphs: Vec<AttributionGraph> = in_parallel(&classes, |&class| {
        let group = questions.group_of(&GroupSpec::Label(class))?;
        anyhow::Ok(questions.graph(&group, &choices, &recount)?.graph)
    })?;
    let mut table = Table::new(&["groups", "path", "classes"]);
    table.remarks.push(format!(
        "paths of at least 3 channels in the graphs of at least {support} of {} classes",
        classes.len()
    ));
    let found = frequent_paths(&graphs, support, MOST_PATHS);
    if found.truncated {
        table
            .remarks
            .push("there are more paths than were looked at; ask for more classes".to_owned());
    }
    for path in found.paths.into_iter().take(limit) {
        let steps: Vec<String> = path
            .nodes
            .iter()
            .map(|node| step(questions, node))
            .collect();
        let name = |&position: &u32| {
            let class: Option<&ClassId> = classes.get(position as usize);
            class.map(|&class| class_name(questions.classes(), class))
        };
        let names: Vec<String> = path.groups.iter().filter_map(name).collect();
        table.rows.push(vec![
            Entry::Whole(names.len() as u64),
            steps.join(" > ").into(),
            names.join("; ").into(),
        ]);
    }
    Ok(table)
}

fn step(questions: &Questions, node: &PathNode) -> String {
    format!(
        "{} {}",
        layer_name(questions, LayerId(node.layer)),
        node.channel.0
    )
}

fn path_node(questions: &Questions, text: &str) -> Result<PathNode> {
    let (layer, channel) = model::find_channel(text, questions.layers()).context("--through")?;
    Ok(PathNode {
        layer: layer.0,
        channel,
    })
}
