//! `summit evaluate`: how far influences can be trusted.

use super::flow::groups;
use crate::message;
use crate::network::{RunNetwork, member};
use crate::recount::NetworkRecount;
use crate::signed_args::EvaluateArgs;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::ExitCode;
use summit_explain::graph::FaithfulnessHeader;
use summit_explain::{Csr, Group, PageRankParameters, pagerank, restart_weights};
use summit_influence::evaluate::{
    AblationKind, Evaluation, Ranking, Report, SIZES, StudyGroup, evaluate,
};
use summit_influence::{Half, Member, half_of, report_html, sample};
use summit_query::{GraphChoices, Questions};

/// Name in the run folder.
const PAGE: &str = "evaluation.html";

pub fn run(args: &EvaluateArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let named = groups(&questions, &args.groups)?;
    let study: Vec<(&Group, StudyGroup)> = named
        .iter()
        .map(|group| (group, study_group(&questions, group, args)))
        .filter(|(_, study)| !study.fit.is_empty() && !study.held_out.is_empty())
        .collect();
    if study.len() < 2 {
        bail!("at least two groups with images on both sides of the split are needed");
    }
    let recount = NetworkRecount::new(&questions, &args.recount);
    let (mut scores, mut links): (Vec<_>, Vec<Vec<Csr>>) = (Vec::new(), Vec::new());
    for (group, _) in study.iter().filter(|_| questions.has_influence()) {
        let graph = questions.graph(group, &GraphChoices::default(), &recount)?;
        let counts: Vec<&[u32]> = graph.counts.iter().map(Vec::as_slice).collect();
        let restart = restart_weights(&counts);
        let ranked = pagerank(&graph.links, &restart, &PageRankParameters::default())?;
        scores.push(ranked.scores);
        links.push(graph.links);
    }
    let weight = |group: usize, lower: usize, from: usize, to: usize| {
        let link = links.get(group).and_then(|links| links.get(lower));
        link.map_or(0.0, |link| f64::from(link.get(to as u32, from as u32)))
    };
    let mut evaluation = Evaluation {
        groups: &study
            .iter()
            .map(|(_, study)| study.clone())
            .collect::<Vec<_>>(),
        rankings: Vec::new(),
        edge_weights: Vec::new(),
        edge_images: args.edge_images as usize,
        seed: args.seed,
    };
    if questions.has_influence() {
        let name = "conv-max".to_owned();
        evaluation.edge_weights.push((name.clone(), &weight));
        evaluation.rankings.push(Ranking { name, scores });
    }
    let network = RunNetwork::open(&questions, &args.recount)?;
    let report = network.study(&questions, args.threads, |subject| {
        Ok(evaluate(subject, &evaluation, &mut |stage| {
            message::note(stage);
        })?)
    })?;
    let model = &questions.run().manifest().spec.model.name;
    write(
        &args.run.join(Report::FILE),
        &(serde_json::to_string_pretty(&report)? + "\n"),
    )?;
    write(&args.run.join(PAGE), &report_html(&report, model))?;
    message::print(&table(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn study_group(questions: &Questions, group: &Group, args: &EvaluateArgs) -> StudyGroup {
    let half = |half: Half, count: u32| -> Vec<Member> {
        let records = questions
            .members(group)
            .filter(|record| half_of(&record.path) == half);
        let records = sample(records, Some(count as usize), args.seed);
        records
            .into_iter()
            .filter_map(|record| member(group, record))
            .collect()
    };
    StudyGroup {
        name: group.name.clone(),
        fit: half(Half::Fit, args.fit),
        held_out: half(Half::HeldOut, args.held_out),
    }
}

/// The report's main figures as a Markdown table.
fn table(report: &Report) -> String {
    use summit_influence::evaluate::Figure;
    let figure = |figure: &Figure| match figure.interval {
        Some([low, high]) => format!("{:.2} [{low:.2}, {high:.2}]", figure.value),
        None => format!("{:.2}", figure.value),
    };
    let mut text = String::from(
        "| ablation | measure | SRG | CPR | CMD | deletion | F(10 %) | specificity | edge Spearman | sign |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for curve in &report.curves {
        let edge = report
            .edges
            .iter()
            .find(|edge| edge.measure == curve.measure && edge.ablation == curve.ablation);
        let sign = edge.and_then(|edge| edge.sign_accuracy);
        text += &format!(
            "| {:?} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            curve.ablation,
            curve.measure,
            figure(&curve.srg),
            figure(&curve.cpr),
            figure(&curve.cmd),
            figure(&curve.deletion),
            figure(&curve.kept_at_10_percent),
            figure(&curve.specificity),
            edge.map_or(String::new(), |edge| figure(&edge.spearman)),
            sign.map_or(String::new(), |sign| format!("{:.0} %", 100.0 * sign)),
        );
    }
    text += "\n| measure | Jaccard of halves | Jaccard of resamples |\n|---|---|---|\n";
    for row in &report.stability {
        text += &format!(
            "| {} | {:.2} | {:.2} |\n",
            row.measure, row.halves, row.bootstrap
        );
    }
    if let Some(shuffled) = report.shuffled_weights {
        text += &format!("\nSpearman of flow with shuffled weights: {shuffled:.2}\n");
    }
    text
}

/// The figures of a measure under mean ablation for a graph that shows a share of the channels.
pub fn header(report: &Report, measure: &str, shown: f64) -> Option<FaithfulnessHeader> {
    let curve = report
        .curves
        .iter()
        .find(|curve| curve.measure == measure && curve.ablation == AblationKind::Mean)?;
    let stability = report.stability.iter().find(|row| row.measure == measure)?;
    let sizes = [0.0].into_iter().chain(SIZES).chain([1.0]);
    let shares = [0.0].into_iter().chain(curve.kept.iter().copied());
    let points: Vec<(f64, f64)> = sizes.zip(shares).collect();
    let kept_margin = points.windows(2).find_map(|pair| match pair {
        &[(left, low), (right, high)] if shown <= right => {
            Some(low + (high - low) * (shown - left) / (right - left))
        }
        _ => None,
    })?;
    Some(FaithfulnessHeader {
        shown,
        kept_margin,
        srg: curve.srg.value,
        stability: stability.halves,
    })
}
