//! Edge weights against interventions: what z loses when channel j of a layer sees channel i of the
//! layer below replaced.
//!
//! A stratified sample of edges: in each layer but the first one channel j of the upper 5 %, of the
//! next 20 % and of the rest by flow, and in the layer below two channels i of each of the same
//! strata.

use super::fit::Fitted;
use super::referee::{Referee, Sessions, replace_channel};
use super::{AblationKind, Evaluation, Figure};
use crate::group::image_flow;
use crate::statistics::{Random, bootstrap, spearman};
use crate::{Ablation, InfluenceError, Member, Subject, in_parallel};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use summit_nn::exec::{CompileOptions, Network, RunError, Session};
use summit_nn::flow::{Flow, SignedMeasure};
use summit_nn::grad::between;
use summit_nn::graph::ValueId;

/// Upper ends of the strata, as shares of a layer's ranking.
const STRATA: [f64; 3] = [0.05, 0.25, 1.0];

/// Fit images of a group whose edges are averaged.
const FIT_IMAGES: usize = 8;

/// One kind of edge weight under one ablation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeAgreement {
    /// Name of the weight.
    pub measure: String,
    /// How the lower channel is replaced.
    pub ablation: AblationKind,
    /// Edges of all groups.
    pub edges: usize,
    /// Mean over groups of Spearman's correlation with the loss of z; interval over groups.
    pub spearman: Figure,
    /// Share of the edges with a loss of magnitude above the median whose sign the weight has; signed
    /// weights only.
    pub sign_accuracy: Option<f64>,
}

/// An edge of the sample.
#[derive(Clone, Copy, Debug)]
struct Sampled {
    lower: usize,
    from: usize,
    to: usize,
}

/// Parts of the network around each layer, of one worker.
struct Parts {
    own: Sessions,
    /// From a layer to the next.
    blocks: Vec<Session>,
}

pub(crate) fn edges(
    subject: &Subject<'_>,
    referee: &Referee,
    evaluation: &Evaluation<'_>,
    fitted: &Fitted,
) -> Result<Vec<EdgeAgreement>, InfluenceError> {
    let blocks = blocks(subject)?;
    let mut sessions = subject.workers(|| Parts {
        own: referee.sessions(),
        blocks: blocks.iter().map(|block| block.session()).collect(),
    });
    // One upper channel is followed at a time.
    let flow = |measure| {
        Ok((
            measure,
            Arc::new(Flow::new(subject.graph, subject.layers, 1, measure)?),
        ))
    };
    let flows: Vec<(SignedMeasure, Arc<Flow>)> = SignedMeasure::ALL
        .into_iter()
        .map(flow)
        .collect::<Result<_, InfluenceError>>()?;
    let mut random = Random::new(evaluation.seed);
    let mut weights: Vec<(String, bool, Vec<Vec<f64>>)> = Vec::new();
    let mut losses: Vec<Vec<Vec<f64>>> = vec![Vec::new(); AblationKind::ALL.len()];
    for (index, group) in evaluation.groups.iter().enumerate() {
        let sample = sampled(&fitted.signed[0].1[index].means(), &mut random);
        for (number, (name, signed, own)) in group_weights(
            subject,
            &flows,
            evaluation,
            fitted,
            index,
            &sample,
            &mut random,
        )?
        .into_iter()
        .enumerate()
        {
            if weights.len() == number {
                weights.push((name, signed, Vec::new()));
            }
            weights[number].2.push(own);
        }
        let members: Vec<&Member> = group.held_out.iter().take(evaluation.edge_images).collect();
        let found = in_parallel(&members, &mut sessions, |parts, member| {
            let given = AblationKind::ALL.map(|kind| referee.planes(kind, index));
            image_losses(subject, &referee.ablation, parts, member, &sample, &given)
        })?;
        for (kind, losses) in losses.iter_mut().enumerate() {
            losses.push(mean_losses(&found, kind, sample.len()));
        }
    }
    let mut agreement = Vec::new();
    for (kind, losses) in AblationKind::ALL.into_iter().zip(&losses) {
        for (name, signed, weights) in &weights {
            agreement.push(agree(name, kind, *signed, weights, losses, evaluation.seed));
        }
    }
    Ok(agreement)
}

/// Means over images of the losses under one ablation, `[edges]`.
fn mean_losses(images: &[Vec<Vec<f64>>], kind: usize, edges: usize) -> Vec<f64> {
    let mean = |edge: usize| {
        let losses = images.iter().map(|image| image[kind][edge]);
        losses.sum::<f64>() / images.len() as f64
    };
    (0..edges).map(mean).collect()
}

fn sampled(flow: &[Vec<f64>], random: &mut Random) -> Vec<Sampled> {
    let mut sample = Vec::new();
    for lower in 0..flow.len().saturating_sub(1) {
        for to in strata(&flow[lower + 1], 1, random) {
            for from in strata(&flow[lower], 2, random) {
                sample.push(Sampled { lower, from, to });
            }
        }
    }
    sample
}

/// Channels of each stratum, `count` at most.
fn strata(scores: &[f64], count: usize, random: &mut Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let (mut chosen, mut start) = (Vec::new(), 0);
    for share in STRATA {
        let end = ((scores.len() as f64 * share).ceil() as usize).max(start);
        let stratum = &mut order[start..end];
        random.shuffle(stratum);
        chosen.extend(stratum.iter().take(count));
        start = end;
    }
    chosen
}

/// Every kind of weight of the sampled edges of a group: name, signed or not, weights.
fn group_weights(
    subject: &Subject<'_>,
    flows: &[(SignedMeasure, Arc<Flow>)],
    evaluation: &Evaluation<'_>,
    fitted: &Fitted,
    group: usize,
    sample: &[Sampled],
    random: &mut Random,
) -> Result<Vec<(String, bool, Vec<f64>)>, InfluenceError> {
    let mut all = Vec::new();
    let members = &evaluation.groups[group].fit;
    for (measure, flow) in flows {
        let mut sessions = subject.workers(|| flow.session());
        let members = &members[..members.len().min(FIT_IMAGES)];
        let found = in_parallel(members, &mut sessions, |session, member| {
            let own = image_flow(subject, session, member)?;
            let mut weights = Vec::new();
            // Edges of one upper channel follow each other.
            for block in sample.chunk_by(|a, b| a.lower == b.lower && a.to == b.to) {
                let rows = session.edges(block[0].lower, &own, &[block[0].to]);
                let rows = rows.map_err(|reason| failed(reason, member))?;
                weights.extend(block.iter().map(|edge| f64::from(rows[0][edge.from])));
            }
            Ok::<_, InfluenceError>(weights)
        })?;
        let mean = |edge: usize| found.iter().map(|image| image[edge]).sum::<f64>();
        let sums = (0..sample.len()).map(mean).collect();
        all.push((measure.name().to_owned(), true, sums));
    }
    for (name, weight) in &evaluation.edge_weights {
        let weights = sample
            .iter()
            .map(|edge| weight(group, edge.lower, edge.from, edge.to));
        all.push((name.clone(), false, weights.collect()));
    }
    let activations = &fitted.activations[group];
    let product =
        |edge: &Sampled| activations[edge.lower][edge.from] * activations[edge.lower + 1][edge.to];
    all.push((
        "activation".to_owned(),
        false,
        sample.iter().map(product).collect(),
    ));
    let noise = sample.iter().map(|_| random.unit()).collect();
    all.push(("random".to_owned(), false, noise));
    Ok(all)
}

fn failed(reason: RunError, member: &Member) -> InfluenceError {
    InfluenceError::Run {
        reason,
        image: member.image,
    }
}

/// The network from each layer to the next.
fn blocks(subject: &Subject<'_>) -> Result<Vec<Arc<Network>>, InfluenceError> {
    let block = |pair: &[ValueId]| {
        let (block, _) = between(subject.graph, pair[0], pair[1], &[])?;
        Ok(Network::compile(&block, &CompileOptions::default())?)
    };
    subject.layers.windows(2).map(block).collect()
}

/// Per ablation and edge: `z - z(edge replaced)` of one image.
fn image_losses(
    subject: &Subject<'_>,
    ablation: &Ablation,
    parts: &mut Parts,
    member: &Member,
    sample: &[Sampled],
    given: &[Option<&[Vec<f32>]>],
) -> Result<Vec<Vec<f64>>, InfluenceError> {
    let input = subject.input(member.image)?;
    let maps = ablation.maps(&mut parts.own.whole, &input);
    let maps = maps.map_err(|reason| failed(reason, member))?;
    let maps = maps.planes(&ablation.channels);
    let run = |session: &mut Session, input: &[f32]| {
        session
            .run(input, &mut |_, _| {})
            .map_err(|reason| failed(reason, member))
    };
    // z continued from each layer, so that the same part of the network is on both sides.
    let mut before = Vec::new();
    for (rest, map) in parts.own.rests.iter_mut().zip(&maps) {
        before.push(member.explained.value(&run(rest, map)?));
    }
    let mut losses = Vec::new();
    for given in given {
        let mut own = vec![0.0; sample.len()];
        let mut order: Vec<usize> = (0..sample.len()).collect();
        // One run of the block serves all upper channels of a lower one.
        order.sort_by_key(|&edge| (sample[edge].lower, sample[edge].from));
        for edges in order.chunk_by(|&a, &b| {
            (sample[a].lower, sample[a].from) == (sample[b].lower, sample[b].from)
        }) {
            let Sampled { lower, from, .. } = sample[edges[0]];
            let mut below = maps[lower].clone();
            let from_given = given.map(|maps| maps[lower].as_slice());
            replace_channel(&mut below, from_given, from, ablation.channels[lower]);
            let changed = run(&mut parts.blocks[lower], &below)?;
            for &edge in edges {
                let mut above = maps[lower + 1].clone();
                let (to, channels) = (sample[edge].to, ablation.channels[lower + 1]);
                replace_channel(&mut above, Some(&changed), to, channels);
                let after = run(&mut parts.own.rests[lower + 1], &above)?;
                own[edge] = before[lower + 1] - member.explained.value(&after);
            }
        }
        losses.push(own);
    }
    Ok(losses)
}

fn agree(
    name: &str,
    ablation: AblationKind,
    signed: bool,
    weights: &[Vec<f64>],
    losses: &[Vec<f64>],
    seed: u64,
) -> EdgeAgreement {
    let by_group: Vec<f64> = weights
        .iter()
        .zip(losses)
        .filter_map(|(weights, losses)| spearman(weights, losses))
        .collect();
    let mean = |groups: &[usize]| {
        groups.iter().map(|&group| by_group[group]).sum::<f64>() / groups.len() as f64
    };
    let all: Vec<usize> = (0..by_group.len()).collect();
    let pairs = || weights.iter().flatten().zip(losses.iter().flatten());
    let mut sizes: Vec<f64> = losses.iter().flatten().map(|loss| loss.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or(0.0);
    let large: Vec<bool> = pairs()
        .filter(|(_, loss)| loss.abs() > median)
        .map(|(weight, loss)| weight * loss > 0.0)
        .collect();
    let right = large.iter().filter(|&&right| right).count() as f64;
    EdgeAgreement {
        measure: name.to_owned(),
        ablation,
        edges: sizes.len(),
        spearman: Figure {
            value: mean(&all),
            interval: bootstrap(all.len(), super::curves::RESAMPLES, seed, mean),
        },
        sign_accuracy: (signed && !large.is_empty()).then(|| right / large.len() as f64),
    }
}
