//! Folders under test: their bytes compared, and one that runs full. The black-box tests of the command
//! use this file as well.

#![allow(dead_code, clippy::unwrap_used)] // Each test binary uses a part.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A small deterministic hash (splitmix64).
pub fn mix(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The bytes of all files of a folder by relative path.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let relative = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.insert(relative, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Panics with the names of the files that differ, not with their bytes.
pub fn assert_same(left: &Path, right: &Path, but: &[&str]) {
    let (left, right) = (contents(left), contents(right));
    let names = left
        .keys()
        .chain(right.keys())
        .filter(|name| !but.contains(&name.as_str()));
    let different: Vec<_> = names
        .filter(|name| left.get(*name) != right.get(*name))
        .collect();
    assert!(different.is_empty(), "{different:?}");
}

/// A file system of a few hundred kilobytes in memory, unmounted when dropped.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this user may not mount.
    pub fn mount(kibibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let size = format!("size={kibibytes}k");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &size, "summit-test"])
            .arg(folder.path());
        let status = mount.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Gives it another size.
    pub fn grow(&self, kibibytes: u32) {
        let size = format!("remount,size={kibibytes}k");
        let status = Command::new("mount")
            .args(["-o", &size])
            .arg(self.0.path())
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}
