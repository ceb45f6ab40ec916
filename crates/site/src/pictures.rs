//! Pictures cut out of the run's images, or of its thumbnails of those that are gone: what a channel answers to.
//!
//! Place in the flow: a dataset example (image, unit) becomes the square of the image its receptive
//! field covers; tiles are joined to atlases and strips. Memory: one image and one sheet. Time: one
//! decoding per image and sheet.

use crate::SiteError;
use crate::run_images::RunImages;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use summit_images::{
    DecodeLimits, DecodedImage, InputRect, Preprocessing, crop_and_resize, crop_thumbnail, decode,
    encode_jpeg, load,
};
use summit_nn::layers::ReceptiveField;
use summit_query::Questions;
use summit_store::{Run, Source};
use summit_tables::{DatasetExample, ImageId, ImageRecord, LayerInfo};

/// Quality of all pictures: artefacts stay invisible at the sizes used.
const JPEG_QUALITY: u8 = 82;

/// Colour of tiles without a picture.
const EMPTY: u8 = 128;

/// Images that cannot be read are named up to here.
const NAMED: usize = 10;

/// Where a sentence for the user goes.
pub type Tell = fn(&str);

/// A source of crops: the run's images as they are now, and its stored thumbnails of those that are gone.
#[derive(Debug)]
pub struct Crops {
    source: Result<RunImages, String>,
    run: Run,
    /// Sorted by image.
    images: Arc<[ImageRecord]>,
    preprocessing: Preprocessing,
    tell: Tell,
    /// Images a thumbnail has stood in for.
    gone: Mutex<BTreeSet<ImageId>>,
}

/// An image, or what is left of it.
enum Photo {
    Original(DecodedImage),
    Thumbnail(DecodedImage),
}

impl Crops {
    /// * `root`: where the images are, if it is not where the run remembers them.
    /// * `tell`: told, once an image, which images cannot be read.
    ///
    /// # Errors
    /// The images are gone and the run has no thumbnails (format 1), or its preprocessing is not understood.
    pub fn open(
        questions: &Questions,
        root: Option<PathBuf>,
        tell: Tell,
    ) -> Result<Self, SiteError> {
        let run = questions.run();
        let source = match root.or_else(|| Source::of(run.path()).images) {
            None => Err("the run does not say where its images are".to_owned()),
            Some(root) => RunImages::open(run, &root),
        };
        if let Err(reason) = &source
            && !run.has_thumbnails()
        {
            return Err(SiteError::Picture {
                reason: reason.clone(),
            });
        }
        let preprocessing = serde_json::from_value(run.manifest().spec.preprocessing.clone())
            .map_err(|_| SiteError::Field {
                field: "preprocessing",
                run: run.path().to_owned(),
            })?;
        Ok(Self {
            source,
            run: run.clone(),
            images: Arc::clone(questions.records()),
            preprocessing,
            tell,
            gone: Mutex::default(),
        })
    }

    /// Why no image can be read; `None` where they are where they should be.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.source.as_ref().err().map(String::as_str)
    }

    /// What the unit of a dataset example sees, as a square tile.
    ///
    /// # Errors
    /// The image cannot be read, and there is no thumbnail of it.
    pub fn example(
        &self,
        layer: &LayerInfo,
        example: &DatasetExample,
        side: u32,
    ) -> Result<DecodedImage, SiteError> {
        let rect = self.square(layer, example);
        self.cut(&self.photo(example.image)?, rect, side)
    }

    /// The part of the network's input around the unit of a dataset example, `[3, height, width]`,
    /// red, green, blue from 0 to 1.
    ///
    /// # Errors
    /// The image cannot be read, or the input is smaller than `extents`.
    pub fn window(
        &self,
        layer: &LayerInfo,
        example: &DatasetExample,
        extents: [usize; 2],
    ) -> Result<Vec<f32>, SiteError> {
        let picture = |reason: String| SiteError::Picture { reason };
        let pixels = self
            .preprocessing
            .input_pixels(&self.decode(example.image)?)
            .map_err(|error| picture(error.to_string()))?;
        let (rows, columns) = (pixels.height() as usize, pixels.width() as usize);
        let [height, width] = extents;
        if height > rows || width > columns {
            return Err(picture(format!(
                "the input of {columns}x{rows} pixels has no part of {width}x{height}"
            )));
        }
        let unit = [example.row, example.column];
        let field = ReceptiveField::of_layer(layer);
        let first = |axis: usize, extent: usize, input: usize| {
            let middle = field.start[axis]
                + field.stride[axis] * f64::from(unit[axis])
                + (f64::from(field.size[axis]) - extent as f64) / 2.0;
            middle.clamp(0.0, (input - extent) as f64) as usize
        };
        let (top, left) = (first(0, height, rows), first(1, width, columns));
        let mut window = Vec::with_capacity(3 * height * width);
        for colour in 0..3 {
            for row in pixels
                .data()
                .chunks_exact(3 * columns)
                .skip(top)
                .take(height)
            {
                let pixels = row.iter().skip(3 * left + colour).step_by(3).take(width);
                window.extend(pixels.map(|&level| f32::from(level) / 255.0));
            }
        }
        Ok(window)
    }

    /// Tiles of several examples side by side, `columns` in a row; images of which nothing is left leave
    /// grey tiles. Each image is decoded once.
    ///
    /// # Errors
    /// The sheet is too large for a JPEG, or no image can be read at all.
    pub fn sheet(
        &self,
        layer: &LayerInfo,
        examples: &[Option<DatasetExample>],
        columns: u32,
        side: u32,
    ) -> Result<Vec<u8>, SiteError> {
        let tiles: Vec<_> = examples
            .iter()
            .map(|example| example.map(|example| (example.image, self.square(layer, &example))))
            .collect();
        self.join(&tiles, columns, side)
    }

    /// As [`Self::sheet`], of whole images.
    ///
    /// # Errors
    /// As there.
    pub fn contact_sheet(
        &self,
        images: &[ImageId],
        columns: u32,
        side: u32,
    ) -> Result<Vec<u8>, SiteError> {
        let [height, width] = self.preprocessing.size.map(f64::from);
        let extent = height.min(width);
        let rect = InputRect {
            top: (height - extent) / 2.0,
            left: (width - extent) / 2.0,
            height: extent,
            width: extent,
        };
        let tiles: Vec<_> = images.iter().map(|&image| Some((image, rect))).collect();
        self.join(&tiles, columns, side)
    }

    fn join(
        &self,
        tiles: &[Option<(ImageId, InputRect)>],
        columns: u32,
        side: u32,
    ) -> Result<Vec<u8>, SiteError> {
        let mut places: BTreeMap<ImageId, Vec<(usize, InputRect)>> = BTreeMap::new();
        for (place, tile) in tiles.iter().enumerate() {
            if let Some((image, rect)) = tile {
                places.entry(*image).or_default().push((place, *rect));
            }
        }
        let mut sheet = Sheet::new(tiles.len(), columns, side);
        let mut problem = None;
        let mut drawn = 0;
        for (image, places) in places {
            let photo = match self.photo(image) {
                Ok(photo) => photo,
                Err(error) => {
                    problem.get_or_insert(error);
                    continue;
                }
            };
            for (place, rect) in places {
                sheet.draw(place, &self.cut(&photo, rect, side)?);
                drawn += 1;
            }
        }
        match problem {
            Some(problem) if drawn == 0 => Err(problem),
            _ => sheet.encode(),
        }
    }

    fn decode(&self, image: ImageId) -> Result<DecodedImage, SiteError> {
        let found = self
            .images
            .binary_search_by_key(&image, |record| record.image);
        let Some(record) = found.ok().and_then(|index| self.images.get(index)) else {
            return Err(SiteError::Picture {
                reason: format!("the run has no image {}", image.0),
            });
        };
        let read = |source: &RunImages| {
            let item = source.item(record);
            load(source, &item, &DecodeLimits::default()).map_err(|reason| reason.to_string())
        };
        let image = self.source.as_ref().map_err(Clone::clone).and_then(read);
        image.map_err(|reason| SiteError::Picture {
            reason: format!("{reason}: {}", record.path),
        })
    }

    /// The image, or its thumbnail.
    fn photo(&self, image: ImageId) -> Result<Photo, SiteError> {
        let problem = match self.decode(image) {
            Ok(original) => return Ok(Photo::Original(original)),
            Err(problem) => problem,
        };
        let Some(thumbnail) = self.run.thumbnail(image)? else {
            return Err(problem);
        };
        let small = decode(&thumbnail.jpeg, &DecodeLimits::default());
        let small = small.map_err(|reason| SiteError::Picture {
            reason: format!("the thumbnail of image {}: {reason}", image.0),
        })?;
        self.say_gone(image, &problem);
        Ok(Photo::Thumbnail(small))
    }

    /// Names the first images that are gone, unless all are.
    fn say_gone(&self, image: ImageId, problem: &SiteError) {
        if self.source.is_err() {
            return;
        }
        let count = {
            let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
            if !gone.insert(image) {
                return;
            }
            gone.len()
        };
        match count {
            ..=NAMED => (self.tell)(&format!("{problem}; its stored thumbnail stands in")),
            _ if count == NAMED + 1 => {
                (self.tell)("further images cannot be read and are not named");
            }
            _ => {}
        }
    }

    fn cut(&self, photo: &Photo, rect: InputRect, side: u32) -> Result<DecodedImage, SiteError> {
        let cut = match photo {
            Photo::Original(image) => crop_and_resize(image, &self.preprocessing, rect, side),
            Photo::Thumbnail(small) => crop_thumbnail(small, &self.preprocessing, rect, side),
        };
        cut.map_err(|error| SiteError::Picture {
            reason: error.to_string(),
        })
    }

    fn square(&self, layer: &LayerInfo, example: &DatasetExample) -> InputRect {
        let unit = [example.row, example.column].map(u32::from);
        let square = ReceptiveField::of_layer(layer).square(unit, self.preprocessing.size);
        InputRect {
            top: square.top,
            left: square.left,
            height: square.extent,
            width: square.extent,
        }
    }
}

/// A tile as a file.
///
/// # Errors
/// The encoder refused.
pub fn encode(image: &DecodedImage) -> Result<Vec<u8>, SiteError> {
    encode_jpeg(image, JPEG_QUALITY).map_err(|error| SiteError::Picture {
        reason: error.to_string(),
    })
}

/// Square tiles on one picture `[rows x side, columns x side, 3]`, u8.
pub(crate) struct Sheet {
    side: usize,
    columns: usize,
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Sheet {
    pub(crate) fn new(tiles: usize, columns: u32, side: u32) -> Self {
        let columns = columns.max(1) as usize;
        let side = side as usize;
        let width = columns.min(tiles.max(1)) * side;
        let height = tiles.max(1).div_ceil(columns) * side;
        Self {
            side,
            columns,
            width,
            height,
            pixels: vec![EMPTY; width * height * 3],
        }
    }

    pub(crate) fn draw(&mut self, place: usize, tile: &DecodedImage) {
        let (row, column) = (place / self.columns, place % self.columns);
        let tile_width = tile.width() as usize * 3;
        let lines = tile.data().chunks_exact(tile_width.max(1)).take(self.side);
        for (line, source) in lines.enumerate() {
            let start = ((row * self.side + line) * self.width + column * self.side) * 3;
            let length = tile_width.min(self.side * 3);
            let target = self.pixels.get_mut(start..start + length);
            if let (Some(target), Some(source)) = (target, source.get(..length)) {
                target.copy_from_slice(source);
            }
        }
    }

    pub(crate) fn encode(self) -> Result<Vec<u8>, SiteError> {
        let image = DecodedImage::from_rgb(self.width as u32, self.height as u32, self.pixels)
            .ok_or_else(|| SiteError::Picture {
                reason: "the sheet is too large".to_owned(),
            })?;
        encode(&image)
    }
}
