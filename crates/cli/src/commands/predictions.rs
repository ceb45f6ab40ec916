//! `summit predictions`: what a group of images was taken for.

use crate::message;
use crate::query_args::{PredictionTable, PredictionsArgs, TableFormat};
use crate::table::{Entry, Table, format_of};
use anyhow::Result;
use std::process::ExitCode;
use summit_explain::class_name;
use summit_explain::predictions::{
    Accuracy, PROBABILITY_BINS, by_margin, calibration, confused_pairs, confusion,
    probability_histograms, worst_cell,
};
use summit_query::Questions;
use summit_tables::{ClassId, ImageRecord};

/// Rows shown in text unless asked otherwise.
const SHOWN: usize = 20;

pub fn run(args: &PredictionsArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let group = questions.group(&args.group)?;
    let members: Vec<ImageRecord> = questions.members(&group).cloned().collect();
    let name = |class: ClassId| class_name(questions.classes(), class);
    let mut table = match args.show {
        PredictionTable::Pairs => pairs(&members, name),
        PredictionTable::Confusion => cells(&members, name),
        PredictionTable::Histogram => histogram(&members),
        PredictionTable::Calibration => reliability(&members),
        PredictionTable::Images => images(&members, name),
    };
    let format = format_of(&args.table)?;
    if format == TableFormat::Text {
        let mut remarks = vec![summary(&group.name, &members)];
        if let Some(cell) = worst_cell(&confusion(&members)) {
            remarks.push(format!(
                "most often: {} taken for {}, {}",
                cell.label.map_or_else(String::new, name),
                name(cell.prediction),
                message::images(cell.images)
            ));
        }
        remarks.append(&mut table.remarks);
        table.remarks = remarks;
    }
    table.limit(args.limit, SHOWN, format);
    table.write(&args.table)?;
    Ok(ExitCode::SUCCESS)
}

fn summary(name: &str, members: &[ImageRecord]) -> String {
    let accuracy = Accuracy::of(members);
    let shares = match (accuracy.top1_share(), accuracy.top5_share()) {
        (Some(top1), Some(top5)) => {
            format!("top-1 {:.2} %, top-5 {:.2} %", 100.0 * top1, 100.0 * top5)
        }
        _ => "no labels".to_owned(),
    };
    format!("{name}: {}, {shares}", message::images(accuracy.images))
}

fn pairs(members: &[ImageRecord], name: impl Fn(ClassId) -> String) -> Table {
    let mut table = Table::new(&[
        "first",
        "second",
        "images",
        "first_as_second",
        "second_as_first",
        "first_class",
        "second_class",
    ]);
    for pair in confused_pairs(&confusion(members)) {
        table.rows.push(vec![
            name(pair.first).into(),
            name(pair.second).into(),
            pair.images().into(),
            pair.first_as_second.into(),
            pair.second_as_first.into(),
            pair.first.0.into(),
            pair.second.0.into(),
        ]);
    }
    table
}

fn cells(members: &[ImageRecord], name: impl Fn(ClassId) -> String) -> Table {
    let mut table = Table::new(&[
        "label",
        "prediction",
        "images",
        "label_class",
        "prediction_class",
    ]);
    let mut cells = confusion(members);
    // Stable: equal ones stay by class.
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.images));
    for cell in cells {
        table.rows.push(vec![
            cell.label
                .map_or(Entry::Missing, |label| name(label).into()),
            name(cell.prediction).into(),
            cell.images.into(),
            cell.label.map_or(Entry::Missing, |label| label.0.into()),
            cell.prediction.0.into(),
        ]);
    }
    table
}

/// Edges of a bin.
fn edges(bin: usize) -> [Entry; 2] {
    [bin, bin + 1].map(|edge| Entry::real(Some(edge as f64 / PROBABILITY_BINS as f64), 1))
}

fn histogram(members: &[ImageRecord]) -> Table {
    let histograms = probability_histograms(members);
    let mut table = Table::new(&["from", "to", "label_images", "prediction_images"]);
    table
        .remarks
        .push("images by the probability of their label, and of their prediction".to_owned());
    for (bin, (label, prediction)) in histograms
        .label
        .into_iter()
        .zip(histograms.prediction)
        .enumerate()
    {
        let [from, to] = edges(bin);
        table
            .rows
            .push(vec![from, to, label.into(), prediction.into()]);
    }
    table
}

fn reliability(members: &[ImageRecord]) -> Table {
    let calibration = calibration(members);
    let mut table = Table::new(&["from", "to", "images", "confidence", "accuracy"]);
    if let (Some(expected), Some(largest)) = (calibration.expected_error, calibration.largest_error)
    {
        table.remarks.push(format!(
            "expected calibration error {expected:.4}, largest {largest:.4}"
        ));
    }
    for (bin, found) in calibration.bins.into_iter().enumerate() {
        let [from, to] = edges(bin);
        table.rows.push(vec![
            from,
            to,
            found.images.into(),
            Entry::real(found.confidence, 3),
            Entry::real(found.accuracy, 3),
        ]);
    }
    table
}

fn images(members: &[ImageRecord], name: impl Fn(ClassId) -> String) -> Table {
    let mut table = Table::new(&[
        "margin",
        "path",
        "label",
        "prediction",
        "probability",
        "label_probability",
        "runner_up",
        "image",
    ]);
    for record in by_margin(members) {
        let probability = record.top_probabilities.first().map(|&p| f64::from(p));
        let of_label = record.label.map(|_| f64::from(record.label_probability));
        table.rows.push(vec![
            Entry::real(Some(f64::from(record.margin)), 2),
            record.path.as_str().into(),
            record
                .label
                .map_or(Entry::Missing, |label| name(label).into()),
            record
                .prediction()
                .map_or(Entry::Missing, |class| name(class).into()),
            Entry::real(probability, 3),
            Entry::real(of_label, 3),
            name(record.runner_up).into(),
            record.image.0.into(),
        ]);
    }
    table
}
