//! A seekable reader over an object, in blocks where it is remote.

use crate::{ObjectError, Objects};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// Bytes of a block fetched at a time: a few images.
const BLOCK_BYTES: u64 = 512 << 10;

/// `Read` and `Seek` over a file on disk or an object elsewhere. Memory: one block.
#[derive(Debug)]
pub struct ObjectFile {
    bytes: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Local(File),
    Remote {
        objects: Arc<Objects>,
        location: String,
        position: u64,
        block_start: u64,
        block: Vec<u8>,
    },
}

impl ObjectFile {
    /// Reads a file on disk.
    ///
    /// # Errors
    /// Its size cannot be had.
    pub fn local(file: File) -> Result<Self, ObjectError> {
        Ok(Self {
            bytes: file.metadata()?.len(),
            place: Place::Local(file),
        })
    }

    pub(crate) fn remote(objects: &Arc<Objects>, location: &str, bytes: u64) -> Self {
        Self {
            bytes,
            place: Place::Remote {
                objects: Arc::clone(objects),
                location: location.to_owned(),
                position: 0,
                block_start: 0,
                block: Vec::new(),
            },
        }
    }

    /// Size of the object.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.bytes
    }

    /// The same, at another position.
    pub(crate) fn part(mut self, start: u64) -> io::Result<Self> {
        self.seek(SeekFrom::Start(start))?;
        Ok(self)
    }
}

impl Read for ObjectFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.bytes;
        match &mut self.place {
            Place::Local(file) => file.read(buffer),
            Place::Remote {
                objects,
                location,
                position,
                block_start,
                block,
            } => {
                if *position >= bytes || buffer.is_empty() {
                    return Ok(0);
                }
                let inside = position
                    .checked_sub(*block_start)
                    .filter(|offset| *offset < block.len() as u64);
                let offset = match inside {
                    Some(offset) => offset,
                    None => {
                        let length = BLOCK_BYTES.min(bytes - *position);
                        *block = objects
                            .read_part(location, *position, length)
                            .map_err(|error| io::Error::other(error.to_string()))?;
                        *block_start = *position;
                        0
                    }
                };
                // Below the length of a block.
                let rest = block.get(offset as usize..).unwrap_or_default();
                let count = (&rest[..]).read(buffer)?;
                *position += count as u64;
                Ok(count)
            }
        }
    }
}

impl Seek for ObjectFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let bytes = self.bytes;
        match &mut self.place {
            Place::Local(file) => file.seek(to),
            Place::Remote { position, .. } => {
                let target = match to {
                    SeekFrom::Start(start) => Some(start),
                    SeekFrom::End(offset) => bytes.checked_add_signed(offset),
                    SeekFrom::Current(offset) => position.checked_add_signed(offset),
                };
                *position = target.ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidInput, "a position before the start")
                })?;
                Ok(*position)
            }
        }
    }
}
