//! The order of channels in all graphs of a run.
//!
//! Place in the flow: [`crate::bundle::Bundle`] places the channels of its graphs along it. It is made of the
//! graphs of some classes, and kept ([`crate::kept`]).

use crate::SiteError;
use crate::graphs::class_graph;
use crate::kept::{Place, keep, kept};
use crate::parts::choices;
use std::borrow::Cow;
use summit_explain::graph::ChannelOrder;
use summit_explain::{GroupSpec, class_name};
use summit_query::{NoRecount, Questions, in_parallel};
use summit_tables::Grouping;

/// Per layer the channels with a place, from left to right.
const PLACE: Place = Place {
    file: Cow::Borrowed("channel_order.json"),
    version: 1,
};

/// Classes whose graphs decide the order, about.
const ORDERED_CLASSES: usize = 16;

/// The order of channels in all graphs, so that it is the same for every class and measure: the one kept, or a
/// new one, which is kept.
pub(crate) fn order_of(questions: &Questions) -> Result<ChannelOrder, SiteError> {
    // Without it the graphs depend on more than the tables.
    let lasting = questions.has_influence();
    let found = lasting.then(|| kept::<Vec<_>>(questions.run(), &PLACE));
    if let Some(rows) = found.flatten()
        && rows.len() == questions.layers().len()
    {
        return Ok(ChannelOrder::from_rows(&rows));
    }
    let classes: Vec<_> = questions.class_sizes(Grouping::Label).into_keys().collect();
    // Evenly over the classes, so that a long list costs no more than a short one.
    let step = classes.len().div_ceil(ORDERED_CLASSES).max(1);
    let mut chosen: Vec<_> = classes.into_iter().step_by(step).collect();
    chosen.retain(|&class| {
        let name = class_name(questions.classes(), class);
        !questions.measures(&name, &[class]).is_empty()
    });
    let graphs = in_parallel(&chosen, |&class| {
        if lasting {
            // conv-max shows the most channels; a second measure would double the time.
            return class_graph(questions, class);
        }
        let group = questions.group_of(&GroupSpec::Label(class))?;
        Ok(questions.held_graph(&group, None, &choices(), &NoRecount)?)
    })?;
    let order = ChannelOrder::of(&graphs);
    if lasting {
        keep(questions.run(), &PLACE, order.rows());
    }
    Ok(order)
}
