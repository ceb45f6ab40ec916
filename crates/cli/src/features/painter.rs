//! Pictures drawn because somebody looks at a channel that has none.
//!
//! One thread at the lowest priority takes one order after the other, prepares a layer once for orders
//! that follow each other, and holds the run's lock only while it adds a picture, so that `summit featvis`
//! can work on the same run. Most orders that wait: [`MOST`].

use super::{FeatureMaker, FeatureSettings, LayerMaker};
use crate::message;
use crate::network::{RunNetwork, originals};
use crate::query_args::RecountArgs;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use summit_query::Questions;
use summit_site::{Painter, SiteError};
use summit_store::{FeaturePicture, FeatureWriter, Features};
use summit_tables::{ChannelId, LayerId};
use thread_priority::{ThreadPriority, set_current_thread_priority};

/// Orders that may wait.
const MOST: usize = 64;

type Order = (LayerId, ChannelId);

/// Orders for one run.
#[derive(Debug)]
pub struct QueuePainter {
    orders: SyncSender<Order>,
    /// Those not done yet.
    waiting: Arc<Mutex<Vec<Order>>>,
}

impl QueuePainter {
    /// For the run in this folder. The network is opened with the first order.
    ///
    /// * `images`: their folder, if it moved since the run.
    pub fn start(run: &Path, images: Option<PathBuf>) -> Self {
        let (orders, taken) = sync_channel(MOST);
        let waiting = Arc::new(Mutex::new(Vec::new()));
        let studio = Studio {
            run: run.to_owned(),
            args: RecountArgs {
                model: None,
                images,
            },
            waiting: Arc::clone(&waiting),
        };
        std::thread::spawn(move || {
            // Where it is not allowed the work is done at ordinary priority.
            let _ = set_current_thread_priority(ThreadPriority::Min);
            if let Err(problem) = studio.work(&taken) {
                message::warning(&format!(
                    "feature visualisations are not drawn: {problem:#}"
                ));
            }
        });
        Self { orders, waiting }
    }
}

impl Painter for QueuePainter {
    fn request(&self, layer: LayerId, channel: ChannelId) -> Result<(), SiteError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.contains(&(layer, channel)) {
            return Ok(());
        }
        match self.orders.try_send((layer, channel)) {
            Ok(()) => {
                waiting.push((layer, channel));
                Ok(())
            }
            Err(TrySendError::Full(_)) => Err(SiteError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(SiteError::DrawsNothing),
        }
    }
}

/// Where orders are carried out.
struct Studio {
    run: PathBuf,
    args: RecountArgs,
    waiting: Arc<Mutex<Vec<Order>>>,
}

impl Studio {
    /// Until there is nobody left to order, or nothing can be drawn.
    fn work(&self, orders: &Receiver<Order>) -> Result<()> {
        let Ok(mut order) = orders.recv() else {
            return Ok(());
        };
        let questions = Questions::open(&self.run)?;
        let network = RunNetwork::open(&questions, &self.args)?;
        let without = "pictures are not compared with natural images";
        let crops = originals(&questions, self.args.images.as_deref(), without)?;
        let mut prepared: Option<(LayerId, LayerMaker<'_>)> = None;
        loop {
            let (layer, channel) = order;
            let maker = FeatureMaker {
                questions: &questions,
                network: &network,
                crops: crops.as_ref(),
                settings: FeatureSettings::STANDARD,
            };
            if let Err(problem) = self.draw(maker, &mut prepared, order) {
                let place = format!("channel {} of layer {}", channel.0, layer.0);
                message::warning(&format!("{place} was not drawn: {problem:#}"));
            }
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.retain(|&other| other != order);
            drop(waiting);
            let Ok(next) = orders.recv() else {
                return Ok(());
            };
            order = next;
        }
    }

    /// Draws one picture, unless it is there by now.
    fn draw<'a>(
        &self,
        maker: FeatureMaker<'a>,
        prepared: &mut Option<(LayerId, LayerMaker<'a>)>,
        (layer, channel): Order,
    ) -> Result<()> {
        let info = maker.questions.layers().get(layer.index());
        let info = info.context("a layer is missing")?;
        let there = Features::open(maker.questions.run(), info)?;
        let has = |features: &Features| features.has(channel, FeaturePicture::Feature);
        if there.as_ref().is_some_and(has) {
            return Ok(());
        }
        let settings = FeatureSettings::of(there.as_ref())?;
        let fits = |(other, made): &(LayerId, LayerMaker<'_>)| {
            *other == layer && made.settings == settings
        };
        let made = match prepared.take().filter(fits) {
            Some((_, made)) => made,
            None => FeatureMaker { settings, ..maker }.layer(layer)?,
        };
        let (_, made) = prepared.insert((layer, made));
        let (record, pictures) = made.worker().channel(channel, false)?;
        let writer = FeatureWriter::new(&self.run, settings.json())?;
        let mut features = writer.layer(info)?;
        Ok(writer.commit(&mut features, channel, record, &pictures)?)
    }
}
