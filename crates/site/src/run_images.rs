//! The images of a finished run, read again.
//!
//! Place in the flow: for pictures, and for running the network on a few images. A folder is read by the
//! images' own paths; anything else by the places the run wrote down when it was planned. Memory: the places,
//! where there are any.

use std::path::Path;
use std::sync::Arc;
use summit_images::{
    ImageItem, ImageList, ImageSource, Images, ListHash, Place, ReadError, ScanOptions, SourceKind,
};
use summit_objects::{Objects, Patience};
use summit_store::{ImageRange, Run, Source, read_inventory};
use summit_tables::{ImageId, ImageRecord};

/// Images of a run by id and path.
#[derive(Debug)]
pub struct RunImages {
    images: Images,
    /// By id; none where every image lies at its own path.
    places: Vec<Place>,
}

impl RunImages {
    /// * `root`: where the images are now. A folder is taken for a folder of images, whatever the run was
    ///   made from.
    ///
    /// # Errors
    /// One sentence: the folder is gone, or the run does not say where in its source the images are.
    pub fn open(run: &Run, root: &Path) -> Result<Self, String> {
        let remembered = Source::of(run.path());
        let moved = remembered.images.as_deref() != Some(root);
        let as_folder = remembered.kind == SourceKind::Folder || (moved && root.is_dir());
        let on_disk = !summit_objects::is_remote(&root.to_string_lossy());
        let (kind, containers, places) = if as_folder {
            if on_disk && !root.is_dir() {
                return Err(format!(
                    "the folder of the images is gone: {}",
                    root.display()
                ));
            }
            (SourceKind::Folder, Vec::new(), Vec::new())
        } else {
            let listed = run.manifest().counts.listed;
            let range = ImageRange::new(0, listed);
            let planned = read_inventory(run.path(), run.model_info(), listed, range);
            let planned = planned.map_err(|error| error.to_string())?;
            let places = planned.into_iter().map(|image| image.place).collect();
            (remembered.kind, remembered.containers, places)
        };
        let list = ImageList {
            kind,
            root: root.to_owned(),
            containers,
            items: Vec::new(),
            folders: Vec::new(),
            skipped: Vec::new(),
            ignored_files: 0,
            list_hash: ListHash::default(),
        };
        let objects = Objects::new(Patience::default()).map_err(|error| error.to_string())?;
        Ok(Self {
            images: Images::of_list(list, &Arc::new(objects), &ScanOptions::default()),
            places,
        })
    }

    /// An image of the run, to be read.
    #[must_use]
    pub fn item(&self, record: &ImageRecord) -> ImageItem {
        self.item_of(record.image, &record.path)
    }

    /// The same, from its id and path.
    #[must_use]
    pub fn item_of(&self, image: ImageId, path: &str) -> ImageItem {
        ImageItem {
            image,
            path: path.to_owned(),
            folder: None,
            place: self.places.get(image.index()).cloned().unwrap_or_default(),
        }
    }
}

impl ImageSource for RunImages {
    fn list(&self) -> &ImageList {
        self.images.list()
    }

    fn read(&self, item: &ImageItem) -> Result<Vec<u8>, ReadError> {
        self.images.read(item)
    }
}
