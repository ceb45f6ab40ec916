//! Writes the types for the browser and tells when the committed ones are old.

use super::*;
use summit_explain::AttributionGraph;
use summit_explain::graph::{
    EdgeKind, GraphClass, GraphEdge, GraphGroup, GraphLayer, GraphNode, RecordedParameters,
    SecondNode, Side, SignedHeader,
};
use ts_rs::Config;

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../ui/src/data/generated/schema.ts"
);

fn declaration<T: TS>(config: &Config) -> String {
    format!("export {}\n", T::decl(config))
}

fn generated() -> String {
    let config = Config::default();
    let mut text =
        "// Written by `UPDATE_SCHEMA=1 cargo test -p summit-site schema`. Do not edit.\n\n"
            .to_owned();
    text += &format!("export const BUNDLE_SCHEMA_VERSION = {BUNDLE_SCHEMA_VERSION};\n");
    text += &format!(
        "export const GRAPH_SCHEMA_VERSION = {};\n\n",
        summit_explain::graph::GRAPH_SCHEMA_VERSION
    );
    for declaration in [
        declaration::<SiteManifest>(&config),
        declaration::<FaithfulnessFacts>(&config),
        declaration::<ModelFacts>(&config),
        declaration::<ImageFacts>(&config),
        declaration::<LayerFacts>(&config),
        declaration::<PictureFacts>(&config),
        declaration::<SkippedFacts>(&config),
        declaration::<ClassTable>(&config),
        declaration::<ConfusionTable>(&config),
        declaration::<EmbeddingFile>(&config),
        declaration::<EdgeImageFile>(&config),
        declaration::<SimilarityFile>(&config),
        declaration::<ActivationFile>(&config),
        declaration::<ActivationRow>(&config),
        declaration::<ImageFile>(&config),
        declaration::<CarrierFile>(&config),
        declaration::<InputFile>(&config),
        declaration::<FurtherInput>(&config),
        declaration::<PhotoFile>(&config),
        declaration::<PathFacts>(&config),
        declaration::<WhatIfQuestion>(&config),
        declaration::<WhatIfFile>(&config),
        declaration::<EffectFacts>(&config),
        declaration::<MaskFile>(&config),
        declaration::<ChannelFile>(&config),
        declaration::<ChannelExamples>(&config),
        declaration::<AnnotationFile>(&config),
        declaration::<Annotation>(&config),
        declaration::<LiveFile>(&config),
        declaration::<LivePhase>(&config),
        declaration::<Measure>(&config),
        declaration::<Estimate>(&config),
        declaration::<AttributionGraph>(&config),
        declaration::<GraphGroup>(&config),
        declaration::<SignedHeader>(&config),
        declaration::<RecordedParameters>(&config),
        declaration::<GraphLayer>(&config),
        declaration::<GraphNode>(&config),
        declaration::<SecondNode>(&config),
        declaration::<GraphEdge>(&config),
        declaration::<Side>(&config),
        declaration::<EdgeKind>(&config),
        declaration::<GraphClass>(&config),
    ] {
        text += &declaration;
        text += "\n";
    }
    text
}

#[test]
fn schema_for_the_browser_is_current() {
    let new = generated();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(FILE, &new).unwrap();
    }
    let old = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        old == new,
        "the browser's types are old: UPDATE_SCHEMA=1 cargo test -p summit-site schema"
    );
}
