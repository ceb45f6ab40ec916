//! Helpers of the integration tests: reference files, hand-made PNG files.
#![allow(dead_code)]

use std::path::PathBuf;

/// A file of `tests/data`.
pub fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path)
}

/// The evaluation data, or `None` (said aloud) where it is absent.
pub fn shared() -> Option<PathBuf> {
    let path = std::env::var_os("SUMMIT_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: ../shared absent");
    None
}

/// Standard base64 with padding.
pub fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut buffer, mut bits) = (0u32, 0);
    for character in text.bytes().filter(|&c| c != b'=') {
        let digit = alphabet.iter().position(|&c| c == character).unwrap() as u32;
        buffer = (buffer << 6) | digit;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
            buffer &= (1 << bits) - 1;
        }
    }
    bytes
}

fn crc32(parts: [&[u8]; 2]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in parts.into_iter().flatten() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], payload: &[u8]) {
    png.extend((payload.len() as u32).to_be_bytes());
    png.extend(kind);
    png.extend(payload);
    png.extend(crc32([kind, payload]).to_be_bytes());
}

/// A zlib stream of `length` (at least 1) zero bytes: one literal, then copies of 258 bytes, the rest as
/// literals; fixed Huffman codes, 13 bits a copy.
fn deflate_zeros(length: u64) -> Vec<u8> {
    struct Bits {
        bytes: Vec<u8>,
        buffer: u32,
        count: u32,
    }
    impl Bits {
        /// Least significant bit first; Huffman codes are given bit-reversed.
        fn push(&mut self, value: u32, count: u32) {
            self.buffer |= value << self.count;
            self.count += count;
            while self.count >= 8 {
                self.bytes.push(self.buffer as u8);
                self.buffer >>= 8;
                self.count -= 8;
            }
        }
    }
    let mut bits = Bits {
        bytes: vec![0x78, 0x01],
        buffer: 0,
        count: 0,
    };
    // Last block, fixed codes.
    bits.push(0b011, 3);
    // Literal 0 is 00110000.
    let literal = |bits: &mut Bits| bits.push(0b0000_1100, 8);
    literal(&mut bits);
    let rest = length - 1;
    for _ in 0..rest / 258 {
        // Length 258 is code 285: 11000101; distance 1 is code 0: 00000.
        bits.push(0b1010_0011, 8);
        bits.push(0, 5);
    }
    for _ in 0..rest % 258 {
        literal(&mut bits);
    }
    // End of block: 0000000; then to the next byte.
    bits.push(0, 7);
    bits.push(0, 7);
    let mut bytes = bits.bytes;
    let adler = (((length % 65_521) as u32) << 16) | 1;
    bytes.extend(adler.to_be_bytes());
    bytes
}

/// A valid black PNG; `bits` 1 (bilevel) or 8 (RGB).
pub fn black_png(width: u32, height: u32, bits: u8) -> Vec<u8> {
    let (color_type, row_bytes) = match bits {
        1 => (0, u64::from(width).div_ceil(8)),
        _ => (2, u64::from(width) * 3),
    };
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([bits, color_type, 0, 0, 0]);
    chunk(&mut png, b"IHDR", &header);
    chunk(
        &mut png,
        b"IDAT",
        &deflate_zeros((row_bytes + 1) * u64::from(height)),
    );
    chunk(&mut png, b"IEND", b"");
    png
}
