//! Decoding and resizing against Pillow (values written by tools/reference/make_resize_cases.py).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers outside #[test] functions"
)]

mod support;

use serde::Deserialize;
use summit_images::{DecodeLimits, DecodedImage, InputShape, Preset, Resize, ResizeFilter, decode};

#[derive(Deserialize)]
struct ResizeCase {
    mode: String,
    width: u32,
    height: u32,
    short: u32,
    size: [u32; 2],
    filter: ResizeFilter,
    rgb: String,
}

#[derive(Deserialize)]
struct DecodeCase {
    file: String,
    width: u32,
    height: u32,
    lossy: bool,
    rgb: String,
}

/// The formula of the script.
fn synthetic(width: u32, height: u32, seed: u64) -> DecodedImage {
    let (columns, rows) = (u64::from(width), u64::from(height));
    let mut data = Vec::new();
    for y in 0..rows {
        for x in 0..columns {
            for c in 0..3 {
                let noise = ((x * 73_856_093) ^ (y * 19_349_663) ^ (c * 83_492_791) ^ seed) % 64;
                let ramp = (x * 191 / columns + y * (c + 1) * 60 / rows) % 192;
                data.push((ramp + noise) as u8);
            }
        }
    }
    DecodedImage::from_rgb(width, height, data).unwrap()
}

/// Largest and mean absolute difference.
fn differences(a: &[u8], b: &[u8]) -> (u8, f64) {
    assert_eq!(a.len(), b.len());
    let all = || a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = all().map(u64::from).sum();
    (all().max().unwrap(), sum as f64 / a.len() as f64)
}

#[test]
fn resizing_equals_pillow_within_one_level() {
    let text = std::fs::read_to_string(support::data("resize_cases.json")).unwrap();
    let cases: Vec<ResizeCase> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 13);
    let mut failures = Vec::new();
    for case in cases {
        let [height, width] = case.size;
        let mut preprocessing = Preset::Caffe.preprocessing(InputShape {
            channels: 3,
            height,
            width,
        });
        preprocessing.filter = case.filter;
        preprocessing.resize = match case.mode.as_str() {
            "squash" => Resize::Squash,
            _ => Resize::ShortSideCrop {
                short: case.short,
                keep_exact: false,
            },
        };
        let input = preprocessing
            .input_pixels(&synthetic(case.width, case.height, 7))
            .unwrap();
        let (largest, mean) = differences(input.data(), &support::base64(&case.rgb));
        println!(
            "{}x{} {preprocessing}: largest {largest}, mean {mean:.4}",
            case.width, case.height
        );
        if largest > 1 {
            failures.push(format!(
                "{}x{} {preprocessing}: {largest}",
                case.width, case.height
            ));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn decoding_equals_pillow() {
    let text = std::fs::read_to_string(support::data("decode/cases.json")).unwrap();
    let cases: Vec<DecodeCase> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 31);
    let mut failures = Vec::new();
    for case in cases {
        let bytes = std::fs::read(support::data("decode").join(&case.file)).unwrap();
        let image = match decode(&bytes, &DecodeLimits::default()) {
            Ok(image) => image,
            Err(error) => {
                failures.push(format!("{}: {error}", case.file));
                continue;
            }
        };
        if (image.width(), image.height()) != (case.width, case.height) {
            failures.push(format!("{}: {image:?}", case.file));
            continue;
        }
        let (largest, mean) = differences(image.data(), &support::base64(&case.rgb));
        println!("{}: largest {largest}, mean {mean:.4}", case.file);
        // Decoders of lossy formats may round their transforms differently; the rest is exact.
        let allowed = if case.lossy { (4, 0.6) } else { (0, 0.0) };
        if largest > allowed.0 || mean > allowed.1 {
            failures.push(format!("{}: largest {largest}, mean {mean:.4}", case.file));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
