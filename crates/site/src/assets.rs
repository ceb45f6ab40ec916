//! The interface, built from `ui/` and kept in the program.
//!
//! A missing file is a compile error. The fixed list is what the server and the export hand out;
//! whatever is not on it does not exist.

use crate::SiteError;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// One file of the interface.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Path relative to the site.
    pub path: &'static str,
    /// Content type.
    pub content_type: &'static str,
    /// As built.
    pub bytes: &'static [u8],
}

macro_rules! asset {
    ($path:literal, $content_type:literal) => {
        Asset {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../assets/", $path)),
        }
    };
}

/// All files of the interface.
pub const ASSETS: [Asset; 5] = [
    asset!("index.html", "text/html; charset=utf-8"),
    asset!("app.js", "text/javascript; charset=utf-8"),
    asset!("app.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("inter.woff2", "font/woff2"),
];

/// The licence of the font among them.
pub const FONT_LICENCE: &str = include_str!("../LICENSE-Inter.txt");

/// Hands out the files of the interface: as built in, or from a folder while it is developed.
#[derive(Clone, Debug, Default)]
pub struct Assets {
    /// Read from here instead.
    pub folder: Option<PathBuf>,
}

impl Assets {
    /// The asset at this path relative to the site; the empty path is the page.
    #[must_use]
    pub fn find(path: &str) -> Option<&'static Asset> {
        let path = if path.is_empty() { "index.html" } else { path };
        ASSETS.iter().find(|asset| asset.path == path)
    }

    /// Its bytes.
    ///
    /// # Errors
    /// The folder does not hold it.
    pub fn bytes(&self, asset: &'static Asset) -> Result<Cow<'static, [u8]>, SiteError> {
        match &self.folder {
            None => Ok(Cow::Borrowed(asset.bytes)),
            Some(folder) => read(&folder.join(asset.path)).map(Cow::Owned),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SiteError> {
    std::fs::read(path).map_err(SiteError::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use std::collections::BTreeMap;

    fn ui() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui")
    }

    fn collect(folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else {
                let name = path.strip_prefix(ui()).unwrap().to_string_lossy();
                files.insert(name.replace('\\', "/"), std::fs::read(&path).unwrap());
            }
        }
    }

    /// The assets are built from the sources beside them: `ui/scripts/inputs.mjs` hashes the same.
    #[test]
    fn assets_are_built_from_the_current_sources() {
        let mut files = BTreeMap::new();
        for folder in ["src", "public"] {
            collect(&ui().join(folder), &mut files);
        }
        for name in [
            "index.html",
            "package-lock.json",
            "vite.config.ts",
            "tsconfig.json",
        ] {
            files.insert(name.to_owned(), std::fs::read(ui().join(name)).unwrap());
        }
        let mut hash = Sha256::new();
        for (name, content) in &files {
            hash.update(format!("{name}\n{}\n", content.len()));
            hash.update(content);
        }
        let hash: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/inputs.sha256");
        let recorded = std::fs::read_to_string(recorded).unwrap();
        assert_eq!(
            recorded.trim(),
            hash,
            "build the interface again: npm run build in ui/"
        );
    }

    #[test]
    fn only_listed_files_exist() {
        assert_eq!(Assets::find("").unwrap().path, "index.html");
        for path in [
            "../Cargo.toml",
            "inputs.sha256",
            "app.js/",
            "/app.js",
            "APP.JS",
        ] {
            assert!(Assets::find(path).is_none(), "{path}");
        }
    }
}
