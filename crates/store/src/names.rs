//! Names of layers and convolutions as parts of paths, reversibly.
//!
//! Letters, digits, `_`, `-` and `.` stand for themselves, every other byte becomes `%XX`: what
//! polars, DuckDB and pyarrow undo when they read a hive-partitioned folder. A name that would
//! exceed what file systems allow is cut and closed by `~` and 16 digits of its SHA-256; `~` itself
//! is always encoded, so that the two never meet.

use crate::durable::sha256_of_text;

/// Longest encoded name, in bytes; file systems allow 255 for the whole component.
const LONGEST_BYTES: usize = 200;
/// How much of a longer name is kept.
const KEPT_BYTES: usize = 150;

/// Encodes a name for use in a path.
///
/// ```
/// assert_eq!(summit_store::encode_name("stem/relu:0"), "stem%2Frelu%3A0");
/// ```
#[must_use]
pub fn encode_name(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    if encoded.len() > LONGEST_BYTES {
        // Everything is ASCII, so any cut is a character boundary.
        encoded.truncate(KEPT_BYTES);
        encoded.push('~');
        encoded.extend(sha256_of_text(name).chars().take(16));
    }
    encoded
}

/// Undoes [`encode_name`]. `None` for a shortened name and for text it never produces.
#[must_use]
pub fn decode_name(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            _ if byte.is_ascii_alphanumeric() || b"_-.".contains(&byte) => bytes.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_become_single_path_components() {
        struct Case {
            name: &'static str,
            encoded: &'static str,
        }
        let cases = [
            Case {
                name: "conv1",
                encoded: "conv1",
            },
            Case {
                name: "/features/0/Conv",
                encoded: "%2Ffeatures%2F0%2FConv",
            },
            Case {
                name: "a=b",
                encoded: "a%3Db",
            },
            Case {
                name: "50%",
                encoded: "50%25",
            },
            Case {
                name: "~",
                encoded: "%7E",
            },
            Case {
                name: "é",
                encoded: "%C3%A9",
            },
        ];
        let wrong: Vec<_> = cases
            .iter()
            .map(|case| (case.name, encode_name(case.name), case.encoded))
            .filter(|(_, found, wanted)| found != wanted)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn long_names_differ_and_fit() {
        let first = encode_name(&"x".repeat(500));
        let second = encode_name(&"x".repeat(501));
        assert!(first.len() <= LONGEST_BYTES && first != second);
        assert_eq!(decode_name(&first), None);
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(name in "\\PC{0,16}") {
            prop_assert_eq!(decode_name(&encode_name(&name)), Some(name));
        }
    }
}
