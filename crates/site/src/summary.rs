//! The tables about the whole run: manifest, classes, confusion matrix.

use crate::SiteError;
use crate::bundle::{Bundle, PICTURES};
use crate::schema::{
    BUNDLE_SCHEMA_VERSION, ClassTable, ConfusionTable, FaithfulnessFacts, ImageFacts, LayerFacts,
    ModelFacts, PROBABILITY_BINS, PictureFacts, SiteManifest, SkippedFacts,
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use summit_explain::predictions::{Accuracy, class_predictions, confusion, probability_bin};
use summit_explain::{Measure, class_name};
use summit_influence::evaluate::{AblationKind, Report, SIZES, Scope};
use summit_tables::{ClassId, ImageRecord};

/// Unusable images listed in the manifest.
const SKIPPED_LISTED: usize = 100;

/// Wrong predictions listed per class.
const CONFUSIONS_PER_CLASS: usize = 3;

pub(crate) fn manifest(bundle: &Bundle) -> Result<SiteManifest, SiteError> {
    let questions = &bundle.questions;
    let run = questions.run().manifest();
    let accuracy = Accuracy::of(questions.records().iter());
    let skipped = questions.run().skipped()?.take(SKIPPED_LISTED).map(|row| {
        row.map(|skipped| SkippedFacts {
            path: skipped.path,
            reason: skipped.reason,
        })
    });
    let layers = &run.spec.model.info.layers;
    let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    let layers = layers
        .iter()
        .zip(short_names(&names))
        .map(|(layer, short)| LayerFacts {
            name: layer.name.clone(),
            short,
            channels: layer.channels,
            size: [layer.height, layer.width],
            signed: layer.signed,
            receptive_size: layer.receptive_size,
        });
    Ok(SiteManifest {
        schema_version: BUNDLE_SCHEMA_VERSION,
        bundle_id: digest(&serde_json::to_vec(run)?),
        data_set: bundle.data_set.clone(),
        model: ModelFacts {
            name: run.spec.model.name.clone(),
            sha256: run.spec.model.sha256.clone(),
            input_shape: run.spec.model.input_shape.clone(),
            classes: run.spec.model.info.classes,
        },
        images: ImageFacts {
            listed: run.counts.listed,
            done: run.counts.done,
            skipped: run.counts.skipped,
            labelled: accuracy.labelled,
            correct: accuracy.top1,
        },
        groups: bundle.groups.len() as u32,
        measures: measures(bundle),
        top_rule: questions.top_rule(),
        faithfulness: faithfulness(questions.run().path()),
        layers: layers.collect(),
        pictures: bundle.crops.is_ok().then(|| PictureFacts {
            features: bundle.has_features(),
            masks: bundle.has_masks(),
            ..PICTURES
        }),
        network: bundle.network.is_some(),
        draws: bundle.painter.is_some(),
        skipped: skipped.collect::<Result<_, _>>()?,
    })
}

/// What the graph of some class can be drawn by.
fn measures(bundle: &Bundle) -> Vec<Measure> {
    let classes = bundle.groups.iter();
    let held: BTreeSet<Measure> = classes
        .flat_map(|(class, _)| class_measures(bundle, *class))
        .collect();
    let mut measures = Measure::BEST_FIRST.to_vec();
    measures.retain(|measure| held.contains(measure));
    measures
}

/// What the graph of a class can be drawn by, the best first.
pub(crate) fn class_measures(bundle: &Bundle, class: ClassId) -> Vec<Measure> {
    let questions = &bundle.questions;
    questions.measures(&class_name(questions.classes(), class), &[class])
}

/// From the evaluation of a run, if there is one.
fn faithfulness(run: &Path) -> Vec<FaithfulnessFacts> {
    let file = File::open(run.join(Report::FILE));
    let Some(report) = file.ok().and_then(Report::read) else {
        return Vec::new();
    };
    let stability = |measure: &str| {
        let row = report.stability.iter().find(|row| row.measure == measure);
        row.map(|row| row.halves)
    };
    let curves = report.curves.iter();
    curves
        .filter(|curve| (curve.scope, curve.ablation) == (Scope::Layer, AblationKind::Mean))
        .map(|curve| FaithfulnessFacts {
            measure: curve.measure.clone(),
            sizes: SIZES.into_iter().chain([1.0]).collect(),
            kept: curve.kept.clone(),
            srg: curve.srg.value,
            stability: stability(&curve.measure),
        })
        .collect()
}

/// The first 64 bits of the SHA-256, lower-case hexadecimal.
pub(crate) fn digest(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Names without their last part (`inception_3a/output`), where what is left tells the layers apart.
fn short_names(names: &[&str]) -> Vec<String> {
    let cut = |name: &str| {
        let name = name.trim_start_matches('/');
        name.rsplit_once('/')
            .map_or(name, |(front, _)| front)
            .to_owned()
    };
    let mut uses: BTreeMap<String, u32> = BTreeMap::new();
    for name in names {
        *uses.entry(cut(name)).or_default() += 1;
    }
    let short = names.iter().map(|name| {
        let cut = cut(name);
        if uses.get(&cut) == Some(&1) {
            cut
        } else {
            (*name).trim_start_matches('/').to_owned()
        }
    });
    short.collect()
}

pub(crate) fn classes(bundle: &Bundle) -> ClassTable {
    let named = bundle.questions.classes();
    let count = bundle.questions.run().model_info().classes as usize;
    let mut table = ClassTable {
        schema_version: BUNDLE_SCHEMA_VERSION,
        external_id: vec![String::new(); count],
        name: (0..count)
            .map(|class| class_name(named, ClassId::from_index(class)))
            .collect(),
        synonyms: vec![Vec::new(); count],
        images: vec![0; count],
        labelled: vec![0; count],
        correct: vec![0; count],
        predicted: vec![0; count],
        histogram: vec![Vec::new(); count],
        confused_with: vec![Vec::new(); count],
        measures: vec![Vec::new(); count],
    };
    for &(class, _) in &bundle.groups {
        if let Some(place) = table.measures.get_mut(class.index()) {
            *place = class_measures(bundle, class);
        }
    }
    for entry in named {
        if let Some(place) = table.external_id.get_mut(entry.class.index()) {
            place.clone_from(&entry.external_id);
        }
        if let Some(place) = table.synonyms.get_mut(entry.class.index()) {
            place.clone_from(&entry.synonyms);
        }
    }
    for of_class in class_predictions(bundle.questions.records()) {
        let columns = [
            (&mut table.images, of_class.accuracy.images),
            (&mut table.labelled, of_class.accuracy.labelled),
            (&mut table.correct, of_class.accuracy.top1),
            (&mut table.predicted, of_class.predicted),
        ];
        for (column, images) in columns {
            if let Some(place) = column.get_mut(of_class.class.index()) {
                *place = images;
            }
        }
    }
    add_histograms(&mut table, bundle.questions.records());
    for [label, prediction, images] in cells(bundle) {
        if label != prediction
            && let Some(list) = table.confused_with.get_mut(label as usize)
        {
            list.push([prediction, images]);
        }
    }
    for list in &mut table.confused_with {
        list.sort_by_key(|&[class, images]| (std::cmp::Reverse(images), class));
        list.truncate(CONFUSIONS_PER_CLASS);
    }
    table
}

fn add_histograms(table: &mut ClassTable, records: &[ImageRecord]) {
    for record in records {
        let histogram = record
            .label
            .and_then(|label| table.histogram.get_mut(label.index()));
        if let Some(histogram) = histogram {
            histogram.resize(PROBABILITY_BINS, 0);
            let bin = probability_bin(record.label_probability, PROBABILITY_BINS);
            if let Some(place) = histogram.get_mut(bin) {
                *place += 1;
            }
        }
    }
}

pub(crate) fn confusion_table(bundle: &Bundle) -> ConfusionTable {
    let mut table = ConfusionTable {
        schema_version: BUNDLE_SCHEMA_VERSION,
        ..ConfusionTable::default()
    };
    for [label, prediction, images] in cells(bundle) {
        table.label.push(label);
        table.prediction.push(prediction);
        table.images.push(images);
    }
    table
}

/// Labelled images by label and prediction: `[label, prediction, images]`.
fn cells(bundle: &Bundle) -> Vec<[u32; 3]> {
    let cells = confusion(bundle.questions.records()).into_iter();
    cells
        .filter_map(|cell| Some([cell.label?.0, cell.prediction.0, cell.images]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::short_names;

    #[test]
    fn short_names_are_what_differs() {
        let cases: [(&[&str], &[&str]); 4] = [
            (
                &["conv2/3x3_reduce", "conv2/3x3", "inception_3a/output"],
                &["conv2/3x3_reduce", "conv2/3x3", "inception_3a"],
            ),
            (&["conv1", "conv2"], &["conv1", "conv2"]),
            (&["/layer1/layer1.0/Relu_output_0"], &["layer1/layer1.0"]),
            (&["a", "a/b"], &["a", "a/b"]),
        ];
        for (names, expected) in cases {
            assert_eq!(short_names(names), expected, "{names:?}");
        }
    }
}
