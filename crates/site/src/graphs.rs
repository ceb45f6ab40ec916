//! conv-max graphs of classes.
//!
//! Place in the flow: [`crate::bundle::Bundle`] asks for those of whole classes, `query` makes them. Adding up a class's
//! counts takes a tenth of a second where it has hundreds of images, so they are kept ([`crate::kept`]).

use crate::SiteError;
use crate::kept::{Place, keep, kept};
use crate::parts::choices;
use summit_explain::{AttributionGraph, GroupSpec};
use summit_query::{NoRecount, Questions};
use summit_tables::ClassId;

/// Of the graphs, and of the rules they are made by (docs/method.md, "conv-max influence" and "Attribution graph").
const VERSION: u32 = 1;

/// The graph of all images of a class: the one kept, or a new one, which is kept.
///
/// # Errors
/// The class has no images; the run has no neuron influence; a table is damaged.
pub(crate) fn class_graph(
    questions: &Questions,
    class: ClassId,
) -> Result<AttributionGraph, SiteError> {
    let place = Place {
        file: format!("class_graphs/{}.json", class.0).into(),
        version: VERSION,
    };
    let found = kept::<AttributionGraph>(questions.run(), &place);
    if let Some(graph) = found.filter(|graph| graph.check().is_ok()) {
        return Ok(graph);
    }
    let group = questions.group_of(&GroupSpec::Label(class))?;
    let graph = questions.graph(&group, &choices(), &NoRecount)?.graph;
    keep(questions.run(), &place, &graph);
    Ok(graph)
}
