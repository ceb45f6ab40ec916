//! Memory that vectors load without crossing cache lines, in large pages where it is large.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Elements of a cache line.
pub(crate) const LINE: usize = 16;

/// Bytes of a large page. Weights read once per image cost one address translation for each page.
const LARGE_PAGE: usize = 2 << 20;

/// More numbers than this have no layout.
const LIMIT: usize = isize::MAX as usize / size_of::<f32>() - LARGE_PAGE;

/// Numbers whose first lies at the start of a cache line.
pub(crate) struct Buffer {
    start: NonNull<f32>,
    len: usize,
}

// SAFETY: a buffer owns its memory as a `Vec<f32>` does.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` zeros.
    ///
    /// # Panics
    /// When `len` is beyond what can be addressed; ends the process when memory is short, as `Vec`.
    pub(crate) fn zeros(len: usize) -> Self {
        if len == 0 {
            return Self {
                start: NonNull::dangling(),
                len,
            };
        }
        let layout = Self::layout(len);
        // SAFETY: the layout is not empty; the memory is zeroed before anything reads it.
        unsafe {
            let Some(start) = NonNull::new(alloc(layout).cast::<f32>()) else {
                handle_alloc_error(layout);
            };
            advise(start.as_ptr().cast(), layout.size());
            start.as_ptr().write_bytes(0, len);
            Self { start, len }
        }
    }

    fn layout(len: usize) -> Layout {
        assert!(len < LIMIT, "{len} numbers are more than can be addressed");
        let bytes = len * size_of::<f32>();
        let align = if bytes >= LARGE_PAGE {
            LARGE_PAGE
        } else {
            LINE * size_of::<f32>()
        };
        // SAFETY: both alignments are powers of two; the limit keeps the size, rounded up to
        // either, below `isize::MAX`.
        unsafe { Layout::from_size_align_unchecked(bytes, align) }
    }
}

/// Asks for large pages; where there are none, nothing changes but speed.
fn advise(start: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    if bytes >= LARGE_PAGE {
        // SAFETY: a hint about memory that was just allocated, page-aligned at this size.
        unsafe { libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: allocated in `zeros` with the layout of this length.
            unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.len)) };
        }
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::zeros(0)
    }
}

impl From<&[f32]> for Buffer {
    fn from(values: &[f32]) -> Self {
        let mut buffer = Self::zeros(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Buffer({})", self.len)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `start` holds `len` initialised numbers and is aligned, also when it dangles.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`; the buffer is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_at_a_line_and_holds_what_was_written() {
        for len in [0, 1, 15, 16, 17, 1000, LARGE_PAGE / 4, LARGE_PAGE / 4 + 1] {
            let values: Vec<f32> = (0..len).map(|value| value as f32).collect();
            let buffer = Buffer::from(values.as_slice());
            assert!(len == 0 || (buffer.as_ptr() as usize).is_multiple_of(64));
            assert_eq!(*buffer, *values);
            assert_eq!(*buffer.clone(), *values);
            assert!(Buffer::zeros(len).iter().all(|&value| value == 0.0));
        }
        assert!(Buffer::default().is_empty());
    }

    #[test]
    #[should_panic(expected = "more than can be addressed")]
    fn refuses_what_cannot_be_addressed() {
        let _ = Buffer::zeros(usize::MAX / 2);
    }
}
