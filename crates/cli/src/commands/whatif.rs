//! `summit whatif`: accuracy and confusion with channels muted or made louder.

use super::flow::SAMPLE_SEED;
use crate::network::{RunNetwork, member_by_itself};
use crate::signed_args::WhatifArgs;
use crate::{message, model};
use anyhow::{Context, Result, bail};
use std::process::ExitCode;
use summit_explain::class_name;
use summit_influence::whatif::{Change, Effect, Summary, summarise, what_if};
use summit_influence::{Member, sample};
use summit_nn::onnx::{ChannelFactors, scale_channels};
use summit_query::Questions;
use summit_tables::ClassId;

/// Confusions listed on screen.
const LISTED: usize = 10;

pub fn run(args: &WhatifArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let changes = changes(&questions, args)?;
    let group = questions.group(&args.group)?;
    let network = RunNetwork::open(&questions, &args.recount)?;
    if let Some(path) = &args.save {
        let bytes = model::bytes(&network.path)?;
        let edited = scale_channels(&bytes, &factors(&questions, &changes))?;
        std::fs::write(path, edited).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let records = sample(questions.members(&group), args.sample.0, SAMPLE_SEED);
    // Every image is judged by its own class, whatever the group.
    let members: Vec<Member> = records.into_iter().filter_map(member_by_itself).collect();
    let outcomes = network.study(&questions, args.threads, |subject| {
        Ok(what_if(subject, &members, &changes)?)
    })?;
    let summary = summarise(&members, &outcomes);
    if args.json {
        message::print(&(serde_json::to_string_pretty(&summary)? + "\n"))?;
    } else {
        message::print(&table(&questions, &summary))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn changes(questions: &Questions, args: &WhatifArgs) -> Result<Vec<Change>> {
    let muted = args
        .mute
        .iter()
        .map(|text| (text, Some((text.as_str(), "0"))));
    let boosted = args.boost.iter().map(|text| (text, text.rsplit_once(':')));
    muted
        .chain(boosted)
        .map(|(text, parts)| {
            let wrong = || format!("\"{text}\": LAYER:CHANNEL, and for --boost :FACTOR, is needed");
            let (place, factor) = parts.with_context(wrong)?;
            let (layer, channel) = model::find_channel(place, questions.layers())?;
            let factor: f32 = factor.parse().ok().with_context(wrong)?;
            if !factor.is_finite() {
                bail!("\"{text}\": the factor must be a finite number");
            }
            Ok(Change {
                layer,
                channel,
                factor,
            })
        })
        .collect()
}

/// One entry per changed layer.
fn factors(questions: &Questions, changes: &[Change]) -> Vec<ChannelFactors> {
    let layers = questions.layers().iter();
    layers
        .filter_map(|layer| {
            let mut factors = vec![1.0; layer.channels as usize];
            let own = changes.iter().filter(|change| change.layer == layer.id);
            let mut any = false;
            for change in own {
                if let Some(factor) = factors.get_mut(change.channel.index()) {
                    *factor *= change.factor;
                    any = true;
                }
            }
            any.then(|| ChannelFactors {
                tensor: layer.name.clone(),
                factors,
            })
        })
        .collect()
}

fn table(questions: &Questions, summary: &Summary) -> String {
    let row = |name: &str, effect: &Effect| {
        let [before, after] = effect
            .right
            .map(|right| 100.0 * f64::from(right) / f64::from(effect.images.max(1)));
        let change = effect
            .score_change
            .map_or(String::new(), |change| match change.interval {
                Some([low, high]) => format!("{:+.3} [{low:+.3}, {high:+.3}]", change.mean),
                None => format!("{:+.3}", change.mean),
            });
        format!(
            "| {name} | {} | {before:.1} % | {after:.1} % | {} | {change} |\n",
            effect.images, effect.changed
        )
    };
    let mut text = String::from(
        "| class | images | right before | right after | predictions changed | change of the margin, logits |\n\
         |---|---|---|---|---|---|\n",
    );
    text += &row("all", &summary.all);
    for (&class, effect) in &summary.classes {
        text += &row(&class_name(questions.classes(), ClassId(class)), effect);
    }
    let name = |class: u32| class_name(questions.classes(), ClassId(class));
    for moved in summary.confusion.iter().take(LISTED) {
        let [before, after] = moved.images;
        text += &format!(
            "{} taken for {}: {before} -> {after}\n",
            name(moved.class),
            name(moved.prediction)
        );
    }
    text
}
