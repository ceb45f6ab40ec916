//! Attribution graphs of classes, from a run's tables.
//!
//! Place in the flow: reads A and the conv-max counts of one class from `store`, hands them to
//! `explain`. Memory: the class's counts of all convolutions. Time: the row groups of the class.

use crate::SiteError;
use std::collections::BTreeMap;
use summit_explain::{
    AttributionGraph, BridgePlan, Csr, GraphParameters, GroupTables, NO_LABEL, SelectionParameters,
    TargetClass, cell_counts, conv_max_graph,
};
use summit_store::{CellFilter, Run, StoreError};
use summit_tables::{ClassEntry, ClassId, ConvMaxCounts, Grouping, ImageRecord, TopRule};

/// A class's name for people: its name, else its external id, else its number.
#[must_use]
pub fn class_name(classes: &[ClassEntry], class: ClassId) -> String {
    // Sorted by class, but a run need not name all of them.
    let entry = classes
        .binary_search_by_key(&class, |entry| entry.class)
        .ok()
        .and_then(|index| classes.get(index));
    match entry {
        Some(entry) if !entry.name.is_empty() => entry.name.clone(),
        Some(entry) if !entry.external_id.is_empty() => entry.external_id.clone(),
        _ => format!("class {}", class.0),
    }
}

/// The class an image counts for: its label, or its prediction where it has none or where images
/// are grouped by prediction.
#[must_use]
pub fn class_of(record: &ImageRecord, by_prediction: bool) -> Option<ClassId> {
    let prediction = record.top_classes.first().copied();
    if by_prediction {
        prediction
    } else {
        record.label.or(prediction)
    }
}

/// The rule a run's top channels were taken by.
#[must_use]
pub fn top_rule(run: &Run) -> TopRule {
    let parameters = &run.manifest().spec.parameters;
    parameters
        .get("top_rule")
        .and_then(|rule| serde_json::from_value(rule.clone()).ok())
        .unwrap_or_default()
}

/// Makes graphs from a run's tables.
#[derive(Debug)]
pub struct GraphMaker {
    plans: Vec<BridgePlan>,
    parameters: GraphParameters,
}

/// The class a graph is made for.
#[derive(Clone, Copy, Debug)]
pub struct ClassGroup<'a> {
    /// The class.
    pub class: ClassId,
    /// Its name.
    pub name: &'a str,
    /// Its images.
    pub images: u32,
    /// [`Grouping::Prediction`], or anything else for labels.
    pub grouping: Grouping,
}

impl ClassGroup<'_> {
    /// The cells of the confusion matrix the class is made of; they do not overlap.
    fn cells(&self) -> Vec<CellFilter> {
        let class = self.class.0;
        if self.grouping == Grouping::Prediction {
            return vec![CellFilter {
                label: None,
                prediction: Some(class),
            }];
        }
        vec![
            CellFilter {
                label: Some(class),
                prediction: None,
            },
            CellFilter {
                label: Some(NO_LABEL),
                prediction: Some(class),
            },
        ]
    }
}

impl GraphMaker {
    /// `start_threshold`: share of a layer's score at which selection starts.
    ///
    /// # Errors
    /// The run has no influence, or its blocks contradict its convolutions.
    pub fn new(run: &Run, selection: SelectionParameters) -> Result<Self, SiteError> {
        let influence = run.manifest().spec.parameters.get("influence");
        if influence.is_none_or(serde_json::Value::is_null) {
            return Err(SiteError::NoInfluence {
                run: run.path().to_owned(),
            });
        }
        let info = run.model_info();
        let plans = info
            .blocks
            .iter()
            .map(|block| BridgePlan::new(block, &info.convs))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            plans,
            parameters: GraphParameters {
                top_rule: top_rule(run),
                selection,
                ..GraphParameters::default()
            },
        })
    }

    /// The graph of one class of `run`, the run this was made for.
    ///
    /// # Errors
    /// A table is damaged or too large.
    pub fn graph(&self, run: &Run, group: &ClassGroup<'_>) -> Result<AttributionGraph, SiteError> {
        let info = run.model_info();
        let counts = activation_rows(run, group)?;
        let influence = influence_tables(run, group)?;
        let mut links = Vec::with_capacity(self.plans.len());
        for plan in &self.plans {
            links.push(
                plan.bridge(|conv| influence.get(conv.index()), group.images)?
                    .kept,
            );
        }
        let logits = links.pop().ok_or_else(|| SiteError::Absent {
            what: "block into its logits".to_owned(),
        })?;
        let counts: Vec<&[u32]> = counts.iter().map(Vec::as_slice).collect();
        let tables = GroupTables {
            layers: &info.layers,
            name: group.name,
            images: group.images,
            counts: &counts,
            targets: &[TargetClass {
                class: group.class,
                name: group.name.to_owned(),
            }],
        };
        Ok(conv_max_graph(&tables, &links, &logits, &self.parameters)?)
    }
}

/// A of one class, `[layers][channels]`, images.
///
/// # Errors
/// A table is damaged.
pub fn activation_rows(run: &Run, group: &ClassGroup<'_>) -> Result<Vec<Vec<u32>>, StoreError> {
    let cells = group.cells();
    let mut rows = Vec::with_capacity(run.model_info().layers.len());
    for layer in &run.model_info().layers {
        let mut row = vec![0u32; layer.channels as usize];
        for &cell in &cells {
            for entry in run.activation_counts(layer.id, cell)? {
                let entry = entry?;
                if let Some(count) = row.get_mut(entry.channel as usize) {
                    *count += entry.images;
                }
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

fn influence_tables(run: &Run, group: &ClassGroup<'_>) -> Result<Vec<Csr>, SiteError> {
    let cells = group.cells();
    let mut tables = Vec::with_capacity(run.model_info().convs.len());
    for conv in &run.model_info().convs {
        let mut entries = Vec::new();
        for &cell in &cells {
            for entry in run.influence(conv.id, cell)? {
                entries.push(entry?);
            }
        }
        let table = ConvMaxCounts {
            conv: conv.id,
            entries,
        };
        tables.push(cell_counts(&table, conv, |_, _| true)?);
    }
    Ok(tables)
}

/// Images per class, classes without images left out.
#[must_use]
pub fn class_sizes(images: &[ImageRecord], by_prediction: bool) -> BTreeMap<ClassId, u32> {
    let mut sizes = BTreeMap::new();
    for class in images
        .iter()
        .filter_map(|record| class_of(record, by_prediction))
    {
        *sizes.entry(class).or_default() += 1;
    }
    sizes
}
