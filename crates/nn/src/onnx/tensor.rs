//! Decoding of `TensorProto`: inline, raw and external data of every supported element type.
//!
//! Lengths are compared with the declared shape before anything is allocated, so that memory is
//! bounded by the bytes that are really there.

use super::error::{LoadError, Problem, invalid, unsupported};
use super::literal::{Elements, Literal, literal_count, to_extents};
use super::proto::{TensorProto, data_type};
use bytes::Bytes;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};
use std::sync::Arc;

/// Decodes one tensor. External data are looked for below `base_dir`; without one they are an
/// error.
pub(super) fn decode(tensor: &TensorProto, base_dir: Option<&Path>) -> Result<Literal, LoadError> {
    decode_elements(tensor, base_dir).map_err(|problem| match problem {
        Problem::Load(error) => error,
        Problem::Unsupported(reason) | Problem::Invalid(reason) => LoadError::Tensor {
            reason,
            name: tensor.name.clone(),
        },
    })
}

fn decode_elements(tensor: &TensorProto, base_dir: Option<&Path>) -> Result<Literal, Problem> {
    let shape = to_extents(&tensor.dims)?;
    let count = literal_count(&shape)?;
    let raw = match (tensor.data_location, &tensor.raw_data) {
        (0, raw) => raw.clone(),
        (1, _) => Some(external_bytes(tensor, count, base_dir)?),
        (location, _) => return invalid!("data location {location} does not exist"),
    };
    let elements = match raw {
        Some(raw) => decode_raw(tensor.data_type, &raw, count)?,
        None => decode_typed(tensor, count)?,
    };
    Ok(Literal { shape, elements })
}

fn element_bytes(data_type: i32) -> Result<usize, Problem> {
    match data_type {
        data_type::UINT8 | data_type::INT8 | data_type::BOOL => Ok(1),
        data_type::UINT16 | data_type::INT16 | data_type::FLOAT16 | data_type::BFLOAT16 => Ok(2),
        data_type::FLOAT | data_type::INT32 | data_type::UINT32 => Ok(4),
        data_type::DOUBLE | data_type::INT64 | data_type::UINT64 => Ok(8),
        _ => unsupported!("element type {data_type} is not supported"),
    }
}

fn decode_raw(kind: i32, raw: &[u8], count: usize) -> Result<Elements, Problem> {
    let size = element_bytes(kind)?;
    if count.checked_mul(size) != Some(raw.len()) {
        return invalid!(
            "{count} elements of {size} bytes are declared, {} bytes found",
            raw.len()
        );
    }
    fn words<const SIZE: usize, T>(raw: &[u8], decode: impl Fn([u8; SIZE]) -> T) -> Arc<[T]> {
        raw.as_chunks::<SIZE>()
            .0
            .iter()
            .map(|chunk| decode(*chunk))
            .collect()
    }
    Ok(match kind {
        data_type::FLOAT => Elements::Floats(words(raw, f32::from_le_bytes)),
        data_type::DOUBLE => Elements::Floats(words(raw, |word| f64::from_le_bytes(word) as f32)),
        data_type::FLOAT16 => {
            Elements::Floats(words(raw, |word| half_to_f32(u16::from_le_bytes(word))))
        }
        data_type::BFLOAT16 => {
            Elements::Floats(words(raw, |word| brain_to_f32(u16::from_le_bytes(word))))
        }
        data_type::BOOL => Elements::Bools(words(raw, |[byte]: [u8; 1]| byte != 0)),
        data_type::UINT8 => Elements::Ints(words(raw, |word| i64::from(u8::from_le_bytes(word)))),
        data_type::INT8 => Elements::Ints(words(raw, |word| i64::from(i8::from_le_bytes(word)))),
        data_type::UINT16 => Elements::Ints(words(raw, |word| i64::from(u16::from_le_bytes(word)))),
        data_type::INT16 => Elements::Ints(words(raw, |word| i64::from(i16::from_le_bytes(word)))),
        data_type::UINT32 => Elements::Ints(words(raw, |word| i64::from(u32::from_le_bytes(word)))),
        data_type::INT32 => Elements::Ints(words(raw, |word| i64::from(i32::from_le_bytes(word)))),
        data_type::UINT64 => Elements::Ints(words(raw, |word| saturate(u64::from_le_bytes(word)))),
        _ => Elements::Ints(words(raw, i64::from_le_bytes)),
    })
}

fn decode_typed(tensor: &TensorProto, count: usize) -> Result<Elements, Problem> {
    let found = match tensor.data_type {
        data_type::FLOAT => tensor.float_data.len(),
        data_type::DOUBLE => tensor.double_data.len(),
        data_type::INT64 => tensor.int64_data.len(),
        data_type::UINT32 | data_type::UINT64 => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    };
    element_bytes(tensor.data_type)?;
    if found != count {
        return invalid!("{count} elements are declared, {found} found");
    }
    // Sixteen-bit floats are stored as their bit pattern in the low half of an int32.
    let low_half = |word: i32| word as u16;
    let int32s = || tensor.int32_data.iter();
    Ok(match tensor.data_type {
        data_type::FLOAT => Elements::Floats(tensor.float_data.as_slice().into()),
        data_type::DOUBLE => {
            Elements::Floats(tensor.double_data.iter().map(|&x| x as f32).collect())
        }
        data_type::FLOAT16 => {
            Elements::Floats(int32s().map(|&x| half_to_f32(low_half(x))).collect())
        }
        data_type::BFLOAT16 => {
            Elements::Floats(int32s().map(|&x| brain_to_f32(low_half(x))).collect())
        }
        data_type::BOOL => Elements::Bools(int32s().map(|&x| x != 0).collect()),
        data_type::INT64 => Elements::Ints(tensor.int64_data.as_slice().into()),
        data_type::UINT32 | data_type::UINT64 => {
            Elements::Ints(tensor.uint64_data.iter().map(|&x| saturate(x)).collect())
        }
        _ => Elements::Ints(int32s().map(|&x| i64::from(x)).collect()),
    })
}

/// The largest `i64` stands for larger numbers: they only appear as "to the end" in slices.
fn saturate(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// IEEE 754 binary16 to binary32, exact.
fn half_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10 & 0x1f);
    let fraction = u32::from(bits & 0x3ff);
    match exponent {
        // Subnormal: fraction * 2^-24.
        0 => f32::from_bits(sign | (fraction as f32 * 2.0f32.powi(-24)).to_bits()),
        0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// bfloat16 to binary32, exact.
fn brain_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Reads the bytes an initialiser keeps in a file beside the model.
fn external_bytes(
    tensor: &TensorProto,
    count: usize,
    base_dir: Option<&Path>,
) -> Result<Bytes, Problem> {
    let entry = |key: &str| {
        let found = tensor.external_data.iter().find(|entry| entry.key == key);
        found.map(|entry| entry.value.as_str())
    };
    let number = |key: &str| match entry(key).map(str::parse::<u64>) {
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => invalid!("the {key} of the external data is no number"),
        None => Ok(None),
    };
    let Some(location) = entry("location") else {
        return invalid!("the external data have no location");
    };
    let needed = count
        .checked_mul(element_bytes(tensor.data_type)?)
        .map(|bytes| bytes as u64);
    let offset = number("offset")?.unwrap_or(0);
    let length = number("length")?;
    let Some(needed) = needed.filter(|&needed| length.is_none_or(|length| length == needed)) else {
        return invalid!("the length of the external data does not fit the shape");
    };
    // The folder of the model is as far as a model may look: no absolute path, no parent, and no
    // link that leads out of it.
    let relative = Path::new(location);
    if !relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return invalid!("the external data lie outside the model's folder");
    }
    let Some(base_dir) = base_dir else {
        return unsupported!("the data are external, but the model was not read from a folder");
    };
    let path = base_dir.join(relative);
    let read = |source: std::io::Error| LoadError::Read {
        path: path.clone(),
        source,
    };
    let folder = base_dir.canonicalize().map_err(read)?;
    let resolved = path.canonicalize().map_err(read)?;
    if !resolved.starts_with(&folder) {
        return invalid!("the external data lie outside the model's folder");
    }
    let mut file = std::fs::File::open(&resolved).map_err(read)?;
    let metadata = file.metadata().map_err(read)?;
    if !metadata.is_file()
        || offset
            .checked_add(needed)
            .is_none_or(|end| end > metadata.len())
    {
        return invalid!("the external data reach beyond the end of {location:?}");
    }
    file.seek(SeekFrom::Start(offset)).map_err(read)?;
    let mut bytes = Vec::new();
    file.take(needed).read_to_end(&mut bytes).map_err(read)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_exact_at_its_corners() {
        let table: [(u16, f32); 8] = [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3c00, 1.0),
            (0xc500, -5.0),
            (0x7bff, 65504.0),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, expected) in table {
            assert_eq!(half_to_f32(bits), expected, "{bits:#06x}");
        }
        assert!(half_to_f32(0x8000).is_sign_negative());
        assert!(half_to_f32(0x7e00).is_nan());
    }

    #[test]
    fn typed_and_raw_data_decode_alike() {
        let raw = |kind: i32, bytes: &[u8]| TensorProto {
            dims: vec![2],
            data_type: kind,
            raw_data: Some(Bytes::copy_from_slice(bytes)),
            ..TensorProto::default()
        };
        let half = TensorProto {
            dims: vec![2],
            data_type: data_type::FLOAT16,
            int32_data: vec![0x3c00, 0xc500],
            ..TensorProto::default()
        };
        let expected = Elements::Floats([1.0, -5.0].into());
        assert_eq!(decode(&half, None).unwrap().elements, expected);
        let twin = raw(data_type::FLOAT16, &[0x00, 0x3c, 0x00, 0xc5]);
        assert_eq!(decode(&twin, None).unwrap().elements, expected);
        let brain = raw(data_type::BFLOAT16, &[0x80, 0x3f, 0xa0, 0xc0]);
        assert_eq!(decode(&brain, None).unwrap().elements, expected);
        let signed = raw(data_type::INT8, &[0xff, 0x02]);
        assert_eq!(
            decode(&signed, None).unwrap().elements,
            Elements::Ints([-1, 2].into())
        );
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let tensor = TensorProto {
            name: "w".to_owned(),
            dims: vec![1 << 20, 1 << 20],
            data_type: data_type::FLOAT,
            raw_data: Some(Bytes::from_static(&[0; 4])),
            ..TensorProto::default()
        };
        assert!(
            decode(&tensor, None)
                .unwrap_err()
                .to_string()
                .contains("\"w\"")
        );
        let short = TensorProto {
            dims: vec![3],
            ..tensor
        };
        assert!(
            decode(&short, None)
                .unwrap_err()
                .to_string()
                .contains("4 bytes found")
        );
    }
}
