//! The optimisation: Adam on the parameters of a picture until the objective has flattened.
//!
//! One rendering is sequential; many are done at once by as many workers. Everything random is drawn
//! from (seed, key, step), so a rendering does not depend on what was rendered before.

use crate::layer_network::{FeatureError, LayerSession};
use crate::parameterisation::Fourier;
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
pub struct RenderOptions {
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
    options: &RenderOptions,
    key: u64,
) -> Result<Rendering, FeatureError> {
    session.check(objective)?;
    let extents = session.network().extents();
    let pixels = 3 * extents[0] * extents[1];
    let mut image = Fourier::new(extents, &mut Random::new(&[options.seed, key]));
    let mut adam = Adam::new(image.parameters_mut().len(), options.learning_rate);
    let mut picture = vec![0.0; pixels];
    let mut changed = vec![0.0; pixels];
    let mut upstream = vec![0.0; pixels];
    let mut gradient = vec![0.0; image.parameters_mut().len()];
    let mut history = History::default();
    let mut steps = 0;
    while steps < options.steps && !history.is_flat(options.early_stop) {
        let mut random = Random::new(&[options.seed, key, u64::from(steps) + 1]);
        let change = options.robustness.draw(&mut random, extents);
        image.picture(&mut picture);
        change.apply(extents, &picture, &mut changed);
        let answer = session.step(&changed, objective, &mut upstream)?;
        history.push(objective.value(|channel| answer.means[channel.index()]));
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
        objective: objective.value(|channel| answer.means[channel.index()]),
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
