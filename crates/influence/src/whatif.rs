//! What changes when channels are muted or made louder (method.md section 3.3).
//!
//! The network runs once up to the lowest changed layer; the rest runs on that activation twice,
//! untouched and changed. Both sides are the same plan, so a change by the factor 1 changes nothing, bit
//! for bit. Memory: one image a thread and one outcome an image.

use crate::{InfluenceError, Member, Moments, Subject, in_parallel};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use summit_explain::Estimate;
use summit_nn::exec::{CompileOptions, Hooks, ImageViewMut, Network, RunError, Session};
use summit_nn::grad::between;
use summit_nn::graph::ValueId;
use summit_tables::{ChannelId, ClassId, LayerId};

/// A channel's activation multiplied by a factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The layer.
    pub layer: LayerId,
    /// The channel.
    pub channel: ChannelId,
    /// 0 mutes it.
    pub factor: f32,
}

/// What the network says of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// `[classes]`
    pub logits: Vec<f32>,
    /// The class with the largest logit, the lowest among equals.
    pub prediction: ClassId,
    /// The member's z.
    pub score: f64,
}

impl Outcome {
    fn new(member: &Member, logits: Vec<f32>) -> Self {
        let classes = 0..logits.len();
        let best = classes.reduce(|best, k| if logits[k] > logits[best] { k } else { best });
        Self {
            prediction: ClassId::from_index(best.unwrap_or(0)),
            score: member.explained.value(&logits),
            logits,
        }
    }
}

/// Outcomes before and after the changes, in the order of the members.
///
/// # Errors
/// When a channel does not exist, an image cannot be read, or the network cannot be run.
pub fn what_if(
    subject: &Subject<'_>,
    members: &[Member],
    changes: &[Change],
) -> Result<Vec<[Outcome; 2]>, InfluenceError> {
    let parts = Parts::new(subject, changes)?;
    let mut sessions = subject.workers(|| (parts.first.session(), parts.rest.session()));
    in_parallel(members, &mut sessions, |(first, rest), member| {
        let input = subject.input(member.image)?;
        let mut run = || -> Result<[Outcome; 2], RunError> {
            let mut cached = first.run(&input, &mut |_, _| {})?;
            let before = parts.run(rest, &cached, false)?;
            parts.change_lowest(&mut cached);
            let after = parts.run(rest, &cached, true)?;
            Ok([before, after].map(|logits| Outcome::new(member, logits)))
        };
        run().map_err(|reason| InfluenceError::Run {
            reason,
            image: member.image,
        })
    })
}

/// The network in two parts that meet at the lowest changed layer.
struct Parts {
    first: Arc<Network>,
    rest: Arc<Network>,
    /// Channels of the layer between them.
    channels: usize,
    lowest: Vec<(usize, f32)>,
    /// Changes in the rest, by value.
    higher: BTreeMap<ValueId, Vec<(usize, f32)>>,
}

impl Parts {
    fn new(subject: &Subject<'_>, changes: &[Change]) -> Result<Self, InfluenceError> {
        let channels = subject.channels();
        for change in changes {
            let own = channels.get(change.layer.index()).copied().unwrap_or(0);
            if change.channel.index() >= own {
                return Err(InfluenceError::NoChannel {
                    layer: change.layer.0,
                    channels: own,
                    channel: change.channel.0,
                });
            }
        }
        let of_layer = |layer: usize| -> Vec<(usize, f32)> {
            let own = changes
                .iter()
                .filter(|change| change.layer.index() == layer);
            own.map(|change| (change.channel.index(), change.factor))
                .collect()
        };
        let layers = changes.iter().map(|change| change.layer.index());
        let lowest = layers.min().unwrap_or(0);
        let Some(&meeting) = subject.layers.get(lowest) else {
            return Err(InfluenceError::NoChannel {
                layer: 0,
                channels: 0,
                channel: 0,
            });
        };
        let graph = subject.graph;
        let (first, _) = between(graph, graph.input, meeting, &[])?;
        let above = &subject.layers[lowest + 1..];
        let (rest, above) = between(graph, meeting, graph.output, above)?;
        let options = CompileOptions {
            observed: above.clone(),
            ..CompileOptions::default()
        };
        Ok(Self {
            first: Network::compile(&first, &CompileOptions::default())?,
            rest: Network::compile(&rest, &options)?,
            channels: channels[lowest],
            lowest: of_layer(lowest),
            higher: above
                .into_iter()
                .zip((lowest + 1..).map(of_layer))
                .collect(),
        })
    }

    fn change_lowest(&self, activation: &mut [f32]) {
        let plane = activation.len() / self.channels.max(1);
        for &(channel, factor) in &self.lowest {
            let map = activation.iter_mut().skip(channel * plane).take(plane);
            map.for_each(|value| *value *= factor);
        }
    }

    fn run(&self, rest: &mut Session, cached: &[f32], change: bool) -> Result<Vec<f32>, RunError> {
        let nothing = BTreeMap::new();
        let changes = if change { &self.higher } else { &nothing };
        rest.run_with(cached, &mut Multiply(changes))
    }
}

/// Multiplies channels of values.
struct Multiply<'a>(&'a BTreeMap<ValueId, Vec<(usize, f32)>>);

impl Hooks for Multiply<'_> {
    fn edit(&mut self, value: ValueId, mut view: ImageViewMut<'_>) {
        let Some(changes) = self.0.get(&value).filter(|changes| !changes.is_empty()) else {
            return;
        };
        let [_, _, height, width] = view.shape();
        for position in 0..height * width {
            let pixel = view.pixel(0, position / width, position % width);
            for &(channel, factor) in changes {
                pixel[channel] *= factor;
            }
        }
    }
}

/// One class, or all images, before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Effect {
    /// Images.
    pub images: u32,
    /// Images whose prediction is the class explained: before, after.
    pub right: [u32; 2],
    /// Images whose prediction changed.
    pub changed: u32,
    /// Mean change of z, logits; `None` without images.
    pub score_change: Option<Estimate>,
}

/// The effect on every class, and the confusions that grew or shrank.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// All images.
    pub all: Effect,
    /// By class explained.
    pub classes: BTreeMap<u32, Effect>,
    /// Where the images before and after differ, most moved first.
    pub confusion: Vec<Moved>,
}

/// Images of one class that are predicted as another, or as itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The class explained.
    pub class: u32,
    /// The prediction.
    pub prediction: u32,
    /// Images before, after.
    pub images: [u32; 2],
}

/// Sums outcomes up by the class explained.
#[must_use]
pub fn summarise(members: &[Member], outcomes: &[[Outcome; 2]]) -> Summary {
    let mut sums: BTreeMap<Option<u32>, (Effect, Moments)> = BTreeMap::new();
    let mut cells: BTreeMap<(u32, u32), [u32; 2]> = BTreeMap::new();
    for (member, outcome) in members.iter().zip(outcomes) {
        let Some(class) = member.explained.targets().first().copied() else {
            continue;
        };
        for key in [None, Some(class.0)] {
            let (effect, change) = sums.entry(key).or_default();
            effect.images += 1;
            effect.changed += u32::from(outcome[0].prediction != outcome[1].prediction);
            change.add(outcome[1].score - outcome[0].score);
            for (right, outcome) in effect.right.iter_mut().zip(outcome) {
                *right += u32::from(outcome.prediction == class);
            }
        }
        for (side, outcome) in outcome.iter().enumerate() {
            cells.entry((class.0, outcome.prediction.0)).or_default()[side] += 1;
        }
    }
    let mut summary = Summary::default();
    for (key, (mut effect, change)) in sums {
        effect.score_change = change.estimate(effect.images);
        match key {
            None => summary.all = effect,
            Some(class) => {
                summary.classes.insert(class, effect);
            }
        }
    }
    let moved = cells
        .into_iter()
        .map(|((class, prediction), images)| Moved {
            class,
            prediction,
            images,
        });
    let by = |moved: &Moved| moved.images[0].abs_diff(moved.images[1]);
    summary.confusion = moved.filter(|moved| by(moved) > 0).collect();
    // Stable: by class and prediction among equals.
    summary
        .confusion
        .sort_by_key(|moved| std::cmp::Reverse(by(moved)));
    summary
}
