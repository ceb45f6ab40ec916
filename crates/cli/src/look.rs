//! Runs the network on photographs dropped into the browser.

use crate::network::RunNetwork;
use crate::query_args::RecountArgs;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use summit_images::{DecodeLimits, Preprocessing, decode};
use summit_query::Questions;
use summit_site::Look;
use summit_site::schema::{BUNDLE_SCHEMA_VERSION, PhotoFile};
use summit_summarize::{Pass, PassOptions, Worker};

/// The network of a run, opened for the first photograph.
#[derive(Debug)]
pub struct NetworkLook {
    run: PathBuf,
    places: RecountArgs,
    ready: Mutex<Option<Ready>>,
}

#[derive(Debug)]
struct Ready {
    worker: Worker,
    preprocessing: Preprocessing,
}

impl NetworkLook {
    pub fn new(run: PathBuf, places: RecountArgs) -> Self {
        Self {
            run,
            places,
            ready: Mutex::new(None),
        }
    }

    fn open(&self) -> Result<Ready> {
        let questions = Questions::open(&self.run)?;
        let network = RunNetwork::open(&questions, &self.places)?;
        let options = PassOptions {
            rule: questions.top_rule(),
            influence: false,
            ..PassOptions::default()
        };
        let pass = Pass::new(
            &network.model.graph,
            &network.layers,
            &network.blocks,
            options,
        )?;
        Ok(Ready {
            worker: Worker::new(&Arc::new(pass))?,
            preprocessing: network.preprocessing,
        })
    }

    fn answer(&self, photo: &[u8]) -> Result<PhotoFile> {
        let image =
            decode(photo, &DecodeLimits::default()).context("the photograph cannot be read")?;
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let Ready {
            worker,
            preprocessing,
        } = match &mut *ready {
            Some(ready) => ready,
            none => none.insert(self.open()?),
        };
        let mut input = vec![0.0; preprocessing.output_len()];
        preprocessing.apply(&image, &mut input)?;
        let summary = worker.summarize(&input, None)?;
        let mut file = PhotoFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            class: summary
                .prediction
                .top_classes
                .iter()
                .map(|class| class.0)
                .collect(),
            probability: summary.prediction.top_probabilities,
            ..PhotoFile::default()
        };
        for (layer, summary) in (0u32..).zip(&summary.layers) {
            for (channel, share) in &summary.top {
                file.layer.push(layer);
                file.channel.push(channel.0);
                file.share.push(*share);
            }
        }
        Ok(file)
    }
}

impl Look for NetworkLook {
    fn look(&self, photo: &[u8]) -> Result<PhotoFile, String> {
        self.answer(photo).map_err(|error| format!("{error:#}"))
    }
}
