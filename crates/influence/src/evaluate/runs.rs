//! z of held-out images with channels kept and taken away: of one layer, all others untouched, and of
//! all layers at once.

use super::cuts::{Cuts, inverted};
use super::referee::{Referee, Sessions, replace_channel};
use super::{AblationKind, Evaluation, SIZES, SPECIFIC_SIZE};
use crate::{InfluenceError, Member, Subject, in_parallel};
use std::ops::Range;
use summit_nn::exec::RunError;

/// z of one image.
pub(crate) struct ImageRuns {
    pub(crate) all: f64,
    /// Each layer on its own, then all layers at once.
    pub(crate) places: Vec<PlaceRuns>,
}

/// z with channels of some layers kept and taken away.
pub(crate) struct PlaceRuns {
    /// Per ablation: nothing kept.
    pub(crate) none: Vec<f64>,
    /// `[ablations][rankings]`
    pub(crate) ranked: Vec<Vec<Ranked>>,
}

pub(crate) struct Ranked {
    /// At [`SIZES`].
    pub(crate) kept: Vec<f64>,
    /// At [`SIZES`].
    pub(crate) cut: Vec<f64>,
    /// Without the first channels of the group before this one.
    pub(crate) other: f64,
}

/// All held-out images, in the order of the groups.
pub(crate) fn image_runs(
    subject: &Subject<'_>,
    referee: &Referee,
    evaluation: &Evaluation<'_>,
    cuts: &Cuts,
) -> Result<Vec<ImageRuns>, InfluenceError> {
    let members: Vec<(usize, &Member)> = evaluation
        .groups
        .iter()
        .enumerate()
        .flat_map(|(index, group)| group.held_out.iter().map(move |member| (index, member)))
        .collect();
    let mut sessions = subject.workers(|| referee.sessions());
    let runner = Runner { referee, cuts };
    in_parallel(&members, &mut sessions, |sessions, &(group, member)| {
        let input = subject.input(member.image)?;
        let runs = runner.image(sessions, &input, group, member);
        runs.map_err(|reason| InfluenceError::Run {
            reason,
            image: member.image,
        })
    })
}

/// z under an ablation with some channels taken away of the layers looked at.
type Score<'a> = dyn FnMut(AblationKind, &[Vec<bool>]) -> Result<f64, RunError> + 'a;

struct Runner<'a> {
    referee: &'a Referee,
    cuts: &'a Cuts,
}

impl Runner<'_> {
    fn image(
        &self,
        sessions: &mut Sessions,
        input: &[f32],
        group: usize,
        member: &Member,
    ) -> Result<ImageRuns, RunError> {
        let Sessions { whole, rests } = sessions;
        let Referee { ablation, .. } = self.referee;
        let maps = ablation.maps(whole, input)?;
        let planes = maps.planes(&ablation.channels);
        let z = |logits: Vec<f32>| member.explained.value(&logits);
        let all = z(ablation.replaced(whole, input, &[], None)?);
        let mut places = Vec::new();
        for (layer, (rest, own)) in rests.iter_mut().zip(&planes).enumerate() {
            places.push(self.place(group, layer..layer + 1, &mut |kind, cut| {
                let given = self.referee.planes(kind, group);
                let given = given.and_then(|planes| planes.get(layer));
                let changed = replaced(own, &cut[0], given.map(Vec::as_slice));
                Ok(z(rest.run(&changed, &mut |_, _| {})?))
            })?);
        }
        places.push(self.place(group, 0..planes.len(), &mut |kind, cut| {
            let maps = self.referee.maps(kind, group);
            Ok(z(ablation.replaced(whole, input, cut, maps)?))
        })?);
        Ok(ImageRuns { all, places })
    }

    /// Runs at all sizes for some layers.
    fn place(
        &self,
        group: usize,
        layers: Range<usize>,
        z: &mut Score<'_>,
    ) -> Result<PlaceRuns, RunError> {
        let groups = &self.cuts.first;
        let other = &groups[(group + groups.len() - 1) % groups.len()];
        let (mut none, mut ranked) = (Vec::new(), Vec::new());
        for kind in AblationKind::ALL {
            none.push(z(kind, &self.cuts.all[layers.clone()])?);
            let mut of_rankings = Vec::new();
            for (first, first_of_other) in groups[group].iter().zip(other) {
                let own: Vec<&[Vec<bool>]> =
                    first.iter().map(|chosen| &chosen[layers.clone()]).collect();
                let (mut kept, mut cut) = (Vec::new(), Vec::new());
                for size in 0..SIZES.len() {
                    // Of a small layer several sizes are the same channels.
                    if size > 0 && own[size] == own[size - 1] {
                        kept.push(kept[size - 1]);
                        cut.push(cut[size - 1]);
                    } else {
                        kept.push(z(kind, &inverted(own[size]))?);
                        cut.push(z(kind, own[size])?);
                    }
                }
                let other = z(kind, &first_of_other[SPECIFIC_SIZE][layers.clone()])?;
                of_rankings.push(Ranked { kept, cut, other });
            }
            ranked.push(of_rankings);
        }
        Ok(PlaceRuns { none, ranked })
    }
}

/// Activations `[C, H, W]` with the channels of `cut` replaced by those given, or by zero.
fn replaced(own: &[f32], cut: &[bool], given: Option<&[f32]>) -> Vec<f32> {
    let mut changed = own.to_vec();
    for channel in (0..cut.len()).filter(|&channel| cut[channel]) {
        replace_channel(&mut changed, given, channel, cut.len());
    }
    changed
}
