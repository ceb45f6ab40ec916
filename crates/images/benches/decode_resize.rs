//! Decode and resize throughput on one thread: a 500x375 JPEG to a 224x224 input.
//!
//! `cargo bench -p summit-images`; elements per second are images per second.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use summit_images::{DecodeLimits, DecodedImage, InputShape, Preset, decode, encode_jpeg};

/// Smooth shapes with some texture, so that the JPEG has a photograph's size (about 60 kB).
fn photograph(width: u32, height: u32) -> DecodedImage {
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (fx, fy) = (f64::from(x), f64::from(y));
            let noise = f64::from((x * 1_103_515_245 + y * 12_345 + x * y * 7) >> 3 & 31);
            for phase in [0.0, 1.0, 2.0] {
                let wave = 60.0 * (fx * 0.03 + phase).sin() + 50.0 * (fy * 0.05 - phase).cos();
                data.push((110.0 + wave + noise).clamp(0.0, 255.0) as u8);
            }
        }
    }
    match DecodedImage::from_rgb(width, height, data) {
        Some(image) => image,
        None => unreachable!("the buffer has the size asked for"),
    }
}

fn benchmark(criterion: &mut Criterion) {
    let limits = DecodeLimits::default();
    let shape = InputShape {
        channels: 3,
        height: 224,
        width: 224,
    };
    let preprocessing = Preset::ImagenetTorch.preprocessing(shape);
    let original = photograph(500, 375);
    let Ok(bytes) = encode_jpeg(&original, 90) else {
        return;
    };
    let mut out = vec![0.0; preprocessing.output_len()];
    let mut group = criterion.benchmark_group(format!("500x375 JPEG of {} bytes", bytes.len()));
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| decode(black_box(&bytes), &limits));
    });
    group.bench_function("resize and normalise", |bencher| {
        bencher.iter(|| preprocessing.apply(black_box(&original), &mut out));
    });
    group.bench_function("decode, resize and normalise", |bencher| {
        bencher.iter(|| {
            let image = decode(black_box(&bytes), &limits)?;
            preprocessing.apply(&image, &mut out).ok();
            Ok::<_, summit_images::DecodeError>(image.width())
        });
    });
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
