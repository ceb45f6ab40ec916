//! `flow` of a group of images: node scores of all channels, then the edges among the channels that
//! a graph shows (method.md sections 3.2 and 4).
//!
//! Two passes over the images: one forward and backward run each for the scores, which decide what
//! is shown; then the edges into shown channels, many channels at once. Memory: one image a thread, the
//! sums and the best images of each edge, whatever the number of images.

use crate::carriers::{self, Carriers};
use crate::edges::BlockSums;
use crate::{InfluenceError, Member, Moments, Subject, in_parallel};
use std::sync::Arc;
use summit_explain::mass_cut;
use summit_nn::exec::RunError;
use summit_nn::flow::{Flow, FlowSession, ImageFlow, SignedMeasure};
use summit_tables::{
    BIAS, ChannelId, EdgeExample, EdgeSum, FlowHeader, FlowTables, ImageId, LayerId, ScoreExample,
    ScoreSum,
};

/// Images between two additions to the sums.
const CHUNK: usize = 64;

/// Channels followed at once.
const MASKS: usize = 8;

/// Bytes of a worker's session for the edges of one block; blocks that would need more follow fewer
/// channels at once.
const MAX_BYTES: usize = 256 << 20;

/// What is measured of a group.
#[derive(Clone, Copy, Debug)]
pub struct GroupRequest<'a> {
    /// Name, for errors.
    pub name: &'a str,
    /// Its images, or a sample of them.
    pub members: &'a [Member],
    /// Flow or a relative.
    pub measure: SignedMeasure,
    /// Share of a layer's positive score that the channels with edges hold, `[0, 1]`.
    pub mass: f64,
}

/// Node scores and edges of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupFlow {
    /// Images measured.
    pub images: u32,
    /// Per layer `[channels]`: R.
    pub scores: Vec<Vec<Moments>>,
    /// Edges among kept channels, and into the classes explained; sorted by (layer, to, from).
    pub edges: Vec<MeasuredEdge>,
    /// The images that carry most of each kept channel's score.
    pub examples: Vec<ScoreExample>,
    /// The images that carry most of each edge, sorted by (layer, to, from, rank).
    pub edge_examples: Vec<EdgeExample>,
}

/// One edge, or with `from` `None` the bias share of `to`: what no channel of the layer below
/// explains of its R.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeasuredEdge {
    /// Layer of `from`.
    pub lower: LayerId,
    /// The upper channel, or class.
    pub to: ChannelId,
    /// The lower channel.
    pub from: Option<ChannelId>,
    /// E over the images.
    pub effect: Moments,
    /// Images in which `from` is among the 5 largest |E| > 0 of `to`.
    pub top_images: u32,
}

impl GroupFlow {
    /// The channels a graph shows at a share of the positive score.
    #[must_use]
    pub fn kept(&self, mass: f64) -> Vec<Vec<ChannelId>> {
        let sums = |layer: &Vec<Moments>| layer.iter().map(Moments::sum).collect::<Vec<_>>();
        self.scores
            .iter()
            .map(|layer| mass_cut(&sums(layer), mass))
            .collect()
    }

    /// As a run keeps it.
    #[must_use]
    pub fn tables(&self, header: FlowHeader) -> FlowTables {
        let layers = (0u32..).zip(&self.scores);
        let scores = layers.flat_map(|(layer, own)| {
            (0u32..).zip(own).map(move |(channel, sums)| ScoreSum {
                layer,
                channel,
                sum: sums.sum(),
                squares: sums.squares(),
            })
        });
        let edges = self.edges.iter().map(|edge| EdgeSum {
            lower: edge.lower.0,
            to: edge.to.0,
            from: edge.from.map_or(BIAS, |from| from.0),
            sum: edge.effect.sum(),
            squares: edge.effect.squares(),
            top_images: edge.top_images,
        });
        FlowTables {
            header,
            scores: scores.collect(),
            edges: edges.collect(),
            examples: self.examples.clone(),
            edge_examples: self.edge_examples.clone(),
        }
    }
}

/// Node scores of all channels of all layers over the members.
///
/// # Errors
/// When there are no members, an image cannot be read, or the network cannot be differentiated.
pub fn group_scores(
    subject: &Subject<'_>,
    request: &GroupRequest<'_>,
) -> Result<GroupFlow, InfluenceError> {
    if request.members.is_empty() {
        return Err(InfluenceError::NoImages(request.name.to_owned()));
    }
    let flow = Flow::new(subject.graph, subject.layers, 0, request.measure)?;
    let flow = Arc::new(flow);
    let mut sessions = subject.workers(|| flow.session());
    let channels = subject.channels();
    let mut scores: Vec<Vec<Moments>> = channels
        .iter()
        .map(|&channels| vec![Moments::default(); channels])
        .collect();
    for chunk in request.members.chunks(CHUNK) {
        let found = in_parallel(chunk, &mut sessions, |session, member| {
            Ok::<_, InfluenceError>(image_flow(subject, session, member)?.scores)
        })?;
        for own in found {
            for (sums, own) in scores.iter_mut().zip(&own) {
                for (sum, &score) in sums.iter_mut().zip(own) {
                    sum.add(f64::from(score));
                }
            }
        }
    }
    Ok(GroupFlow {
        images: u32::try_from(request.members.len()).unwrap_or(u32::MAX),
        scores,
        ..GroupFlow::default()
    })
}

/// Node scores, and edges among the channels that hold `request.mass` of each layer.
///
/// # Errors
/// As [`group_scores`].
pub fn group_flow(
    subject: &Subject<'_>,
    request: &GroupRequest<'_>,
) -> Result<GroupFlow, InfluenceError> {
    let mut group = group_scores(subject, request)?;
    let mut shown = group.kept(request.mass);
    let mut targets: Vec<ChannelId> = request
        .members
        .iter()
        .flat_map(|member| member.explained.targets())
        .map(|class| ChannelId(class.0))
        .collect();
    targets.sort_unstable();
    targets.dedup();
    shown.push(targets);
    let flow = Flow::within(
        subject.graph,
        subject.layers,
        MASKS,
        request.measure,
        MAX_BYTES,
    )?;
    let flow = Arc::new(flow);
    let mut sessions = subject.workers(|| flow.session());
    let mut sums: Vec<BlockSums> = shown
        .windows(2)
        .map(|pair| BlockSums::new(&pair[0], &pair[1]))
        .collect();
    let mut carriers = Carriers::default();
    for chunk in request.members.chunks(sessions.len()) {
        let found = in_parallel(chunk, &mut sessions, |session, member| {
            let own = image_flow(subject, session, member)?;
            let edges = image_edges(session, &own, &shown);
            let edges = edges.map_err(|reason| failed(reason, member.image))?;
            let examples = carriers::of_image(subject, member.image, &own, &shown);
            Ok::<_, InfluenceError>((member.image, edges, examples))
        })?;
        for (image, edges, examples) in found {
            for (sums, edges) in sums.iter_mut().zip(&edges) {
                sums.add(image, edges);
            }
            carriers.add(examples);
        }
    }
    group.examples = carriers.finish();
    for (block, sums) in sums.into_iter().enumerate() {
        let (edges, examples) = sums.finish(LayerId::from_index(block));
        group.edges.extend(edges);
        group.edge_examples.extend(examples);
    }
    Ok(group)
}

fn failed(reason: RunError, image: ImageId) -> InfluenceError {
    InfluenceError::Run { reason, image }
}

pub(crate) fn image_flow(
    subject: &Subject<'_>,
    session: &mut FlowSession,
    member: &Member,
) -> Result<ImageFlow, InfluenceError> {
    let input = subject.input(member.image)?;
    session
        .scores(&input, &mut |logits| member.explained.seed(logits))
        .map_err(|reason| failed(reason, member.image))
}

/// Edges of one image into the shown channels of the layer above a layer, and R of those.
pub(crate) struct ImageEdges {
    /// `[shown above][channels of the layer]`
    pub(crate) edges: Vec<Vec<f32>>,
    /// `[shown above]`
    pub(crate) scores: Vec<f64>,
}

/// Per layer. The last layer's lead into logits, whose R is their own part of z.
pub(crate) fn image_edges(
    session: &mut FlowSession,
    own: &ImageFlow,
    shown: &[Vec<ChannelId>],
) -> Result<Vec<ImageEdges>, RunError> {
    let mut all = Vec::new();
    for (layer, above) in shown.iter().enumerate().skip(1) {
        let channels: Vec<usize> = above.iter().map(|channel| channel.index()).collect();
        let edges = session.edges(layer - 1, own, &channels)?;
        let score = |&j: &usize| match own.scores.get(layer) {
            Some(scores) => scores.get(j).copied().unwrap_or(0.0),
            None => own.seed.get(j).unwrap_or(&0.0) * own.logits.get(j).unwrap_or(&0.0),
        };
        all.push(ImageEdges {
            scores: channels.iter().map(|j| f64::from(score(j))).collect(),
            edges,
        });
    }
    Ok(all)
}
