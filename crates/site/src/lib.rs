//! The contract with the browser, the HTTP server, the static export and the embedded interface.
//!
//! Place in the flow: last. A finished run goes in; the files of the *bundle* come out, each named by
//! a [`BundleFile`] and made on demand by [`Bundle::file`]. [`Server`] hands them to a browser,
//! [`export()`] writes all of them to a folder; both show the same interface.
//!
//! ```text
//! run ──▶ Bundle ──▶ BundleFile ──▶ JSON or JPEG ──┬─▶ server (one at a time, kept in memory)
//! images ──▶ crops ──┘                             └─▶ export (all of them)
//! ```
//!
//! An address never becomes a path of the file system: it is parsed into a [`BundleFile`] or refused.

pub mod annotations;
pub mod assets;
pub mod bundle;
mod edges;
pub mod error;
pub mod export;
mod features;
pub mod file;
mod graphs;
mod kept;
mod lazy;
pub mod live;
mod maps;
mod network;
mod order;
mod parts;
pub mod pictures;
pub mod run_images;
pub mod schema;
pub mod server;
mod source;
mod summary;

pub use annotations::Annotations;
pub use bundle::Bundle;
pub use error::SiteError;
pub use export::{ExportReport, export};
pub use features::{Painter, feature_sheet};
pub use file::BundleFile;
pub use kept::prepare;
pub use live::Live;
pub use network::{Network, Wanted};
pub use pictures::{Crops, Tell};
pub use run_images::RunImages;
pub use server::{ServeOptions, Server};
pub use source::{BundleSource, StaticBundle};
