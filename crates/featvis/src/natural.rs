//! Whether the network processes a picture like photographs: a check on the picture, not on the
//! channel (after Geirhos et al., *Don't trust your eyes*, 2024, who compare whole paths).
//!
//! A picture's *profile* is the mean over positions of every channel of every layer below, less that
//! of ordinary images. Its naturalness is the mean cosine, over layers and over the channel's best
//! images, of their profiles with its own, in units of what these images have with each other: 1 where
//! the picture takes the path the images take, 0 where it shares nothing with them but what all images
//! share.

use crate::layer_network::{FeatureError, sub_network};
use std::sync::Arc;
use summit_images::Preprocessing;
use summit_nn::exec::{CompileOptions, Network, Session};
use summit_nn::graph::{Graph, ValueId};

/// Per layer below, `[C]`: means over positions.
pub type Profile = Vec<Vec<f32>>;

/// The network up to a layer, watched at the layers below.
#[derive(Debug)]
pub struct Probe {
    network: Arc<Network>,
    below: Vec<ValueId>,
    preprocessing: Preprocessing,
}

impl Probe {
    /// For pictures as a [`LayerNetwork`](crate::LayerNetwork) of the same arguments takes them;
    /// `below` are the layers before `layer`.
    ///
    /// # Errors
    /// The part cannot be compiled.
    pub fn new(
        graph: &Graph,
        layer: ValueId,
        below: &[ValueId],
        side: u32,
        preprocessing: &Preprocessing,
    ) -> Result<Self, FeatureError> {
        let (part, below) = sub_network(graph, layer, below, side)?;
        let options = CompileOptions {
            observed: below.clone(),
            ..CompileOptions::default()
        };
        Ok(Self {
            network: Network::compile(&part, &options)?,
            below,
            preprocessing: preprocessing.clone(),
        })
    }

    /// A worker's memory.
    #[must_use]
    pub fn session(self: &Arc<Self>) -> ProbeSession {
        ProbeSession {
            session: self.network.session(),
            probe: Arc::clone(self),
            input: Vec::new(),
        }
    }
}

/// Runs a [`Probe`].
#[derive(Debug)]
pub struct ProbeSession {
    probe: Arc<Probe>,
    session: Session,
    input: Vec<f32>,
}

impl ProbeSession {
    /// What the layers below do for `picture`, `[3, H, W]`.
    ///
    /// # Errors
    /// The picture has the wrong extents.
    pub fn profile(&mut self, picture: &[f32]) -> Result<Profile, FeatureError> {
        let probe = Arc::clone(&self.probe);
        probe.preprocessing.apply_unit(picture, &mut self.input);
        let mut profile: Profile = vec![Vec::new(); probe.below.len()];
        self.session.run(&self.input, &mut |value, view| {
            let Some(layer) = probe.below.iter().position(|&below| below == value) else {
                return;
            };
            let map = view.to_vec();
            let channels = probe.network.graph().values[value.index()].shape[1];
            let positions = (map.len() / channels).max(1);
            let means = map.chunks_exact(positions);
            profile[layer] = means
                .map(|map| map.iter().sum::<f32>() / positions as f32)
                .collect();
        })?;
        Ok(profile)
    }
}

/// The mean of profiles; empty of none.
#[must_use]
pub fn mean_profile(profiles: &[Profile]) -> Profile {
    let Some(first) = profiles.first() else {
        return Profile::new();
    };
    let mean = |layer: usize, channel: usize| {
        let sum: f32 = profiles.iter().map(|profile| profile[layer][channel]).sum();
        sum / profiles.len() as f32
    };
    (0..first.len())
        .map(|layer| (0..first[layer].len()).map(|c| mean(layer, c)).collect())
        .collect()
}

/// How much `picture` looks like `images` to the layers below; `ordinary` is the mean profile of
/// ordinary images. `None` for fewer than two images, or images that share nothing.
#[must_use]
pub fn naturalness(picture: &Profile, images: &[Profile], ordinary: &Profile) -> Option<f32> {
    let mut own = 0.0;
    let mut among = 0.0;
    for (index, image) in images.iter().enumerate() {
        own += similarity(picture, image, ordinary);
        for other in images.iter().skip(index + 1) {
            among += similarity(image, other, ordinary);
        }
    }
    let count = images.len() as f32;
    let own = own / count;
    let among = among / (count * (count - 1.0) / 2.0);
    (images.len() >= 2 && among > 0.0).then(|| own / among)
}

/// Mean over layers of the cosine of two profiles less the ordinary one.
fn similarity(one: &Profile, other: &Profile, ordinary: &Profile) -> f32 {
    let cosine = |((a, b), mean): ((&Vec<f32>, &Vec<f32>), &Vec<f32>)| {
        let (mut dot, mut aa, mut bb) = (0.0, 0.0, 0.0);
        for ((x, y), m) in a.iter().zip(b).zip(mean) {
            let (x, y) = (x - m, y - m);
            dot += x * y;
            aa += x * x;
            bb += y * y;
        }
        let norm = (aa * bb).sqrt();
        if norm > 0.0 { dot / norm } else { 0.0 }
    };
    let layers = one.iter().zip(other).zip(ordinary);
    layers.map(cosine).sum::<f32>() / (one.len().max(1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_is_one_of_the_images_is_natural_and_an_ordinary_one_is_not() {
        let ordinary = vec![vec![1.0, 1.0, 1.0], vec![2.0, 2.0]];
        let images = [
            vec![vec![2.0, 1.0, 1.0], vec![3.0, 2.0]],
            vec![vec![3.0, 1.0, 1.0], vec![4.0, 2.0]],
        ];
        let of = |picture: &Profile| naturalness(picture, &images, &ordinary).unwrap();
        assert!((of(&images[0]) - 1.0).abs() < 1e-6);
        assert!(of(&ordinary).abs() < 1e-6);
        let opposite = vec![vec![0.0, 1.0, 1.0], vec![1.0, 2.0]];
        assert!((of(&opposite) + 1.0).abs() < 1e-6);
        // One of two layers agrees.
        let half = vec![vec![2.0, 1.0, 1.0], vec![2.0, 5.0]];
        assert!((of(&half) - 0.5).abs() < 1e-6);
        assert_eq!(naturalness(&ordinary, &images[..1], &ordinary), None);
        assert_eq!(naturalness(&ordinary, &[], &ordinary), None);
    }

    #[test]
    fn the_mean_is_taken_per_channel() {
        let profiles = [vec![vec![1.0, 2.0]], vec![vec![3.0, 6.0]]];
        assert_eq!(mean_profile(&profiles), vec![vec![2.0, 4.0]]);
        assert!(mean_profile(&[]).is_empty());
    }
}
