//! The pass over the images: from arguments, or from what a run says of itself.

use crate::model;
use crate::run_args::{BackendArg, PassArgs};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::sync::Arc;
use summit_nn::layers::{Blocks, LayerValue};
use summit_nn::onnx::Model;
use summit_query::Questions;
use summit_summarize::{Pass, PassOptions};
use summit_tables::{ChannelId, LayerId, LayerInfo, TopRule};

/// Names of the backends in the parameters of a run.
const BUILTIN: &str = "builtin";
const ORT: &str = "ort ";

/// The network of a pass: the file, and what was read from it.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Read again by ONNX Runtime.
    #[cfg_attr(
        not(feature = "ort"),
        allow(dead_code, reason = "only that backend reads the file again")
    )]
    pub path: &'a Path,
    pub model: &'a Model,
    pub layers: &'a [LayerValue],
    pub blocks: &'a Blocks,
}

/// Who runs the network, as it is written in the parameters: `builtin`, or `ort` and a device.
fn backend(args: &PassArgs) -> Result<String> {
    match args.backend {
        BackendArg::Builtin if args.device != "cpu" => {
            bail!("--device {} needs --backend ort", args.device)
        }
        BackendArg::Builtin => Ok(BUILTIN.to_owned()),
        BackendArg::Ort => Ok(format!("{ORT}{}", args.device)),
    }
}

/// The pass asked for.
pub fn from_args(args: &PassArgs, source: Source<'_>) -> Result<(Arc<Pass>, serde_json::Value)> {
    let options = pass_options(args, source.layers)?;
    let backend = backend(args)?;
    let parameters = parameters(&options, source.layers, &backend);
    Ok((on_backend(options, source, &backend)?, parameters))
}

/// The pass of a run, from the parameters in its manifest.
pub fn from_parameters(parameters: &serde_json::Value, source: Source<'_>) -> Result<Arc<Pass>> {
    let unknown = "the run's parameters are not understood";
    let part = |name: &str| parameters.get(name).cloned().context(unknown);
    let excluded: Vec<String> = serde_json::from_value(part("excluded")?).context(unknown)?;
    let infos: Vec<_> = source
        .layers
        .iter()
        .map(|layer| layer.info.clone())
        .collect();
    let excluded = excluded
        .iter()
        .map(|text| model::find_channel(text, &infos))
        .collect::<Result<_>>()?;
    let options = PassOptions {
        rule: serde_json::from_value(part("top_rule")?).context(unknown)?,
        influence: !part("influence")?.is_null(),
        inputs_per_output: serde_json::from_value(part("inputs_per_output")?).context(unknown)?,
        excluded,
        ..PassOptions::default()
    };
    let backend: String = serde_json::from_value(part("backend")?).context(unknown)?;
    on_backend(options, source, &backend)
}

/// What [`from_parameters`] reads.
fn parameters(options: &PassOptions, layers: &[LayerValue], backend: &str) -> serde_json::Value {
    let excluded: Vec<String> = options
        .excluded
        .iter()
        .filter_map(|(layer, channel)| {
            let layer = layers.get(layer.index())?;
            Some(format!("{}:{}", layer.info.name, channel.0))
        })
        .collect();
    serde_json::json!({
        "top_rule": options.rule,
        "influence": options.influence.then_some("conv-max"),
        "backend": backend,
        "inputs_per_output": options.inputs_per_output,
        "excluded": excluded,
    })
}

fn on_backend(options: PassOptions, source: Source<'_>, backend: &str) -> Result<Arc<Pass>> {
    let Source {
        model,
        layers,
        blocks,
        ..
    } = source;
    let mut pass = Pass::new(&model.graph, layers, blocks, options)?;
    match backend.strip_prefix(ORT) {
        Some(device) => use_ort(&mut pass, source, device)?,
        None if backend == BUILTIN => {}
        None => bail!("there is no backend \"{backend}\""),
    }
    Ok(Arc::new(pass))
}

/// Lets ONNX Runtime run the network, one thread a worker.
#[cfg(feature = "ort")]
fn use_ort(pass: &mut Pass, source: Source<'_>, device: &str) -> Result<()> {
    use summit_nn::backend::{OrtBackend, OrtModel};
    let path = source.path;
    let bytes = model::bytes(path)?;
    let backend = OrtBackend::new(&OrtModel {
        bytes: &bytes,
        folder: path.parent(),
        graph: &source.model.graph,
        observed: pass.observed(),
        device: device.parse().map_err(anyhow::Error::msg)?,
        threads: 1,
    })?;
    pass.run_on(Box::new(backend));
    Ok(())
}

#[cfg(not(feature = "ort"))]
fn use_ort(_: &mut Pass, _: Source<'_>, _: &str) -> Result<()> {
    bail!("this summit was built without ONNX Runtime: build it with `--features ort`")
}

fn pass_options(args: &PassArgs, layers: &[LayerValue]) -> Result<PassOptions> {
    let rule = args.top_k.map_or(TopRule::Mass(args.mass), TopRule::TopK);
    let infos: Vec<_> = layers.iter().map(|layer| layer.info.clone()).collect();
    let mut excluded = args
        .exclude
        .iter()
        .map(|text| model::find_channel(text, &infos).context("--exclude"))
        .collect::<Result<Vec<_>>>()?;
    excluded.extend(proposed(args, layers)?);
    excluded.sort_unstable();
    excluded.dedup();
    Ok(PassOptions {
        rule,
        influence: !args.no_influence,
        excluded,
        ..PassOptions::default()
    })
}

/// Channels that are on top of most images of an earlier run.
fn proposed(args: &PassArgs, layers: &[LayerValue]) -> Result<Vec<(LayerId, ChannelId)>> {
    let Some(folder) = &args.exclude_outliers_of else {
        return Ok(Vec::new());
    };
    let questions = Questions::open(folder)?;
    let known = questions.layers().iter();
    let own = layers.iter().map(|layer| &layer.info);
    let shape = |layer: &LayerInfo| (layer.name.clone(), layer.channels);
    if !known.map(shape).eq(own.map(shape)) {
        bail!(
            "--exclude-outliers-of: the run has other layers: {}",
            folder.display()
        );
    }
    let found = questions.outliers()?;
    let of_layer = found.into_iter().flat_map(|outliers| {
        let channels = outliers.channels.into_iter();
        channels.map(move |outlier| (outliers.layer, outlier.channel))
    });
    Ok(of_layer.collect())
}
