//! The optimisation: Adam on the parameters of a picture until the objective has flattened.
//!
//! One rendering is sequential; many are done at once by as many workers. Everything random is drawn
//! from (seed, key, step), so a rendering does not depend on what was rendered before.

use crate::layer_network::{FeatureError, LayerSession};
use crate::parameterisation::{Fourier, Magnitudes};
use crate::random::Random;
use crate::{Objective, Robustness};
use serde::{Deserialize, Serialize};

/// Kingma and Ba 2015.
const BETA: [f32; 2] = [0.9, 0.999];

/// Kingma and Ba 2015.
const EPSILON: f32 = 1e-8;

/// When to stop before the last step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStop {
    /// Steps averaged, since every step sees another transformation.
    pub window: u32,
    /// Least growth of the objective from one window to the next, as a share of it.
    pub growth: f32,
}

/// How to render.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RenderOptions<'a> {
    /// Steps at most.
    pub steps: u32,
    /// Adam's step length.
    pub learning_rate: f32,
    /// Of everything random.
    pub seed: u64,
    /// How far the picture is moved in each step.
    pub robustness: Robustness,
    /// When to stop before that.
    pub early_stop: Option<EarlyStop>,
    /// Keeps these and moves phases alone; `None` moves the whole spectrum. Of the picture's extents.
    pub magnitudes: Option<&'a Magnitudes>,
}

/// A finished picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendering {
    /// `[3, H, W]`, 0 to 1.
    pub picture: Vec<f32>,
    /// `[height, width]`, pixels.
    pub extents: [usize; 2],
    /// Steps done.
    pub steps: u32,
    /// The objective on the unmoved picture.
    pub objective: f32,
    /// Per channel of the layer: its largest activation on the unmoved picture.
    pub maxima: Vec<f32>,
}

/// Makes the picture that `objective` likes best. `key` tells renderings of one seed apart.
///
/// # Errors
/// The layer has no such channel, or the network's values left the range of numbers.
pub fn render(
    session: &mut LayerSession,
    objective: &Objective,
    options: &RenderOptions<'_>,
    key: &[u64],
) -> Result<Rendering, FeatureError> {
    session.check(objective)?;
    let extents = session.network().extents();
    let pixels = 3 * extents[0] * extents[1];
    let stream = |step| Random::new(&[&[options.seed], key, &[step]].concat());
    let mut image = match options.magnitudes {
        Some(magnitudes) => Fourier::with_magnitudes(magnitudes, &mut stream(0)),
        None => Fourier::new(extents, &mut stream(0)),
    };
    let mut adam = Adam::new(image.parameters_mut().len(), options.learning_rate);
    let mut picture = vec![0.0; pixels];
    let mut changed = vec![0.0; pixels];
    let mut upstream = vec![0.0; pixels];
    let mut gradient = vec![0.0; image.parameters_mut().len()];
    let mut history = History::default();
    let mut steps = 0;
    while steps < options.steps && !history.is_flat(options.early_stop) {
        let mut random = stream(u64::from(steps) + 1);
        let change = options.robustness.draw(&mut random, extents);
        image.picture(&mut picture);
        change.apply(extents, &picture, &mut changed);
        let answer = session.step(&changed, objective, &mut upstream)?;
        history.push(answer.objective);
        change.adjoint(extents, &upstream, &mut changed);
        image.gradient(&picture, &changed, &mut gradient);
        adam.step(image.parameters_mut(), &gradient);
        steps += 1;
    }
    image.picture(&mut picture);
    let answer = session.step(&picture, objective, &mut upstream)?;
    Ok(Rendering {
        picture,
        extents,
        steps,
        objective: answer.objective,
        maxima: answer.maxima,
    })
}

/// Values of the objective, one a step.
#[derive(Default)]
struct History(Vec<f32>);

impl History {
    fn push(&mut self, value: f32) {
        self.0.push(value);
    }

    /// Whether the last window is hardly better than the one before. Asked once a window.
    fn is_flat(&self, early_stop: Option<EarlyStop>) -> bool {
        let Some(EarlyStop { window, growth }) = early_stop else {
            return false;
        };
        let window = window.max(1) as usize;
        let count = self.0.len();
        if count < 2 * window || !count.is_multiple_of(window) {
            return false;
        }
        let mean = |part: &[f32]| part.iter().sum::<f32>() / window as f32;
        let last = mean(&self.0[count - window..]);
        let before = mean(&self.0[count - 2 * window..count - window]);
        last - before < growth * before.abs()
    }
}

/// Adam, upwards.
struct Adam {
    rate: f32,
    step: i32,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    fn new(parameters: usize, rate: f32) -> Self {
        Self {
            rate,
            step: 0,
            first: vec![0.0; parameters],
            second: vec![0.0; parameters],
        }
    }

    fn step(&mut self, parameters: &mut [f32], gradient: &[f32]) {
        self.step += 1;
        let [one, two] = BETA;
        let first_bias = 1.0 - one.powi(self.step);
        let second_bias = (1.0 - two.powi(self.step)).sqrt();
        let rate = self.rate / first_bias;
        for (((x, &g), m), v) in parameters
            .iter_mut()
            .zip(gradient)
            .zip(&mut self.first)
            .zip(&mut self.second)
        {
            *m += (1.0 - one) * (g - *m);
            *v += (1.0 - two) * (g * g - *v);
            *x += rate * *m / (v.sqrt() / second_bias + EPSILON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerNetwork;
    use crate::testing::{named, network, preprocessing};
    use std::sync::Arc;
    use summit_tables::ChannelId;

    const OPTIONS: RenderOptions<'static> = RenderOptions {
        steps: 60,
        learning_rate: 0.05,
        seed: 3,
        robustness: Robustness::STANDARD,
        early_stop: None,
        magnitudes: None,
    };

    fn session(layer: &str) -> LayerSession {
        let graph = network(20);
        let layer = named(&graph, layer);
        let network = LayerNetwork::new(&graph, layer, 16, &preprocessing(20)).unwrap();
        Arc::new(network).session()
    }

    fn made(
        session: &mut LayerSession,
        objective: &Objective,
        options: &RenderOptions<'_>,
    ) -> Rendering {
        render(session, objective, options, &[11]).unwrap()
    }

    #[test]
    fn every_objective_grows() {
        // On a picture that is not moved; on a moved one it may grow at the cost of the unmoved one.
        let still = Robustness {
            jitter: 0,
            scale_steps: 0,
            degrees: 0,
            last_jitter: 0,
        };
        let options = |steps| RenderOptions {
            steps,
            robustness: still,
            ..OPTIONS
        };
        for layer in ["relu1", "joined", "linear", "scores"] {
            let mut session = session(layer);
            for objective in [
                Objective::channel(ChannelId(1)),
                Objective::negative(ChannelId(0)),
                Objective::joint(ChannelId(0), ChannelId(1)),
            ] {
                let few = made(&mut session, &objective, &options(0));
                let many = made(&mut session, &objective, &options(60));
                assert!(
                    many.objective > few.objective + 0.1,
                    "{layer} {objective:?}"
                );
                assert!(many.picture.iter().all(|value| (0.0..=1.0).contains(value)));
            }
            let many = made(
                &mut session,
                &Objective::channel(ChannelId(1)),
                &options(60),
            );
            assert!(many.maxima[1] >= many.objective);
        }
    }

    #[test]
    fn phases_alone_suffice_to_grow() {
        let mut session = session("joined");
        let extents = session.network().extents();
        let count = 3 * extents[0] * extents[1];
        let mut random = Random::new(&[1]);
        let photograph: Vec<f32> = (0..count).map(|_| random.uniform() as f32).collect();
        let magnitudes = Magnitudes::of(&[photograph], extents).unwrap();
        let options = |steps| RenderOptions {
            steps,
            magnitudes: Some(&magnitudes),
            ..OPTIONS
        };
        let objective = Objective::channel(ChannelId(1));
        let few = made(&mut session, &objective, &options(0));
        let many = made(&mut session, &objective, &options(60));
        assert!(many.objective > few.objective + 0.1);
    }

    #[test]
    fn a_silent_channel_is_woken() {
        let mut session = session("joined");
        let options = RenderOptions {
            steps: 300,
            ..OPTIONS
        };
        let woken = (3..6).filter(|&channel| {
            let objective = Objective::channel(ChannelId(channel));
            let silent = made(
                &mut session,
                &objective,
                &RenderOptions {
                    steps: 0,
                    ..OPTIONS
                },
            );
            assert_eq!(silent.objective, 0.0);
            made(&mut session, &objective, &options).objective > 0.0
        });
        assert!(woken.count() >= 1);
    }

    #[test]
    fn depends_on_seed_and_key_alone() {
        let objective = Objective::channel(ChannelId(2));
        let mut first = session("joined");
        let one = made(&mut first, &objective, &OPTIONS);
        made(&mut first, &Objective::channel(ChannelId(0)), &OPTIONS);
        assert_eq!(one, made(&mut first, &objective, &OPTIONS));
        assert_eq!(one, made(&mut session("joined"), &objective, &OPTIONS));
        let other = render(&mut first, &objective, &OPTIONS, &[12]).unwrap();
        assert_ne!(one.picture, other.picture);
        let seeded = RenderOptions { seed: 4, ..OPTIONS };
        assert_ne!(one.picture, made(&mut first, &objective, &seeded).picture);
    }

    #[test]
    fn stops_when_the_objective_is_flat() {
        let flat = |values: &[f32], growth| {
            let history = History(values.to_vec());
            history.is_flat(Some(EarlyStop { window: 2, growth }))
        };
        assert!(flat(&[1.0, 1.0, 1.0, 1.0], 0.01));
        assert!(!flat(&[1.0, 1.0, 1.1, 1.1], 0.01));
        assert!(flat(&[1.0, 1.0, 1.1, 1.1], 0.2));
        // Between windows and before two of them nothing is decided.
        assert!(!flat(&[1.0, 1.0, 1.0, 1.0, 1.0], 0.01));
        assert!(!flat(&[1.0, 1.0], 0.01));
        // What falls, or is negative and grows.
        assert!(flat(&[1.0, 1.0, 0.5, 0.5], 0.01));
        assert!(!flat(&[-1.0, -1.0, -0.5, -0.5], 0.01));
        let early_stop = Some(EarlyStop {
            window: 5,
            growth: 10.0,
        });
        let options = RenderOptions {
            early_stop,
            ..OPTIONS
        };
        let stopped = made(
            &mut session("relu1"),
            &Objective::channel(ChannelId(0)),
            &options,
        );
        assert!(stopped.steps < OPTIONS.steps && stopped.steps.is_multiple_of(5));
    }

    #[test]
    fn adam_is_kingma_and_bas() {
        // By hand: m = 0.1 g, v = 0.001 g^2, both corrected to g and g^2, so the first step is the rate.
        let mut adam = Adam::new(2, 0.5);
        let mut x = [1.0, 1.0];
        adam.step(&mut x, &[4.0, -0.01]);
        assert!(
            (x[0] - 1.5).abs() < 1e-5 && (x[1] - 0.5).abs() < 1e-5,
            "{x:?}"
        );
        adam.step(&mut x, &[0.0, -0.01]);
        // m = 0.36 / 0.19, v = 0.015984 / 0.001999.
        let expected = 1.5 + 0.5 * (0.36 / 0.19) / (0.015_984f32 / 0.001_999).sqrt();
        assert!(
            (x[0] - expected).abs() < 1e-4 && (x[1] - 0.0).abs() < 1e-4,
            "{x:?}"
        );
    }

    #[test]
    fn a_channel_that_is_none_is_refused() {
        let objective = Objective::joint(ChannelId(0), ChannelId(6));
        let error = render(&mut session("joined"), &objective, &OPTIONS, &[]).unwrap_err();
        assert!(error.to_string().contains("no channel 6"), "{error}");
    }
}
