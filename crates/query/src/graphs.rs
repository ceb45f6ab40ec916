//! Attribution graphs of groups and their comparison.

use crate::tables::cell_filters;
use crate::{QueryError, Questions, in_parallel};
use summit_explain::compare::Comparison;
use summit_explain::graph::{Measure, TOTALS_UNIT};
use summit_explain::slice::{Cell, CellCover};
use summit_explain::{
    BridgePlan, ConvMaxGraph, CountSum, Csr, GraphParameters, Group, GroupTables, TargetClass,
    channel_specificity, class_name, compare, conv_max_graph,
};
use summit_tables::{ConvInfo, ConvMaxCounts, Grouping, ImageId, InfluenceEntry, TopRule};

/// How graphs are made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GraphChoices {
    /// Scoring and selection; the rule of the counts is taken from the run.
    pub parameters: GraphParameters,
    /// Weight channels by how specific they are to classes.
    pub contrast: bool,
}

/// Runs the network again on a few images: conv-max counts are kept by confusion cell, so a group
/// that splits a cell needs them of single images.
pub trait Recount {
    /// conv-max counts of these images, one table per convolution that counted anything.
    ///
    /// # Errors
    /// One clause, for instance that the images are gone.
    fn recount(&self, images: &[ImageId]) -> Result<Vec<ConvMaxCounts>, String>;
}

/// For where the network is not at hand.
#[derive(Clone, Copy, Debug)]
pub struct NoRecount;

impl Recount for NoRecount {
    fn recount(&self, _: &[ImageId]) -> Result<Vec<ConvMaxCounts>, String> {
        Err("the network is not at hand here".to_owned())
    }
}

impl Questions {
    /// The `conv-max` graph of a group, with the tables it was made from.
    ///
    /// # Errors
    /// The run has no neuron influence; images cannot be run again; a table is damaged.
    pub fn graph(
        &self,
        group: &Group,
        choices: &GraphChoices,
        recount: &dyn Recount,
    ) -> Result<ConvMaxGraph, QueryError> {
        let influence = self.influence(group, recount)?;
        self.graph_of(group, &influence, group.size(), choices)
    }

    /// The graph of a group from what passes through its convolutions.
    ///
    /// * `weights`: per convolution `[outputs, inputs]`, in units of [`TOTALS_UNIT`].
    ///
    /// # Errors
    /// A table is damaged, or the weights are not of this network.
    pub fn totals_graph(
        &self,
        group: &Group,
        weights: &[Csr],
        choices: &GraphChoices,
    ) -> Result<ConvMaxGraph, QueryError> {
        let mut found = self.graph_of(group, weights, TOTALS_UNIT, choices)?;
        found.graph.measure = Measure::FlowTotals;
        Ok(found)
    }

    /// * `influence`: per convolution `[outputs, inputs]`.
    /// * `link`: the weight of what carries a channel on without a convolution.
    fn graph_of(
        &self,
        group: &Group,
        influence: &[Csr],
        link: u32,
        choices: &GraphChoices,
    ) -> Result<ConvMaxGraph, QueryError> {
        let counts = self.counts_of_layers(group)?;
        let info = self.run.model_info();
        let mut links = in_parallel(&info.blocks, |block| {
            let plan = BridgePlan::new(block, &info.convs)?;
            let bridged = plan.bridge(|conv| influence.get(conv.index()), link)?;
            Ok::<_, QueryError>(bridged.kept)
        })?;
        let logits = links.pop().ok_or(QueryError::NoLogits)?;
        let contrast = choices
            .contrast
            .then(|| self.specificity(choices))
            .transpose()?;
        let rows: Vec<&[u32]> = counts.iter().map(Vec::as_slice).collect();
        let targets = self.targets(group);
        let tables = GroupTables {
            layers: &info.layers,
            name: &group.name,
            images: group.size(),
            counts: &rows,
            targets: &targets,
            contrast: contrast.as_deref(),
        };
        let parameters = GraphParameters {
            top_rule: self.top_rule(),
            ..choices.parameters
        };
        let graph = conv_max_graph(&tables, &links, &logits, &parameters)?;
        Ok(ConvMaxGraph {
            graph,
            counts,
            links,
            logits,
        })
    }

    pub(crate) fn targets(&self, group: &Group) -> Vec<TargetClass> {
        let targets = group.targets.iter().map(|&class| TargetClass {
            class,
            name: class_name(self.classes(), class),
        });
        targets.collect()
    }

    /// Two groups compared.
    ///
    /// # Errors
    /// As for [`Questions::graph`].
    pub fn compare(
        &self,
        groups: [&Group; 2],
        choices: &GraphChoices,
        recount: &dyn Recount,
    ) -> Result<Comparison, QueryError> {
        let [first, second] = groups;
        let first = self.graph(first, choices, recount)?;
        let second = self.graph(second, choices, recount)?;
        Ok(compare(&first, &second)?)
    }

    /// How specific channels are to classes, per layer (docs/method.md section 4).
    fn specificity(&self, choices: &GraphChoices) -> Result<Vec<Vec<f64>>, QueryError> {
        let mass = choices.parameters.selection.start_threshold;
        let layers = self.layers().iter();
        layers
            .map(|layer| {
                let all = self.class_counts(Grouping::Label, layer.id)?;
                Ok(channel_specificity(&all, mass))
            })
            .collect()
    }

    /// The rule by which the run's top channels were chosen.
    #[must_use]
    pub fn top_rule(&self) -> TopRule {
        let rule = self.run.manifest().spec.parameters.get("top_rule");
        rule.and_then(|rule| serde_json::from_value(rule.clone()).ok())
            .unwrap_or_default()
    }

    /// Whether the run counted neuron influence, without which there are no graphs.
    #[must_use]
    pub fn has_influence(&self) -> bool {
        let influence = self.run.manifest().spec.parameters.get("influence");
        influence.is_some_and(|measure| !measure.is_null())
    }

    /// conv-max counts of a group, per convolution `[outputs, inputs]`, u32, images.
    ///
    /// # Errors
    /// As for [`Questions::graph`].
    pub fn influence(&self, group: &Group, recount: &dyn Recount) -> Result<Vec<Csr>, QueryError> {
        if !self.has_influence() {
            return Err(QueryError::NoInfluence(self.run.path().to_path_buf()));
        }
        let parts = Parts::new(&group.cover(&self.records));
        let recounted = |images: &[ImageId]| {
            if images.is_empty() {
                return Ok(Vec::new());
            }
            recount
                .recount(images)
                .map_err(|reason| QueryError::Recount {
                    images: images.len(),
                    reason,
                })
        };
        let added = recounted(&parts.added)?;
        let removed = recounted(&parts.removed)?;
        in_parallel(&self.run.model_info().convs, |conv| {
            let mut sum = CountSum::new(conv.outputs, conv.inputs)?;
            self.add_stored(conv, &parts.cells, &mut sum)?;
            for entry in of_conv(&added, conv) {
                sum.add(entry.output, entry.input, entry.count)?;
            }
            for entry in of_conv(&removed, conv) {
                sum.subtract(entry.output, entry.input, entry.count)?;
            }
            Ok(sum.finish()?)
        })
    }

    /// Adds the stored counts of whole cells.
    ///
    /// * `cells`: ascending.
    fn add_stored(
        &self,
        conv: &ConvInfo,
        cells: &[Cell],
        sum: &mut CountSum,
    ) -> Result<(), QueryError> {
        for filter in cell_filters(cells) {
            let mut added = Ok(());
            self.run.influence_by_cell(conv.id, filter, |cell| {
                if cells.binary_search(&(cell.label, cell.prediction)).is_ok() {
                    added = sum.add_columns(cell.outputs, cell.inputs, cell.counts);
                }
                added.is_ok()
            })?;
            added?;
        }
        Ok(())
    }
}

/// How the counts of a group are put together: whole cells, plus images, minus images.
#[derive(Debug, Default)]
struct Parts {
    cells: Vec<Cell>,
    added: Vec<ImageId>,
    removed: Vec<ImageId>,
}

impl Parts {
    /// Of a split cell, the fewer images are run again.
    fn new(cover: &CellCover) -> Self {
        let mut parts = Self {
            cells: cover.whole.clone(),
            ..Self::default()
        };
        for partial in &cover.partial {
            if partial.inside.len() <= partial.outside.len() {
                parts.added.extend(&partial.inside);
            } else {
                parts.cells.push(partial.cell);
                parts.removed.extend(&partial.outside);
            }
        }
        parts.cells.sort_unstable();
        parts.added.sort_unstable();
        parts.removed.sort_unstable();
        parts
    }
}

fn of_conv<'a>(
    tables: &'a [ConvMaxCounts],
    conv: &ConvInfo,
) -> impl Iterator<Item = &'a InfluenceEntry> + use<'a> {
    let id = conv.id;
    tables
        .iter()
        .filter(move |table| table.conv == id)
        .flat_map(|table| &table.entries)
}
