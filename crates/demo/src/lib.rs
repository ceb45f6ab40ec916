//! What the program brings along, so that it can be tried without any download: a small drawn world
//! with planted facts ([`world`]), a network trained on it, and SqueezeNet ([`networks`]).
//!
//! Place in the flow: in front of everything; `cli` alone uses it. Nothing here knows of the method.

pub mod networks;
pub mod world;
