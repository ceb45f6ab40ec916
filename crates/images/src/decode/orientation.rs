//! EXIF orientation: found in the raw EXIF block and undone.
//!
//! Place in the flow: last step of [`super::decode()`]. Only the one tag is read, by hand, so that no
//! part of a hostile EXIF block but the first directory is ever looked at. `[h, w, 3]` in, the same
//! or `[w, h, 3]` out; linear, one copy unless already upright.

use super::DecodedImage;

/// Most directory entries looked at; cameras write some dozens.
const MAX_ENTRIES: usize = 4096;
/// EXIF tag "Orientation".
const ORIENTATION_TAG: u16 = 0x0112;

/// How the stored rows and columns lie in the upright picture (EXIF values 1 to 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orientation(u8);

impl Orientation {
    /// Stored upright.
    pub(super) const UPRIGHT: Self = Self(1);

    /// From a raw EXIF block (a TIFF header, with or without the leading `Exif\0\0`). Upright where
    /// it says nothing or nonsense: a bad orientation is no reason to lose an image.
    pub(super) fn from_exif(block: &[u8]) -> Self {
        let tiff = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
        find_orientation(tiff)
            .filter(|value| (1..=8).contains(value))
            .map_or(Self::UPRIGHT, Self)
    }

    /// The picture upright.
    pub(super) fn apply(self, image: DecodedImage) -> DecodedImage {
        if self == Self::UPRIGHT {
            return image;
        }
        let DecodedImage {
            width,
            height,
            data,
        } = image;
        let (columns, rows) = (width as usize, height as usize);
        let transposed = self.0 >= 5;
        let (new_columns, new_rows) = if transposed {
            (rows, columns)
        } else {
            (columns, rows)
        };
        let mut upright = Vec::with_capacity(data.len());
        for y in 0..new_rows {
            for x in 0..new_columns {
                // (row, column) in the stored picture of the upright pixel (y, x).
                let (row, column) = match self.0 {
                    2 => (y, columns - 1 - x),
                    3 => (rows - 1 - y, columns - 1 - x),
                    4 => (rows - 1 - y, x),
                    5 => (x, y),
                    6 => (rows - 1 - x, y),
                    7 => (rows - 1 - x, columns - 1 - y),
                    8 => (x, columns - 1 - y),
                    _ => (y, x),
                };
                let start = (row * columns + column) * 3;
                upright.extend_from_slice(data.get(start..start + 3).unwrap_or(&[0; 3]));
            }
        }
        DecodedImage {
            width: new_columns as u32,
            height: new_rows as u32,
            data: upright,
        }
    }
}

/// The orientation entry of the first directory of a TIFF block.
fn find_orientation(tiff: &[u8]) -> Option<u8> {
    let little_endian = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| -> Option<u16> {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little_endian {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let offset_bytes: [u8; 4] = tiff.get(4..8)?.try_into().ok()?;
    let directory = if little_endian {
        u32::from_le_bytes(offset_bytes)
    } else {
        u32::from_be_bytes(offset_bytes)
    } as usize;
    let entries = usize::from(u16_at(directory)?).min(MAX_ENTRIES);
    (0..entries)
        .map_while(|entry| directory.checked_add(2 + entry * 12))
        .find(|&at| u16_at(at) == Some(ORIENTATION_TAG))
        .and_then(|at| u16_at(at.checked_add(8)?))
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif(value: u16, big_endian: bool) -> Vec<u8> {
        let mut block = b"Exif\0\0".to_vec();
        let mut push = |bytes: &[u8]| block.extend_from_slice(bytes);
        if big_endian {
            push(b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01");
            push(&value.to_be_bytes());
        } else {
            push(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0");
            push(&value.to_le_bytes());
        }
        push(&[0, 0, 0, 0, 0, 0]);
        block
    }

    #[test]
    fn reads_both_byte_orders_and_ignores_nonsense() {
        for big_endian in [false, true] {
            for value in 1..=8u16 {
                let block = exif(value, big_endian);
                assert_eq!(Orientation::from_exif(&block), Orientation(value as u8));
                for end in 0..block.len() {
                    // No prefix may panic.
                    let _ = Orientation::from_exif(&block[..end]);
                }
            }
            for value in [0, 9, 256, 65535] {
                assert_eq!(
                    Orientation::from_exif(&exif(value, big_endian)),
                    Orientation::UPRIGHT
                );
            }
        }
    }

    #[test]
    fn turns_a_two_by_three_picture() {
        // Stored rows: "ab", "cd", "ef" (2 columns, 3 rows).
        struct Case {
            value: u8,
            width: u32,
            upright: &'static str,
        }
        let cases = [
            Case {
                value: 1,
                width: 2,
                upright: "abcdef",
            },
            Case {
                value: 2,
                width: 2,
                upright: "badcfe",
            },
            Case {
                value: 3,
                width: 2,
                upright: "fedcba",
            },
            Case {
                value: 4,
                width: 2,
                upright: "efcdab",
            },
            Case {
                value: 5,
                width: 3,
                upright: "acebdf",
            },
            Case {
                value: 6,
                width: 3,
                upright: "ecafdb",
            },
            Case {
                value: 7,
                width: 3,
                upright: "fdbeca",
            },
            Case {
                value: 8,
                width: 3,
                upright: "bdface",
            },
        ];
        for case in cases {
            let data = b"abcdef".iter().flat_map(|&b| [b; 3]).collect();
            let image = DecodedImage::from_rgb(2, 3, data).unwrap();
            let turned = Orientation(case.value).apply(image);
            let letters: Vec<u8> = turned.data().iter().copied().step_by(3).collect();
            assert_eq!(turned.width(), case.width, "orientation {}", case.value);
            assert_eq!(
                letters,
                case.upright.as_bytes(),
                "orientation {}",
                case.value
            );
        }
    }
}
