//! The network as rankings and edges are judged by it: whole, continued from each layer, and what is put
//! in a channel's place (method.md section 3.3).

use super::fit::Fitted;
use super::{AblationKind, StudyGroup};
use crate::{Ablation, InfluenceError, Maps, Subject};
use std::sync::Arc;
use summit_nn::exec::{CompileOptions, Network, Session};
use summit_nn::grad::between;
use summit_nn::graph::ValueId;

/// Compiled once, shared by workers.
pub(crate) struct Referee {
    pub(crate) ablation: Ablation,
    /// From each layer, `[C, H, W]`, to the logits.
    rests: Vec<Arc<Network>>,
    mean: Given,
    /// Per group.
    donors: Vec<Given>,
}

/// A worker's memory.
pub(crate) struct Sessions {
    pub(crate) whole: Session,
    /// From each layer to the logits.
    pub(crate) rests: Vec<Session>,
}

/// Activations that take a channel's place, as the two kinds of runs want them.
pub(crate) struct Given {
    maps: Maps,
    /// Per layer `[C, H, W]`.
    pub(crate) planes: Vec<Vec<f32>>,
}

impl Given {
    pub(crate) fn new(maps: Maps, channels: &[usize]) -> Self {
        let planes = maps.planes(channels);
        Self { maps, planes }
    }
}

impl Referee {
    /// * `mean`: mean maps over the fit images of all groups.
    ///
    /// # Errors
    /// When a part of the network cannot be cut out or compiled, or a donor cannot be read or run.
    pub(crate) fn new(
        subject: &Subject<'_>,
        ablation: Ablation,
        mean: Given,
        groups: &[StudyGroup],
        fitted: &Fitted,
    ) -> Result<Self, InfluenceError> {
        let rest = |&layer: &ValueId| {
            let (rest, _) = between(subject.graph, layer, subject.graph.output, &[])?;
            Ok(Network::compile(&rest, &CompileOptions::default())?)
        };
        let rests: Result<_, InfluenceError> = subject.layers.iter().map(rest).collect();
        Ok(Self {
            rests: rests?,
            donors: donors(subject, &ablation, groups, fitted)?,
            ablation,
            mean,
        })
    }

    pub(crate) fn sessions(&self) -> Sessions {
        Sessions {
            whole: self.ablation.session(),
            rests: self.rests.iter().map(|rest| rest.session()).collect(),
        }
    }

    fn given(&self, kind: AblationKind, group: usize) -> Option<&Given> {
        match kind {
            AblationKind::Mean => Some(&self.mean),
            AblationKind::Zero => None,
            AblationKind::Resample => self.donors.get(group),
        }
    }

    /// Per layer `[H, W, C]`; `None` for zero.
    pub(crate) fn maps(&self, kind: AblationKind, group: usize) -> Option<&Maps> {
        self.given(kind, group).map(|given| &given.maps)
    }

    /// Per layer `[C, H, W]`; `None` for zero.
    pub(crate) fn planes(&self, kind: AblationKind, group: usize) -> Option<&[Vec<f32>]> {
        self.given(kind, group).map(|given| given.planes.as_slice())
    }
}

/// Puts a channel of `given` in its place in `map`, or zero; both `[channels, H, W]`.
pub(crate) fn replace_channel(
    map: &mut [f32],
    given: Option<&[f32]>,
    channel: usize,
    channels: usize,
) {
    let plane = map.len() / channels.max(1);
    let range = channel * plane..(channel + 1) * plane;
    match given {
        Some(given) => map[range.clone()].copy_from_slice(&given[range]),
        None => map[range].fill(0.0),
    }
}

/// Per group the activations on the first fit image of the group it is most easily taken for: the
/// one whose class has the largest mean logit.
fn donors(
    subject: &Subject<'_>,
    ablation: &Ablation,
    groups: &[StudyGroup],
    fitted: &Fitted,
) -> Result<Vec<Given>, InfluenceError> {
    let mut session = ablation.session();
    let donor = |own: usize| {
        let logit = |other: &usize| {
            let class = groups[*other].fit[0].explained.targets()[0];
            fitted.mean_logits[own]
                .get(class.index())
                .copied()
                .unwrap_or(0.0)
        };
        let others = (0..groups.len()).filter(|&other| other != own);
        let confused = others.max_by(|a, b| logit(a).total_cmp(&logit(b)).then(b.cmp(a)));
        groups[confused.unwrap_or(own)].fit[0].image
    };
    (0..groups.len())
        .map(|own| {
            let image = donor(own);
            let input = subject.input(image)?;
            let failed = |reason| InfluenceError::Run { reason, image };
            let maps = ablation.maps(&mut session, &input).map_err(failed)?;
            Ok(Given::new(maps, &ablation.channels))
        })
        .collect()
}
