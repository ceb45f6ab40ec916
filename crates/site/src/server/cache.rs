//! Files made so far, in memory, the oldest dropped beyond a limit.

use crate::BundleFile;
use axum::body::Bytes;
use brotli::BrotliCompress;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes kept.
const LIMIT_BYTES: usize = 256 << 20;

/// Smaller answers are not worth compressing.
const SMALLEST_COMPRESSED: usize = 512;

/// Of 0 to 11: smaller than gzip's in about its time.
const BROTLI_QUALITY: i32 = 5;

/// A file ready to be sent.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) bytes: Bytes,
    /// The same compressed, by content coding, best first; only what makes it smaller.
    pub(super) compressed: Vec<(&'static str, Bytes)>,
    /// Quoted hash of the content.
    pub(super) etag: String,
    pub(super) content_type: &'static str,
}

impl Entry {
    pub(super) fn new(bytes: Vec<u8>, content_type: &'static str) -> Self {
        let hash = Sha256::digest(&bytes);
        let digits: String = hash
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let compressible = !matches!(content_type, "image/jpeg" | "font/woff2");
        let codings: &[Coding] = if compressible && bytes.len() >= SMALLEST_COMPRESSED {
            &[("br", brotli), ("gzip", gzip)]
        } else {
            &[]
        };
        let compressed = codings
            .iter()
            .filter_map(|(coding, compress)| Some((*coding, Bytes::from(compress(&bytes)?))))
            .filter(|(_, made)| made.len() < bytes.len())
            .collect();
        Self {
            compressed,
            bytes: Bytes::from(bytes),
            // Weak: the compressed and the plain form share it.
            etag: format!("W/\"{digits}\""),
            content_type,
        }
    }

    fn size(&self) -> usize {
        let compressed = self.compressed.iter().map(|(_, bytes)| bytes.len());
        self.bytes.len() + compressed.sum::<usize>()
    }
}

/// Name of a content coding, and what compresses.
type Coding = (&'static str, fn(&[u8]) -> Option<Vec<u8>>);

fn brotli(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut made = Vec::new();
    let parameters = BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        ..BrotliEncoderParams::default()
    };
    BrotliCompress(&mut &*bytes, &mut made, &parameters).ok()?;
    Some(made)
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

#[derive(Default)]
struct Kept {
    entries: HashMap<BundleFile, Arc<Entry>>,
    order: VecDeque<BundleFile>,
    bytes: usize,
}

/// Shared by all requests.
#[derive(Default)]
pub(super) struct Cache {
    kept: Mutex<Kept>,
}

impl Cache {
    pub(super) fn get(&self, file: BundleFile) -> Option<Arc<Entry>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entries.get(&file).cloned()
    }

    pub(super) fn put(&self, file: BundleFile, entry: &Arc<Entry>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.entries.insert(file, Arc::clone(entry)).is_none() {
            kept.order.push_back(file);
            kept.bytes += entry.size();
        }
        while kept.bytes > LIMIT_BYTES
            && let Some(oldest) = kept.order.pop_front()
        {
            if let Some(dropped) = kept.entries.remove(&oldest) {
                kept.bytes -= dropped.size();
            }
        }
    }
}
