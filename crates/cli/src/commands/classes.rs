//! `summit classes`: the classes of a run.

use crate::message;
use crate::query_args::ClassesArgs;
use crate::table::{Entry, Table};
use anyhow::Result;
use std::process::ExitCode;
use summit_explain::predictions::{Accuracy, class_predictions};
use summit_explain::{class_key, class_name};
use summit_query::Questions;

pub fn run(args: &ClassesArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let mut table = Table::new(&[
        "class",
        "id",
        "name",
        "images",
        "labelled",
        "top1",
        "top5",
        "predicted",
        "precision",
        "mean_probability",
    ]);
    let all = Accuracy::of(questions.records().iter());
    table.remarks.push(format!(
        "{}, {} labelled{}",
        message::images(all.images),
        all.labelled,
        match (all.top1_share(), all.top5_share()) {
            (Some(top1), Some(top5)) => {
                format!(": top-1 {:.2} %, top-5 {:.2} %", 100.0 * top1, 100.0 * top5)
            }
            _ => String::new(),
        }
    ));
    let classes = questions.classes();
    for class in class_predictions(questions.records()) {
        // Classes that images were only mistaken for are in the confusion table.
        if class.accuracy.images == 0 {
            continue;
        }
        table.rows.push(vec![
            class.class.0.into(),
            class_key(classes, class.class).into(),
            class_name(classes, class.class).into(),
            class.accuracy.images.into(),
            class.accuracy.labelled.into(),
            Entry::real(class.accuracy.top1_share(), 3),
            Entry::real(class.accuracy.top5_share(), 3),
            class.predicted.into(),
            Entry::real(class.precision, 3),
            Entry::real(class.mean_probability, 3),
        ]);
    }
    table.write(&args.table)?;
    Ok(ExitCode::SUCCESS)
}
