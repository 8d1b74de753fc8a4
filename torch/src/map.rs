//! Files as memory.

use std::fs::File;
use std::io;
use std::ops::Deref;

use half::f16;
use memmap2::Mmap;

/// A file's content, read as it is looked at.
#[derive(Debug)]
pub struct Mapped(Mmap);

impl Mapped {
    /// The content as float16 of this machine's byte order; `None` where that does not come out even.
    pub fn halves(&self) -> Option<&[f16]> {
        bytemuck::try_cast_slice(&self.0).ok()
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Maps a whole file, which nobody may write to or cut while it is mapped.
pub fn map(file: &File) -> io::Result<Mapped> {
    // SAFETY: the files of an index are written once, under another name, and renamed. Who cuts one by
    // hand while it is searched ends the process.
    unsafe { Mmap::map(file) }.map(Mapped)
}
