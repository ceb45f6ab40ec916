//! Answers what the browser asks of the network: photographs dropped into it, channels changed.

use crate::commands::explain_image::Photo;
use crate::commands::flow::SAMPLE_SEED;
use crate::network::{RunNetwork, member_by_itself};
use crate::query_args::RecountArgs;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use summit_explain::Measure;
use summit_images::{DecodeLimits, decode};
use summit_influence::whatif::{Change, Effect, summarise, what_if};
use summit_influence::{
    Explained, GroupRequest, Images, Member, Moments, Subject, group_scores, sample,
};
use summit_nn::flow::SignedMeasure;
use summit_query::Questions;
use summit_site::schema::{
    BUNDLE_SCHEMA_VERSION, EffectFacts, PathFacts, PhotoFile, WhatIfFile, WhatIfQuestion,
};
use summit_site::{Network, Wanted};
use summit_summarize::{Pass, PassOptions, Worker};
use summit_tables::{ChannelId, ClassId, ImageId, LayerId};

/// Images of the class, and as many others, that a changed channel is tried on.
const TRIED: usize = 64;

/// Share of a layer's positive score that the path of a photograph holds.
const PATH_MASS: f64 = 0.5;

/// The network of a run, opened at the first question.
#[derive(Debug)]
pub struct ServedNetwork {
    run: PathBuf,
    places: RecountArgs,
    ready: Mutex<Option<Arc<Ready>>>,
}

#[derive(Debug)]
struct Ready {
    questions: Questions,
    network: RunNetwork,
    worker: Mutex<Worker>,
}

impl ServedNetwork {
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
            worker: Mutex::new(Worker::new(&Arc::new(pass))?),
            questions,
            network,
        })
    }

    fn ready(&self) -> Result<Arc<Ready>> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = match &mut *ready {
            Some(ready) => ready,
            none => none.insert(Arc::new(self.open()?)),
        };
        Ok(Arc::clone(ready))
    }
}

impl Ready {
    fn look(&self, photo: &[u8]) -> Result<PhotoFile> {
        let image =
            decode(photo, &DecodeLimits::default()).context("the photograph cannot be read")?;
        let preprocessing = &self.network.preprocessing;
        let mut input = vec![0.0; preprocessing.output_len()];
        preprocessing.apply(&image, &mut input)?;
        let input = Photo(input);
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        let summary = worker.summarize(&input.0, None)?;
        drop(worker);
        let prediction = summary.prediction.top_classes.first();
        let mut file = PhotoFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            // Whoever asks what the network sees still gets the answer where it cannot say why.
            path: prediction.and_then(|&class| self.path(&input, class).ok()),
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

    /// What carries a class in one image.
    fn path(&self, input: &Photo, class: ClassId) -> Result<PathFacts> {
        let network = &self.network;
        let subject = Subject {
            graph: &network.model.graph,
            layers: &network.values(),
            images: input,
            threads: 1,
        };
        let found = group_scores(
            &subject,
            &GroupRequest {
                name: "the photograph",
                members: &[Member {
                    image: ImageId(0),
                    explained: Explained::Margin(class),
                }],
                measure: SignedMeasure::Lrp,
                mass: PATH_MASS,
            },
        )?;
        let mut path = PathFacts {
            measure: Measure::Lrp,
            layer: Vec::new(),
            channel: Vec::new(),
            score: Vec::new(),
        };
        for (layer, (kept, scores)) in (0..).zip(found.kept(PATH_MASS).iter().zip(&found.scores)) {
            for &channel in kept {
                let score = scores.get(channel.index()).map_or(0.0, Moments::sum);
                path.layer.push(layer);
                path.channel.push(channel.0);
                path.score.push(score as f32);
            }
        }
        Ok(path)
    }

    fn what_if(&self, question: &WhatIfQuestion, wanted: Wanted<'_>) -> Result<WhatIfFile> {
        if !question.factor.is_finite() {
            bail!("the factor must be a finite number");
        }
        let class = ClassId(question.class);
        let change = Change {
            layer: LayerId(question.layer),
            channel: ChannelId(question.channel),
            factor: question.factor,
        };
        let labelled = |own: bool| -> Vec<Member> {
            let records = self.questions.records().iter();
            let records = records
                .filter(move |record| record.label.is_some_and(|label| (label == class) == own));
            let chosen = sample(records, Some(TRIED), SAMPLE_SEED);
            chosen.into_iter().filter_map(member_by_itself).collect()
        };
        let (own, others) = (labelled(true), labelled(false));
        if own.is_empty() {
            bail!("the class has no labelled images");
        }
        let all: Vec<Member> = own.iter().chain(&others).copied().collect();
        let outcomes = self.network.study(&self.questions, None, |subject| {
            let images = WhileWanted {
                images: subject.images,
                wanted,
            };
            let subject = Subject {
                images: &images,
                ..*subject
            };
            Ok(what_if(&subject, &all, &[change])?)
        })?;
        let (own_outcomes, other_outcomes) = outcomes.split_at(own.len());
        let summary = summarise(&own, own_outcomes);
        let mut file = WhatIfFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            class: facts(&summary.all),
            others: facts(&summarise(&others, other_outcomes).all),
            ..WhatIfFile::default()
        };
        for moved in &summary.confusion {
            file.prediction.push(moved.prediction);
            file.before.push(moved.images[0]);
            file.after.push(moved.images[1]);
        }
        Ok(file)
    }
}

/// Images for as long as somebody waits for what is made of them.
struct WhileWanted<'a> {
    images: &'a dyn Images,
    wanted: Wanted<'a>,
}

impl Images for WhileWanted<'_> {
    fn input(&self, image: ImageId) -> Result<Vec<f32>, String> {
        if !(self.wanted)() {
            return Err("nobody waits for the answer".to_owned());
        }
        self.images.input(image)
    }
}

fn facts(effect: &Effect) -> EffectFacts {
    EffectFacts {
        images: effect.images,
        right: effect.right,
        changed: effect.changed,
        margin: effect.score_change,
    }
}

impl Network for ServedNetwork {
    fn look(&self, photo: &[u8]) -> Result<PhotoFile, String> {
        let answer = self.ready().and_then(|ready| ready.look(photo));
        answer.map_err(|error| format!("{error:#}"))
    }

    fn what_if(&self, question: &WhatIfQuestion, wanted: Wanted<'_>) -> Result<WhatIfFile, String> {
        let answer = self
            .ready()
            .and_then(|ready| ready.what_if(question, wanted));
        answer.map_err(|error| format!("{error:#}"))
    }
}
