//! Groups of the golden cases: sums of R and E (method.md section 3.2), whatever the threads and the
//! order of the images.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

use npyz::npz::NpzArchive;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use summit_influence::{Explained, GroupFlow, GroupRequest, Images, Member, Subject, group_flow};
use summit_nn::flow::SignedMeasure;
use summit_nn::graph::ValueId;
use summit_nn::layers::find_layers;
use summit_nn::onnx::{LoadOptions, load};
use summit_tables::{ClassId, ImageId};

/// The golden README's tolerance: of the largest magnitude in the array.
const TOLERANCE: f64 = 1e-4;

fn shared() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("SUMMIT_SHARED").map_or_else(beside, PathBuf::from);
    if folder.join("golden").is_dir() {
        return Some(folder);
    }
    println!("skipped: ../shared absent");
    None
}

/// `[1, 3, H, W]` of each image.
struct Tensors(Vec<Vec<f32>>);

impl Images for Tensors {
    fn input(&self, image: ImageId) -> Result<Vec<f32>, String> {
        self.0
            .get(image.index())
            .cloned()
            .ok_or_else(|| "no such image".to_owned())
    }
}

fn tensor(path: &Path, description: &serde_json::Value) -> Vec<f32> {
    let image = image::open(path).unwrap().to_rgb8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    let number = |name: &str, channel: usize| {
        description["preprocessing"][name][channel]
            .as_f64()
            .unwrap()
    };
    let mut data = vec![0.0f32; 3 * height * width];
    for (x, y, pixel) in image.enumerate_pixels() {
        for channel in 0..3 {
            let value =
                (f64::from(pixel[channel]) - number("mean", channel)) / number("std", channel);
            data[(channel * height + y as usize) * width + x as usize] = value as f32;
        }
    }
    data
}

struct Expected(NpzArchive<BufReader<File>>);

impl Expected {
    fn doubles(&mut self, name: &str) -> Vec<f64> {
        self.0.by_name(name).unwrap().unwrap().into_vec().unwrap()
    }

    fn counts(&mut self, name: &str) -> Vec<u32> {
        self.0.by_name(name).unwrap().unwrap().into_vec().unwrap()
    }
}

fn close(found: f64, expected: f64, all: &[f64], what: &str) {
    let scale = all.iter().fold(1e-30, |m: f64, x| m.max(x.abs()));
    let off = (found - expected).abs() / scale;
    assert!(off <= TOLERANCE, "{what}: {found} and {expected}");
}

/// A group's sums against its rows of the expected arrays.
fn check(group: usize, found: &GroupFlow, names: &[String], expected: &mut Expected) {
    for (name, scores) in names.iter().zip(&found.scores) {
        let [sums, squares] =
            ["R_sum", "R_sumsq"].map(|kind| expected.doubles(&format!("{name}.{kind}")));
        for (channel, score) in scores.iter().enumerate() {
            let index = group * scores.len() + channel;
            close(score.sum(), sums[index], &sums, name);
            close(score.squares(), squares[index], &squares, name);
        }
    }
    for edge in &found.edges {
        let Some(from) = edge.from else { continue };
        let below = found.scores[edge.lower.index()].len();
        let above = found.scores.get(edge.lower.index() + 1).map_or(4, Vec::len);
        let upper = names
            .get(edge.lower.index() + 1)
            .map_or("logits", |name| name);
        let index = (group * above + edge.to.index()) * below + from.index();
        for (kind, value) in [
            ("E_sum", edge.effect.sum()),
            ("E_sumsq", edge.effect.squares()),
        ] {
            let all = expected.doubles(&format!("{upper}.{kind}"));
            close(value, all[index], &all, upper);
        }
        let counts = expected.counts(&format!("{upper}.E_top5_images"));
        assert_eq!(edge.top_images, counts[index], "{upper}: {edge:?}");
    }
}

/// The images behind each edge: those in which it is among the 5 largest of its upper end, which are no more than
/// are kept, with their own E.
fn check_examples(found: &GroupFlow, members: &[Member], names: &[String], own: &mut Expected) {
    let mut seen = 0;
    for upper in 1..=names.len() {
        let below = found.scores[upper - 1].len();
        let above = found.scores.get(upper).map_or(4, Vec::len);
        let effects = own.doubles(&format!("{}.E", names.get(upper).map_or("logits", |n| n)));
        let effect = |image: ImageId, to: usize, from: usize| {
            effects[(image.index() * above + to) * below + from]
        };
        let largest = |image: ImageId, to: usize| {
            let size = |from: &usize| effect(image, to, *from).abs();
            let mut order: Vec<usize> = (0..below).filter(|from| size(from) > 0.0).collect();
            order.sort_by(|l, r| size(r).total_cmp(&size(l)));
            order.truncate(5);
            order
        };
        for edge in found
            .edges
            .iter()
            .filter(|edge| edge.lower.index() + 1 == upper)
        {
            let Some(from) = edge.from else { continue };
            let (to, from) = (edge.to.index(), from.index());
            let rows = found.edge_examples.iter().filter(|example| {
                (
                    example.lower as usize + 1,
                    example.to as usize,
                    example.from as usize,
                ) == (upper, to, from)
            });
            let rows: Vec<_> = rows.collect();
            let mut images: Vec<ImageId> = rows.iter().map(|row| row.image).collect();
            images.sort_unstable();
            let mut wanted: Vec<ImageId> = members
                .iter()
                .map(|member| member.image)
                .filter(|&image| largest(image, to).contains(&from))
                .collect();
            wanted.sort_unstable();
            assert_eq!(images, wanted, "{edge:?}");
            assert!(rows.is_sorted_by(|l, r| l.effect.abs() >= r.effect.abs()));
            assert!((0..).zip(&rows).all(|(rank, row)| row.rank == rank));
            for row in &rows {
                close(
                    row.effect.into(),
                    effect(row.image, to, from),
                    &effects,
                    "E",
                );
            }
            seen += rows.len();
        }
    }
    assert_eq!(seen, found.edge_examples.len());
}

#[test]
fn groups_are_those_of_the_golden_files_for_any_threads_and_order() {
    let Some(shared) = shared() else { return };
    for case in ["inception-tiny", "resnet-tiny", "depthwise-tiny"] {
        let folder = shared.join("golden").join(case);
        let model = load(&folder.join("model.onnx"), &LoadOptions::default()).unwrap();
        let layers = find_layers(&model.graph);
        let values: Vec<ValueId> = layers.iter().map(|layer| layer.value).collect();
        let names: Vec<String> = layers.iter().map(|layer| layer.info.name.clone()).collect();
        let description: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
        let list = description["images"].as_array().unwrap();
        let tensors = list
            .iter()
            .map(|image| tensor(&folder.join(image["path"].as_str().unwrap()), &description));
        let tensors = Tensors(tensors.collect());
        let labels: Vec<u32> = list
            .iter()
            .map(|image| image["label"].as_u64().unwrap() as u32)
            .collect();
        let mut expected =
            Expected(NpzArchive::open(folder.join("expected/flow_groups.npz")).unwrap());
        let mut own = Expected(NpzArchive::open(folder.join("expected/flow.npz")).unwrap());
        for group in 0..4 {
            let mut members: Vec<Member> = (0..labels.len())
                .filter(|&image| labels[image] == group)
                .map(|image| Member {
                    image: ImageId::from_index(image),
                    explained: Explained::Margin(ClassId(group)),
                })
                .collect();
            let measure = |members: &[Member], threads: usize| {
                let subject = Subject {
                    graph: &model.graph,
                    layers: &values,
                    images: &tensors,
                    threads,
                };
                let request = GroupRequest {
                    name: case,
                    members,
                    measure: SignedMeasure::Flow,
                    mass: 1.0,
                };
                group_flow(&subject, &request).unwrap()
            };
            let found = measure(&members, 1);
            check(group as usize, &found, &names, &mut expected);
            check_examples(&found, &members, &names, &mut own);
            members.reverse();
            assert!(
                measure(&members, 3) == found,
                "{case}: threads or order can be seen"
            );
        }
    }
}
