//! What a run was begun with, loaded again from its manifest: for a shard of a plan, and for adding images.

use crate::{model, pass};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::sync::Arc;
use summit_images::Preprocessing;
use summit_store::{RunSpec, Source};
use summit_summarize::Pass;

/// Network and preprocessing of a run.
pub struct Begun {
    pub network: summit_nn::onnx::Model,
    pub pass: Arc<Pass>,
    pub preprocessing: Preprocessing,
}

impl Begun {
    /// * `path`: the network, where it is not where the run remembers it.
    pub fn load(spec: &RunSpec, source: &Source, path: Option<&Path>) -> Result<Self> {
        let path = path.or(source.model.as_deref());
        let path = path.context("the run does not say where its network is; use --model")?;
        if model::sha256(path)? != spec.model.sha256 {
            bail!("it is not the network of this run: {}", path.display());
        }
        let network = model::load(path, source.input_shape, source.output.as_deref())?;
        let info = &spec.model.info;
        let names: Vec<String> = info.layers.iter().map(|layer| layer.name.clone()).collect();
        let (layers, blocks) = model::layers(&network, &names)?;
        let pass_source = pass::Source {
            path,
            model: &network,
            layers: &layers,
            blocks: &blocks,
        };
        let pass = pass::from_parameters(&spec.parameters, pass_source)?;
        if pass.info() != info {
            bail!("the network is read differently now than when the run was begun");
        }
        let preprocessing = serde_json::from_value(spec.preprocessing.clone())
            .context("the run's preprocessing is not understood")?;
        Ok(Self {
            network,
            pass,
            preprocessing,
        })
    }
}
