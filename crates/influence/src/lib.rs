//! Signed influence of groups of images, how far it can be trusted, and what happens when channels
//! are changed.
//!
//! Place in the flow: `summarize` and `store` have made a run; here the network is run again on a
//! sample of its images. No file and no terminal: networks come compiled from `nn`, images through
//! the trait [`Images`].
//!
//! ```text
//! Subject (network, layers, images)
//!   ├─▶ group   : node scores R and edges E of one group (method.md section 3.2)
//!   ├─▶ ablate  : runs with channels replaced (section 3.3)
//!   │     ├─▶ evaluate : faithfulness of rankings and edges (section 7) ─▶ report (HTML)
//!   │     └─▶ whatif   : accuracy and confusion after a change
//!   └─▶ totals  : E of every pair of every convolution, summed over a class
//! ```
//!
//! Results do not depend on the number of threads: sums are taken in fixed point, lists in the order of
//! the images.

mod ablate;
mod carriers;
mod edges;
mod error;
pub mod evaluate;
mod fixed;
mod group;
mod parallel;
mod report;
mod sample;
mod score;
pub mod statistics;
mod subject;
pub mod totals;
pub mod whatif;

pub use ablate::{Ablation, Maps};
pub use error::InfluenceError;
pub use fixed::Moments;
pub use group::{GroupFlow, GroupRequest, MeasuredEdge, group_flow, group_scores};
pub use parallel::in_parallel;
pub use report::report_html;
pub use sample::{Half, half_of, order_of, sample};
pub use score::Explained;
pub use subject::{Images, Member, Subject};
