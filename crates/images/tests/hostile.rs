//! Files that are broken, oversized or not images at all: each becomes a sentence, none a panic,
//! none a wrong picture.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers outside #[test] functions"
)]

mod support;

use proptest::prelude::*;
use std::fs;
use summit_images::{
    DecodeError, DecodeLimits, ImageFolder, ImageSource, InputShape, Preset, ScanOptions, decode,
    load_and_preprocess,
};

const LIMITS: DecodeLimits = DecodeLimits {
    max_pixels: 100_000_000,
    max_memory_bytes: 1 << 30,
};

fn reference_files() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(support::data("decode"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension != "json")
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    assert_eq!(files.len(), 31);
    files
}

#[test]
fn a_truncated_file_is_an_error_or_the_whole_picture() {
    let mut failures = Vec::new();
    for (name, bytes) in reference_files() {
        let whole = decode(&bytes, &LIMITS).unwrap();
        let accepted = (0..bytes.len())
            .filter_map(|end| Some((end, decode(&bytes[..end], &LIMITS).ok()?)))
            .collect::<Vec<_>>();
        if let Some((end, _)) = accepted.iter().find(|(_, image)| *image != whole) {
            failures.push(format!(
                "{name}: cut to {end} of {} bytes gives another picture",
                bytes.len()
            ));
        }
        // Only bytes after the picture may be missing.
        if name.ends_with(".jpg") && name != "trailing-bytes.jpg" && !accepted.is_empty() {
            failures.push(format!("{name}: {} prefixes accepted", accepted.len()));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn oversized_headers_are_refused_before_decoding() {
    // The generator is right: a small picture of the same making decodes.
    for bits in [1, 8] {
        let image = decode(&support::black_png(300, 20, bits), &LIMITS).unwrap();
        assert_eq!((image.width(), image.height()), (300, 20));
        assert!(image.data().iter().all(|&level| level == 0));
    }
    let huge = support::black_png(20_000, 20_000, 1);
    let error = decode(&huge, &LIMITS).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the image is too large: 20000x20000 pixels, over the limit of 100 megapixels"
    );
    // The header of a JPEG likewise.
    let mut jpeg = fs::read(support::data("decode/progressive.jpg")).unwrap();
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC2])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
    assert!(matches!(
        decode(&jpeg, &LIMITS),
        Err(DecodeError::TooManyPixels { .. })
    ));
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0, 0, 0, 9]);
    assert!(matches!(decode(&jpeg, &LIMITS), Err(DecodeError::NoPixels)));
    let tight = DecodeLimits {
        max_memory_bytes: 1000,
        ..LIMITS
    };
    let error = decode(&support::black_png(300, 20, 8), &tight).unwrap_err();
    assert!(
        !matches!(error, DecodeError::DecoderPanicked { .. }),
        "{error}"
    );
}

#[test]
fn what_is_no_image_says_what_it_is() {
    struct Case {
        bytes: &'static [u8],
        says: &'static str,
    }
    let cases = [
        Case {
            bytes: b"",
            says: "empty",
        },
        Case {
            bytes: b"hello, I am not a picture",
            says: "looks like text",
        },
        Case {
            bytes: b"\n<HTML><body>404",
            says: "web page",
        },
        Case {
            bytes: b"\0\0\0\x18ftypheic\0\0",
            says: "HEIC",
        },
        Case {
            bytes: b"II*\0\x08\0\0\0",
            says: "TIFF",
        },
        Case {
            bytes: &[0; 100],
            says: "zeros",
        },
        Case {
            bytes: b"\xFF\xD8\xFF",
            says: "truncated",
        },
        Case {
            bytes: b"\xFF\xD8\xFF\xD9",
            says: "no frame header",
        },
        Case {
            bytes: b"\xFF\xD8\xFF\xE0\0\0\xFF\xD9",
            says: "impossible length",
        },
        Case {
            bytes: b"\x89PNG\r\n\x1a\n",
            says: "PNG",
        },
        Case {
            bytes: b"GIF89a",
            says: "GIF",
        },
        Case {
            bytes: b"BM",
            says: "BMP",
        },
        Case {
            bytes: b"RIFF\0\0\0\0WEBP",
            says: "WebP",
        },
    ];
    for case in cases {
        let sentence = decode(case.bytes, &LIMITS).unwrap_err().to_string();
        assert!(sentence.contains(case.says), "{:?}: {sentence}", case.bytes);
        assert!(!sentence.contains('\n'), "{sentence}");
    }
}

#[test]
fn a_folder_of_broken_images_leaves_the_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("mixed");
    fs::create_dir(&root).unwrap();
    let good = fs::read(support::data("decode/sampling-420.jpg")).unwrap();
    let files: [(&str, &[u8]); 7] = [
        ("a-good.jpg", &good),
        ("b-truncated.jpg", &good[..good.len() * 2 / 3]),
        ("c-empty.png", b""),
        ("d-text.jpg", b"not an image"),
        ("e-one-pixel.png", &support::black_png(1, 1, 8)),
        ("f-huge.png", &support::black_png(20_000, 20_000, 1)),
        // The content decides.
        ("g-png-inside.jpg", &support::black_png(7, 5, 8)),
    ];
    for (name, bytes) in files {
        fs::write(root.join(name), bytes).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", root.join("h-dangling.jpg")).unwrap();

    let source = ImageFolder::scan(folder.path(), &ScanOptions::default()).unwrap();
    let preprocessing = Preset::ImagenetTorch.preprocessing(InputShape {
        channels: 3,
        height: 16,
        width: 16,
    });
    let mut out = vec![0.0; preprocessing.output_len()];
    let mut kept = Vec::new();
    for item in &source.list().items {
        match load_and_preprocess(&source, item, &LIMITS, &preprocessing, &mut out) {
            Ok(meta) => kept.push((item.path.as_str(), meta.width, meta.height)),
            Err(reason) => println!("{}: {reason}", item.path),
        }
    }
    assert_eq!(
        kept,
        [
            ("mixed/a-good.jpg", 37, 29),
            ("mixed/e-one-pixel.png", 1, 1),
            ("mixed/g-png-inside.jpg", 7, 5)
        ]
    );
    #[cfg(unix)]
    assert_eq!(source.list().skipped[0].path, "mixed/h-dangling.jpg");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Changed bytes must never panic a decoder or take long; the picture may then be anything.
    #[test]
    fn damaged_files_never_panic(
        file in 0usize..31,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let files = reference_files();
        let mut bytes = files[file].1.clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let limits = DecodeLimits { max_pixels: 4_000_000, max_memory_bytes: 64 << 20 };
        let outcome = decode(&bytes, &limits);
        let panicked = matches!(outcome, Err(DecodeError::DecoderPanicked { .. }));
        prop_assert!(!panicked, "{}", files[file].0);
    }
}
