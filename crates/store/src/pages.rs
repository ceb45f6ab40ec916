//! Looks at the page headers of a Parquet file before anything is decoded.
//!
//! A page header states how large the page will be once decompressed and how many values it
//! holds; decoders allocate what it says. Here every header is held against what the writer of this
//! crate produces: data pages of version 1, plain or delta encoding, at most [`LARGEST_PAGE_BYTES`].
//! Those encodings cannot expand a page, so that memory stays bounded whatever the file claims.
//! Cost: one short read per page (a page holds up to 20,000 values), nothing is decompressed.
//!
//! Headers are Thrift structures in the compact protocol (parquet-format, `PageHeader`).

use parquet::file::metadata::ColumnChunkMetaData;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// Largest decompressed page accepted. A page is closed at 1 MiB, checked every 1024 rows of at
/// most 16 KiB.
pub(crate) const LARGEST_PAGE_BYTES: u64 = 32 << 20;
/// Most values accepted in one page.
const LARGEST_PAGE_VALUES: u64 = 1 << 20;
/// Most values accepted in one column of a row group: lists of 5 with room to spare. Bounds the
/// lists of a batch, whose pages may be many.
const LARGEST_CHUNK_VALUES: u64 = 8 << 20;
/// Longest page header accepted; those written here have about 30 bytes.
const LONGEST_HEADER_BYTES: u64 = 1024;
/// Nesting a header may have.
const DEEPEST: u8 = 4;

const DATA_PAGE: i64 = 0;
const PLAIN: i64 = 0;
const DELTA_BINARY_PACKED: i64 = 5;

/// Checks all page headers of a column chunk; the error is one sentence.
pub(crate) fn check_chunk(file: &mut File, chunk: &ColumnChunkMetaData) -> Result<(), String> {
    if chunk.dictionary_page_offset().is_some() {
        return Err("a column has a dictionary".to_owned());
    }
    let offset = u64::try_from(chunk.data_page_offset()).map_err(|_| "a negative offset")?;
    let length = u64::try_from(chunk.compressed_size()).map_err(|_| "a negative size")?;
    let end = offset
        .checked_add(length)
        .ok_or("an offset beyond the file")?;
    if end > file.metadata().map_err(|error| error.to_string())?.len() {
        return Err("a column lies beyond the end of the file".to_owned());
    }
    let (mut position, mut values) = (offset, 0_u64);
    while position < end {
        let header = read_header(file, position)?;
        header.check()?;
        values += header.values;
        if values > LARGEST_CHUNK_VALUES {
            return Err("a column has too many values in a row group".to_owned());
        }
        // Both are far below 2^63: a length in bytes and a 32-bit size.
        position += header.length + header.compressed;
        if position > end {
            return Err("a page lies beyond its column".to_owned());
        }
    }
    Ok(())
}

/// What is needed of a page header.
#[derive(Debug, Default, PartialEq)]
struct PageHeader {
    /// Bytes of the header itself.
    length: u64,
    kind: Option<i64>,
    uncompressed: u64,
    compressed: u64,
    values: u64,
    encoding: Option<i64>,
}

impl PageHeader {
    fn check(&self) -> Result<(), String> {
        if self.kind != Some(DATA_PAGE) {
            return Err("a page is of an unexpected kind".to_owned());
        }
        if self.uncompressed > LARGEST_PAGE_BYTES || self.values > LARGEST_PAGE_VALUES {
            return Err("a page is too large".to_owned());
        }
        if !matches!(self.encoding, Some(PLAIN | DELTA_BINARY_PACKED)) {
            return Err("a page has an unexpected encoding".to_owned());
        }
        Ok(())
    }
}

fn read_header(file: &mut File, position: u64) -> Result<PageHeader, String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(position))
        .map_err(|error| error.to_string())?;
    file.by_ref()
        .take(LONGEST_HEADER_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    parse_header(&bytes).ok_or_else(|| "a page header cannot be read".to_owned())
}

fn parse_header(bytes: &[u8]) -> Option<PageHeader> {
    let mut thrift = Thrift { bytes, position: 0 };
    let mut header = PageHeader::default();
    let mut field = 0;
    while let Some(kind) = thrift.next_field(&mut field)? {
        match (field, kind) {
            (1, Thrift::I32) => header.kind = Some(thrift.integer()?),
            (2, Thrift::I32) => header.uncompressed = thrift.size()?,
            (3, Thrift::I32) => header.compressed = thrift.size()?,
            (5, Thrift::STRUCT) => parse_data_page(&mut thrift, &mut header)?,
            _ => thrift.skip(kind, DEEPEST)?,
        }
    }
    header.length = thrift.position as u64;
    Some(header)
}

/// `DataPageHeader`: values, then encoding.
fn parse_data_page(thrift: &mut Thrift<'_>, header: &mut PageHeader) -> Option<()> {
    let mut field = 0;
    while let Some(kind) = thrift.next_field(&mut field)? {
        match (field, kind) {
            (1, Thrift::I32) => header.values = thrift.size()?,
            (2, Thrift::I32) => header.encoding = Some(thrift.integer()?),
            _ => thrift.skip(kind, DEEPEST)?,
        }
    }
    Some(())
}

/// A reader of the compact protocol; `None` where the bytes end or make no sense.
struct Thrift<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Thrift<'_> {
    const TRUE: u8 = 1;
    const FALSE: u8 = 2;
    const BYTE: u8 = 3;
    const I32: u8 = 5;
    const I64: u8 = 6;
    const I16: u8 = 4;
    const DOUBLE: u8 = 7;
    const BINARY: u8 = 8;
    const STRUCT: u8 = 12;

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.position)?;
        self.position += 1;
        Some(byte)
    }

    fn advance(&mut self, count: u64) -> Option<()> {
        let count = usize::try_from(count).ok()?;
        self.position = self
            .position
            .checked_add(count)
            .filter(|end| *end <= self.bytes.len())?;
        Some(())
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn integer(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        let magnitude = i64::try_from(value >> 1).ok()?;
        Some(if value & 1 == 0 {
            magnitude
        } else {
            -magnitude - 1
        })
    }

    /// A 32-bit number that must not be negative.
    fn size(&mut self) -> Option<u64> {
        self.integer()
            .and_then(|value| u32::try_from(value).ok())
            .map(u64::from)
    }

    /// Kind of the next field and, in `field`, its number; `Some(None)` at the end of the structure.
    fn next_field(&mut self, field: &mut i64) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        *field = match byte >> 4 {
            0 => self.integer()?,
            delta => field.checked_add(i64::from(delta))?,
        };
        Some(Some(byte & 0x0f))
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        match kind {
            Self::TRUE | Self::FALSE => Some(()),
            Self::BYTE => self.advance(1),
            Self::I16 | Self::I32 | Self::I64 => self.unsigned().map(|_| ()),
            Self::DOUBLE => self.advance(8),
            Self::BINARY => {
                let length = self.unsigned()?;
                self.advance(length)
            }
            Self::STRUCT => {
                let depth = depth.checked_sub(1)?;
                let mut field = 0;
                while let Some(kind) = self.next_field(&mut field)? {
                    self.skip(kind, depth)?;
                }
                Some(())
            }
            // Lists, sets and maps do not occur in page headers.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_written_out_header_is_understood() {
        // type 0, uncompressed 100, compressed 50, data page {values 7, encoding 5, levels 3, 3}.
        let bytes = [
            0x15, 0x00, 0x15, 0xc8, 0x01, 0x15, 0x64, 0x2c, 0x15, 0x0e, 0x15, 0x0a, 0x15, 0x06,
            0x15, 0x06, 0x00, 0x00,
        ];
        let wanted = PageHeader {
            length: 18,
            kind: Some(DATA_PAGE),
            uncompressed: 100,
            compressed: 50,
            values: 7,
            encoding: Some(DELTA_BINARY_PACKED),
        };
        assert_eq!(parse_header(&bytes), Some(wanted));
        assert_eq!(parse_header(&bytes[..bytes.len() - 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_header(&bytes);
        }
    }
}
