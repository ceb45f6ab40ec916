//! Preprocessing as an ONNX file describes it in its metadata.
//!
//! Place in the flow: when a model is opened, from its `metadata_props`. There is no standard, so
//! the reading is tolerant: keys are compared without case, separators and prefixes, lists may be
//! written in any brackets, a value may itself be a JSON object (Hugging Face, timm), and the names
//! of ONNX's own image annotations are known. What was used and what could not be read is reported,
//! so that the user can see where a setting comes from. Linear in the metadata, values over 64 KiB
//! are not looked at.

use super::{
    ColorOrder, InputShape, Layout, Preprocessing, Preset, Resize, ResizeFilter, ValueRange,
    default_resize,
};
use std::collections::BTreeMap;

/// Longest value looked at, bytes.
const MAX_VALUE_BYTES: usize = 65_536;

/// One setting and the key it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSetting {
    /// What it sets: `mean`, `std`, `range`, `color`, `layout`, `resize` or `filter`.
    pub setting: &'static str,
    /// The key in the file; `key.inner` for a field of a JSON value.
    pub key: String,
    /// The value in the file.
    pub value: String,
}

/// What the metadata of a model says about its input.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataReading {
    /// Complete: what the file leaves open is filled in (see [`from_metadata`]).
    pub preprocessing: Preprocessing,
    /// What came from the file; empty where it says nothing.
    pub found: Vec<FoundSetting>,
    /// Assumptions made and values that could not be read, one sentence each.
    pub notes: Vec<String>,
}

/// Reads the metadata of a model whose input is `input`.
///
/// Filling in: without mean, std and range the result is [`Preset::ImagenetTorch`]; with one of
/// them, a missing mean is 0, a missing std 1, and a missing range is 0-1 where mean and std are at most 1
/// and 0-255 otherwise. Without a word on resizing, the usual short side and crop
/// (256 for 224), images of the input's size as they are.
#[must_use]
pub fn from_metadata(metadata: &BTreeMap<String, String>, input: InputShape) -> MetadataReading {
    let mut reading = Reading::new(input);
    for (key, value) in metadata {
        reading.read_property(key, value);
    }
    reading.finish()
}

/// Settings as they are found; later keys (sorted order) do not replace earlier ones.
struct Reading {
    input: InputShape,
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
    range: Option<ValueRange>,
    /// The range -1 to 1, which is a mean and a std.
    symmetric: bool,
    color: Option<ColorOrder>,
    layout: Option<Layout>,
    resize: Option<Resize>,
    filter: Option<ResizeFilter>,
    found: Vec<FoundSetting>,
    notes: Vec<String>,
}

impl Reading {
    fn new(input: InputShape) -> Self {
        Self {
            input,
            mean: None,
            std: None,
            range: None,
            symmetric: false,
            color: None,
            layout: None,
            resize: None,
            filter: None,
            found: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn read_property(&mut self, key: &str, value: &str) {
        if value.len() > MAX_VALUE_BYTES {
            return;
        }
        let trimmed = value.trim();
        if trimmed.starts_with('{')
            && describes_preprocessing(&plain_key(key))
            && let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(trimmed)
        {
            for (inner, field) in &fields {
                let text = match field {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                self.read_setting(&format!("{key}.{inner}"), &text);
            }
            return;
        }
        self.read_setting(key, trimmed);
    }

    fn read_setting(&mut self, key: &str, value: &str) {
        let name = plain_key(key);
        let text = value.trim().to_ascii_lowercase();
        let (setting, understood) = match name.as_str() {
            "mean" | "means" | "imagemean" | "inputmean" | "pixelmean" => {
                ("mean", set(&mut self.mean, three_numbers(&text)))
            }
            "std" | "stds" | "stddev" | "imagestd" | "inputstd" | "pixelstd" => {
                let std = three_numbers(&text).filter(|std| !std.contains(&0.0));
                ("std", set(&mut self.std, std))
            }
            "scale" | "range" | "valuerange" | "inputrange" | "pixelrange"
            | "nominalpixelrange" | "rescalefactor" => ("range", self.read_range(&text)),
            "color" | "colour" | "colororder" | "colormode" | "channelorder" | "inputcolor"
            | "colorspace" | "bitmappixelformat" => {
                ("color", set(&mut self.color, read_color(&text)))
            }
            "layout" | "dataformat" | "inputlayout" => {
                ("layout", set(&mut self.layout, read_layout(&text)))
            }
            "resize" | "resizemode" | "resizesize" | "shortside" | "croppct" => {
                let resize = read_resize(&name, &text, self.input);
                ("resize", set(&mut self.resize, resize))
            }
            "interpolation" | "resizefilter" | "resample" => {
                ("filter", set(&mut self.filter, read_filter(&text)))
            }
            _ => return,
        };
        if understood {
            self.found.push(FoundSetting {
                setting,
                key: key.to_owned(),
                value: value.to_owned(),
            });
        } else {
            let shown: String = value.chars().take(60).collect();
            self.notes.push(format!(
                "metadata `{}` = `{}` was not understood or repeats another key",
                key.escape_debug(),
                shown.escape_debug()
            ));
        }
    }

    fn read_range(&mut self, text: &str) -> bool {
        let squeezed: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && !"[](){}".contains(*c))
            .map(|c| if ",:;_~".contains(c) { '-' } else { c })
            .collect();
        let squeezed = squeezed.replace("..", "-").replace("to", "-");
        match squeezed.as_str() {
            "0-255" | "255" | "nominalrange-0-255" | "uint8" | "bytes" | "1" | "1.0" => {
                set(&mut self.range, Some(ValueRange::Bytes))
            }
            "0-1" | "0.0-1.0" | "unit" | "normalized-0-1" | "1/255" => {
                set(&mut self.range, Some(ValueRange::Unit))
            }
            "-1-1" | "--1-1" | "-1.0-1.0" | "normalized--1-1" | "normalized-1-1" => {
                self.symmetric = true;
                set(&mut self.range, Some(ValueRange::Bytes))
            }
            // rescale_factor: 1/255 written out.
            other => match other.parse::<f64>() {
                Ok(factor) if (factor * 255.0 - 1.0).abs() < 1e-3 => {
                    set(&mut self.range, Some(ValueRange::Unit))
                }
                _ => false,
            },
        }
    }

    fn finish(mut self) -> MetadataReading {
        let [height, width] = [self.input.height, self.input.width];
        let mut preprocessing = Preset::ImagenetTorch.preprocessing(self.input);
        if self.symmetric && self.mean.is_none() && self.std.is_none() {
            self.mean = Some([127.5; 3]);
            self.std = Some([127.5; 3]);
        }
        if self.mean.is_some() || self.std.is_some() || self.range.is_some() {
            let mean = self.mean.unwrap_or([0.0; 3]);
            let std = self.std.unwrap_or([1.0; 3]);
            preprocessing.mean = mean;
            preprocessing.std = std;
            preprocessing.range = self.range.unwrap_or_else(|| {
                let small = mean.iter().chain(&std).all(|value| value.abs() <= 1.0);
                let (range, words) = if small {
                    (ValueRange::Unit, "0-1")
                } else {
                    (ValueRange::Bytes, "0-255")
                };
                self.notes.push(format!(
                    "the metadata gives no pixel range; {words} is assumed from mean and std"
                ));
                range
            });
        } else {
            self.notes.push(format!(
                "the metadata gives no mean, std or pixel range; {} is assumed",
                Preset::ImagenetTorch
            ));
        }
        if self.input.channels == 3 {
            preprocessing.color = self
                .color
                .filter(|color| *color != ColorOrder::Grey)
                .unwrap_or(ColorOrder::Rgb);
        }
        preprocessing.layout = self.layout.unwrap_or_default();
        preprocessing.filter = self.filter.unwrap_or_default();
        preprocessing.resize = self.resize.unwrap_or_else(|| default_resize(height, width));
        if let Err(error) = preprocessing.validate() {
            self.notes
                .push(format!("{error}; the usual resizing is used instead"));
            preprocessing.resize = default_resize(height, width);
        }
        MetadataReading {
            preprocessing,
            found: self.found,
            notes: self.notes,
        }
    }
}

/// Fills an empty slot; false where there is nothing to fill it with or it is taken.
fn set<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    if slot.is_some() || value.is_none() {
        return false;
    }
    *slot = value;
    true
}

/// The last part of a dotted key, letters and digits only, lower case.
fn plain_key(key: &str) -> String {
    key.rsplit(['.', '/', ':'])
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .take(64)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Keys whose JSON value is a description.
fn describes_preprocessing(plain_key: &str) -> bool {
    plain_key.starts_with("preprocess")
        || [
            "pretrainedcfg",
            "transforms",
            "imageprocessor",
            "input",
            "normalization",
        ]
        .contains(&plain_key)
}

/// One or three finite numbers in any brackets and with any separators.
fn three_numbers(text: &str) -> Option<[f32; 3]> {
    let numbers: Vec<f32> = text
        .split(|c: char| !(c.is_ascii_digit() || "+-.e".contains(c)))
        .filter(|part| !part.is_empty())
        .take(4)
        .map(|part| part.parse::<f32>().ok().filter(|number| number.is_finite()))
        .collect::<Option<_>>()?;
    match *numbers.as_slice() {
        [one] => Some([one; 3]),
        [first, second, third] => Some([first, second, third]),
        _ => None,
    }
}

fn read_color(text: &str) -> Option<ColorOrder> {
    match text {
        "rgb" | "rgb8" | "srgb" => Some(ColorOrder::Rgb),
        "bgr" | "bgr8" => Some(ColorOrder::Bgr),
        "l" | "grey" | "gray" | "gray8" | "grayscale" | "greyscale" => Some(ColorOrder::Grey),
        _ => None,
    }
}

fn read_layout(text: &str) -> Option<Layout> {
    match text {
        "nchw" | "chw" | "channels_first" => Some(Layout::Nchw),
        "nhwc" | "hwc" | "channels_last" => Some(Layout::Nhwc),
        _ => None,
    }
}

fn read_filter(text: &str) -> Option<ResizeFilter> {
    // Numbers are Pillow's constants, which Hugging Face writes as `resample`.
    match text {
        "nearest" | "0" => Some(ResizeFilter::Nearest),
        "lanczos" | "1" => Some(ResizeFilter::Lanczos),
        "bilinear" | "linear" | "2" => Some(ResizeFilter::Bilinear),
        "bicubic" | "cubic" | "3" => Some(ResizeFilter::Bicubic),
        "box" | "4" => Some(ResizeFilter::Box),
        _ => None,
    }
}

/// `none`, `squash`, a short side in pixels, or timm's `crop_pct`.
fn read_resize(name: &str, text: &str, input: InputShape) -> Option<Resize> {
    let longest = input.height.max(input.width);
    let short_side = |short: u32| {
        (short >= longest).then_some(Resize::ShortSideCrop {
            short,
            keep_exact: true,
        })
    };
    if name == "croppct" {
        let share: f64 = text.parse().ok()?;
        let short = (f64::from(longest) / share).floor();
        // A share of 0 or NaN fails the range.
        return ((0.1..=1.0).contains(&share)).then(|| short_side(short as u32))?;
    }
    match text {
        "none" | "false" | "off" => Some(Resize::None),
        "squash" | "stretch" | "squish" | "exact" => Some(Resize::Squash),
        _ => short_side(text.parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: InputShape = InputShape {
        channels: 3,
        height: 224,
        width: 224,
    };

    fn read(pairs: &[(&str, &str)]) -> MetadataReading {
        let map = pairs
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        from_metadata(&map, INPUT)
    }

    #[test]
    fn reads_what_models_carry() {
        struct Case {
            name: &'static str,
            pairs: &'static [(&'static str, &'static str)],
            range: ValueRange,
            color: ColorOrder,
            mean: [f32; 3],
            std: [f32; 3],
            short: u32,
            found: usize,
        }
        let torch_mean = [0.485, 0.456, 0.406];
        let torch_std = [0.229, 0.224, 0.225];
        let cases = [
            Case {
                name: "plain keys",
                pairs: &[
                    ("mean", "123.675,116.28,103.53"),
                    ("std", "58.395,57.12,57.375"),
                    ("scale", "0-255"),
                    ("color", "RGB"),
                    ("layout", "NCHW"),
                    ("license", "MIT"),
                ],
                range: ValueRange::Bytes,
                color: ColorOrder::Rgb,
                mean: [123.675, 116.28, 103.53],
                std: [58.395, 57.12, 57.375],
                short: 256,
                found: 5,
            },
            Case {
                name: "nothing",
                pairs: &[("author", "x")],
                range: ValueRange::Unit,
                color: ColorOrder::Rgb,
                mean: torch_mean,
                std: torch_std,
                short: 256,
                found: 0,
            },
            Case {
                name: "timm",
                pairs: &[(
                    "pretrained_cfg",
                    r#"{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "crop_pct": 0.95}"#,
                )],
                range: ValueRange::Unit,
                color: ColorOrder::Rgb,
                mean: torch_mean,
                std: torch_std,
                short: 235,
                found: 3,
            },
            Case {
                name: "hugging face",
                pairs: &[
                    (
                        "preprocessor_config.json",
                        r#"{"image_mean": [0.5, 0.5, 0.5]}"#,
                    ),
                    (
                        "preprocessor",
                        r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 0.00392156862745098}"#,
                    ),
                ],
                range: ValueRange::Unit,
                color: ColorOrder::Rgb,
                mean: [0.5; 3],
                std: [0.5; 3],
                short: 256,
                found: 3,
            },
            Case {
                name: "onnx annotations",
                pairs: &[
                    ("Image.BitmapPixelFormat", "Bgr8"),
                    ("Image.NominalPixelRange", "NominalRange_0_255"),
                ],
                range: ValueRange::Bytes,
                color: ColorOrder::Bgr,
                mean: [0.0; 3],
                std: [1.0; 3],
                short: 256,
                found: 2,
            },
            Case {
                name: "symmetric",
                pairs: &[("range", "[-1, 1]")],
                range: ValueRange::Bytes,
                color: ColorOrder::Rgb,
                mean: [127.5; 3],
                std: [127.5; 3],
                short: 256,
                found: 1,
            },
            Case {
                name: "range from the mean",
                pairs: &[("mean", "[104 117 123]")],
                range: ValueRange::Bytes,
                color: ColorOrder::Rgb,
                mean: [104.0, 117.0, 123.0],
                std: [1.0; 3],
                short: 256,
                found: 1,
            },
        ];
        for case in cases {
            let reading = read(case.pairs);
            let preprocessing = &reading.preprocessing;
            let name = case.name;
            preprocessing.validate().unwrap();
            assert_eq!(preprocessing.range, case.range, "{name}");
            assert_eq!(preprocessing.color, case.color, "{name}");
            assert_eq!(preprocessing.mean, case.mean, "{name}");
            assert_eq!(preprocessing.std, case.std, "{name}");
            assert_eq!(
                preprocessing.resize,
                Resize::ShortSideCrop {
                    short: case.short,
                    keep_exact: true
                },
                "{name}"
            );
            assert_eq!(
                reading.found.len(),
                case.found,
                "{name}: {:?}",
                reading.found
            );
        }
    }

    #[test]
    fn nonsense_is_noted_and_never_used() {
        let nonsense = [
            ("mean", "1,2"),
            ("mean", "1e99,0,0"),
            ("mean", "abc"),
            ("std", "1,0,1"),
            ("scale", "7"),
            ("color", "purple"),
            ("layout", "CNWH"),
            ("resize", "10"),
            ("resize", "99999999999"),
            ("crop_pct", "0"),
            ("crop_pct", "nan"),
            ("interpolation", "\u{7}magic"),
        ];
        let untouched = read(&[]).preprocessing;
        for (key, value) in nonsense {
            let reading = read(&[(key, value)]);
            assert_eq!(reading.preprocessing, untouched, "{key}={value}");
            assert!(reading.found.is_empty(), "{key}={value}");
            assert!(reading.notes.len() >= 2, "{key}={value}");
        }
        let over = format!("{}{}", "[".repeat(70_000), "]".repeat(70_000));
        assert_eq!(read(&[("preprocess", &over)]).preprocessing, untouched);
        let deep = format!("{{\"mean\":{}", "[".repeat(60_000));
        assert_eq!(read(&[("preprocess", &deep)]).preprocessing, untouched);
        // Possible in itself but not for this input: falls back.
        let reading = read(&[("resize", "20000")]);
        assert_eq!(reading.preprocessing, untouched);
    }

    #[test]
    fn one_channel_networks_get_luma() {
        let input = InputShape {
            channels: 1,
            height: 28,
            width: 28,
        };
        let map = [("mean", "0.1307"), ("std", "0.3081"), ("color", "RGB")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let preprocessing = from_metadata(&map, input).preprocessing;
        assert_eq!(preprocessing.color, ColorOrder::Grey);
        assert_eq!(preprocessing.output_len(), 28 * 28);
        assert_eq!(preprocessing.mean, [0.1307; 3]);
    }
}
