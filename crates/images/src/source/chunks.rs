//! A Parquet file anywhere, as its decoder wants it.

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::io::{BufReader, Seek, SeekFrom};
use std::sync::Arc;
use summit_objects::{ObjectFile, Objects};

/// Every request opens the file anew, so that threads do not move each other's position.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    objects: Arc<Objects>,
    location: String,
    bytes: u64,
}

impl Chunks {
    pub(super) fn open(objects: &Arc<Objects>, location: &str) -> Result<Self, String> {
        let info = objects.info(location).map_err(|error| error.to_string())?;
        Ok(Self {
            objects: Arc::clone(objects),
            location: location.to_owned(),
            bytes: info.bytes,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn failed(error: impl std::fmt::Display) -> ParquetError {
    ParquetError::General(error.to_string())
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<ObjectFile>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let mut file = self
            .objects
            .open_sized(&self.location, self.bytes)
            .map_err(failed)?;
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        Ok(BufReader::new(file))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.bytes) {
            return Err(failed("a part lies beyond the end of the file"));
        }
        let bytes = self
            .objects
            .read_part(&self.location, start, length as u64)
            .map_err(failed)?;
        Ok(Bytes::from(bytes))
    }
}
