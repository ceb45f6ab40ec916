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
use summit_explain::{ConvMaxGraph, Csr, Group, PageRankParameters, pagerank, restart_weights};
use summit_influence::evaluate::{
    AblationKind, Curve, EdgeWeight, Evaluation, Ranking, Report, SIZES, Scope, StudyGroup,
    evaluate,
};
use summit_influence::totals::{as_weights, group_totals};
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
    let network = RunNetwork::open(&questions, &args.recount)?;
    let mut counted = Vec::new();
    if questions.has_influence() {
        let recount = NetworkRecount::new(&questions, &args.recount);
        let conv_max = |(group, _): &(&Group, StudyGroup)| {
            Ok(questions.graph(group, &GraphChoices::default(), &recount)?)
        };
        counted.push(Counted::new("conv-max", &study, conv_max)?);
        let totals = |(group, study): &(&Group, StudyGroup)| {
            let convs = &network.blocks.convs;
            let totals = network.study(&questions, args.threads, |subject| {
                Ok(group_totals(subject, convs, &study.name, &study.fit)?)
            })?;
            let weights = as_weights(&totals, convs)?;
            Ok(questions.totals_graph(group, &weights, &GraphChoices::default())?)
        };
        counted.push(Counted::new("flow-totals", &study, totals)?);
    }
    let weights: Vec<_> = counted.iter().map(Counted::weight).collect();
    let evaluation = Evaluation {
        groups: &study
            .iter()
            .map(|(_, study)| study.clone())
            .collect::<Vec<_>>(),
        rankings: counted.iter().map(Counted::ranking).collect(),
        edge_weights: (counted.iter().zip(&weights))
            .map(|(counted, weight)| (counted.name.to_owned(), weight as &EdgeWeight<'_>))
            .collect(),
        edge_images: args.edge_images as usize,
        seed: args.seed,
    };
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

/// A measure of unsigned weights: PageRank on them ranks channels.
struct Counted {
    name: &'static str,
    /// `[groups][layers][channels]`
    scores: Vec<Vec<Vec<f64>>>,
    /// `[groups][blocks]`
    links: Vec<Vec<Csr>>,
}

impl Counted {
    fn new(
        name: &'static str,
        study: &[(&Group, StudyGroup)],
        graph: impl Fn(&(&Group, StudyGroup)) -> Result<ConvMaxGraph>,
    ) -> Result<Self> {
        let (mut scores, mut links) = (Vec::new(), Vec::new());
        for group in study {
            let graph = graph(group)?;
            let counts: Vec<&[u32]> = graph.counts.iter().map(Vec::as_slice).collect();
            let restart = restart_weights(&counts);
            let ranked = pagerank(&graph.links, &restart, &PageRankParameters::default())?;
            scores.push(ranked.scores);
            links.push(graph.links);
        }
        Ok(Self {
            name,
            scores,
            links,
        })
    }

    fn ranking(&self) -> Ranking {
        Ranking {
            name: self.name.to_owned(),
            scores: self.scores.clone(),
        }
    }

    fn weight(&self) -> impl Fn(usize, usize, usize, usize) -> f64 + Sync + '_ {
        |group, lower, from, to| {
            let link = self.links.get(group).and_then(|links| links.get(lower));
            link.map_or(0.0, |link| f64::from(link.get(to as u32, from as u32)))
        }
    }
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
        "| scope | ablation | measure | SRG | CPR | CMD | deletion | F(10 %) | specificity | edge Spearman | sign |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for curve in &report.curves {
        let edge = report.edges_of(curve);
        let sign = edge.and_then(|edge| edge.sign_accuracy);
        text += &format!(
            "| {:?} | {:?} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            curve.scope,
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
    let curve = |scope: Scope| {
        report.curves.iter().find(|curve| {
            (curve.scope, curve.ablation) == (scope, AblationKind::Mean) && curve.measure == measure
        })
    };
    let stability = report.stability.iter().find(|row| row.measure == measure)?;
    let layer = curve(Scope::Layer)?;
    Some(FaithfulnessHeader {
        shown,
        kept_margin: kept_at(layer, shown)?,
        kept_margin_circuit: kept_at(curve(Scope::Circuit)?, shown)?,
        srg: layer.srg.value,
        stability: stability.halves,
    })
}

/// F at a share of the channels, between the sizes measured by a straight line.
fn kept_at(curve: &Curve, shown: f64) -> Option<f64> {
    let sizes = [0.0].into_iter().chain(SIZES).chain([1.0]);
    let shares = [0.0].into_iter().chain(curve.kept.iter().copied());
    let points: Vec<(f64, f64)> = sizes.zip(shares).collect();
    points.windows(2).find_map(|pair| match pair {
        &[(left, low), (right, high)] if shown <= right => {
            Some(low + (high - low) * (shown - left) / (right - left))
        }
        _ => None,
    })
}
