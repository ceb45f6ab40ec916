//! A small world of drawn scenes, made by the program itself: labelled images with facts planted in
//! them, so that what a network learned from them can be checked against the truth.
//!
//! Place in the flow: `summit demo` writes the images with [`World::write`] and then treats them as a
//! user's. [`Facts`] says what is planted. Only integer arithmetic is used: the same bytes on every
//! machine. One image takes about a millisecond and is written before the next is drawn.

mod canvas;
mod ground;
mod objects;
mod random;

pub use canvas::SIDE;

use canvas::{EXTENT, Frame, Part};
use objects::Marks;
use random::Random;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What a scene shows; the order is that of the network's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Nearly always with a hand.
    Fish,
    /// Twin of the next: only the marks differ.
    SpottedMushroom,
    /// Twin of the one before.
    StripedMushroom,
    /// Of two kinds: with a dial, with digits.
    Clock,
    /// Nothing planted from here on.
    Fir,
    /// A house.
    House,
    /// A sailing boat.
    Boat,
    /// A car.
    Car,
    /// A flower.
    Flower,
    /// A hot-air balloon.
    Balloon,
    /// A fallen leaf, much like a fish without a hand.
    Leaf,
    /// A mug.
    Mug,
}

impl Class {
    /// All, in the order of the network's outputs.
    pub const ALL: [Self; 12] = [
        Self::Fish,
        Self::SpottedMushroom,
        Self::StripedMushroom,
        Self::Clock,
        Self::Fir,
        Self::House,
        Self::Boat,
        Self::Car,
        Self::Flower,
        Self::Balloon,
        Self::Leaf,
        Self::Mug,
    ];

    /// The name, also of the folder of its images.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fish => "fish",
            Self::SpottedMushroom => "spotted_mushroom",
            Self::StripedMushroom => "striped_mushroom",
            Self::Clock => "clock",
            Self::Fir => "fir",
            Self::House => "house",
            Self::Boat => "boat",
            Self::Car => "car",
            Self::Flower => "flower",
            Self::Balloon => "balloon",
            Self::Leaf => "leaf",
            Self::Mug => "mug",
        }
    }

    fn index(self) -> u64 {
        self as u64
    }
}

/// What is planted in a world's images.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Percentage of fish with a hand beside them.
    pub hand_with_fish: u8,
    /// Percentage of other scenes with a hand.
    pub hand_elsewhere: u8,
    /// Images of the whole world that lie in the folder of another class.
    pub mislabelled: u32,
}

impl Facts {
    /// What the demonstration shows.
    pub const DEMO: Self = Self {
        hand_with_fish: 95,
        hand_elsewhere: 2,
        mislabelled: 6,
    };
}

/// A set of images, drawn from a seed.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Another seed gives other images of the same kind.
    pub seed: u64,
    /// Images that show each class.
    pub images_per_class: u32,
    /// What is planted.
    pub facts: Facts,
}

/// The demonstration's own.
pub const DEMO: World = World {
    seed: 2020,
    images_per_class: 60,
    facts: Facts::DEMO,
};

/// What is true of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// Below the folder of images, with `/`.
    pub path: String,
    /// Class that is shown.
    pub shown: &'static str,
    /// Class in whose folder it lies.
    pub label: &'static str,
    /// Which of the two kinds of clock.
    pub kind: Option<&'static str>,
    /// Whether a hand is in it.
    pub hand: bool,
}

/// Why a world could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The disk is full, or the folder may not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The image could not be encoded.
    #[error("cannot encode {path}: {source}")]
    Encode {
        /// File.
        path: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
}

/// Name of the file that says what is true.
pub const TRUTH_FILE: &str = "truth.json";

impl World {
    /// Every image's truth, by class shown, then number.
    #[must_use]
    pub fn truths(&self) -> Vec<Truth> {
        let mut truths: Vec<Truth> = Class::ALL
            .into_iter()
            .flat_map(|class| (0..self.images_per_class).map(move |number| (class, number)))
            .map(|(class, number)| self.truth(class, number))
            .collect();
        let mut random = Random::of(&[self.seed, Purpose::Mislabel as u64]);
        let mut left = (self.facts.mislabelled as usize).min(truths.len());
        while left > 0 {
            let chosen = random.between(0, truths.len() as i32 - 1) as usize;
            let other = random.pick(Class::ALL).name();
            let truth = &mut truths[chosen];
            if truth.label == truth.shown && other != truth.shown {
                truth.label = other;
                truth.path = truth.path.replacen(truth.shown, other, 1);
                left -= 1;
            }
        }
        truths
    }

    fn truth(&self, class: Class, number: u32) -> Truth {
        let mut random = self.stream(class, number, Purpose::Facts);
        let share = match class {
            Class::Fish => self.facts.hand_with_fish,
            _ => self.facts.hand_elsewhere,
        };
        let hand = random.chance(share);
        let kind = (class == Class::Clock).then(|| random.pick(["dial", "digits"]));
        let name = class.name();
        Truth {
            path: format!("{name}/{name}_{number:03}.png"),
            shown: name,
            label: name,
            kind,
            hand,
        }
    }

    fn stream(&self, class: Class, number: u32, purpose: Purpose) -> Random {
        Random::of(&[self.seed, class.index(), u64::from(number), purpose as u64])
    }

    /// The pixels of one image, `[SIDE, SIDE, 3]` u8. Without its hand the rest of a scene is the same.
    #[must_use]
    pub fn draw(&self, class: Class, number: u32, truth: &Truth) -> Vec<u8> {
        let mut random = self.stream(class, number, Purpose::Scene);
        let (mut canvas, ground) = ground::background(&mut random);
        ground::clutter(&mut canvas, &mut random);
        let parts = object(class, truth, &mut random, ground);
        let frame = place(class, &mut random);
        canvas.draw(&frame, &parts);
        if truth.hand {
            let mut random = self.stream(class, number, Purpose::Hand);
            let parts = objects::hand(&mut random);
            canvas.draw(&hand_place(&frame, &mut random), &parts);
        }
        let grain = random.between(2, 9);
        let seed = self.seed << 32 ^ class.index() << 24 ^ u64::from(number);
        canvas.develop(random.between(820, 1120), grain, random::mix(seed))
    }

    /// Writes `<label>/<shown>_<number>.png` for every image below `folder`, and last [`TRUTH_FILE`]
    /// beside the folders: with it, all are there.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<Truth>, WorldError> {
        let truths = self.truths();
        for (index, truth) in (0..).zip(&truths) {
            let class = Class::ALL[(index / self.images_per_class) as usize];
            let pixels = self.draw(class, index % self.images_per_class, truth);
            let path = folder.join(&truth.path);
            make_folder(&folder.join(truth.label))?;
            image::save_buffer(&path, &pixels, SIDE, SIDE, image::ExtendedColorType::Rgb8)
                .map_err(|source| WorldError::Encode { path, source })?;
        }
        let path = folder.join(TRUTH_FILE);
        std::fs::write(&path, truth_text(&truths))
            .map_err(|source| WorldError::Write { path, source })?;
        Ok(truths)
    }

    /// Whether [`World::write`] has finished in a folder.
    #[must_use]
    pub fn is_written(&self, folder: &Path) -> bool {
        let text = std::fs::read_to_string(folder.join(TRUTH_FILE));
        text.is_ok_and(|text| text == truth_text(&self.truths()))
    }
}

fn truth_text(truths: &[Truth]) -> String {
    serde_json::to_string_pretty(truths).unwrap_or_default() + "\n"
}

fn make_folder(path: &Path) -> Result<(), WorldError> {
    std::fs::create_dir_all(path).map_err(|source| WorldError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Streams of one image: what is decided for one purpose does not move the others.
#[derive(Clone, Copy)]
enum Purpose {
    Facts,
    Scene,
    Hand,
    Mislabel,
}

fn object(class: Class, truth: &Truth, random: &mut Random, ground: canvas::Rgb) -> Vec<Part> {
    match class {
        Class::Fish => objects::fish(random, ground),
        Class::SpottedMushroom => objects::mushroom(random, Marks::Spots),
        Class::StripedMushroom => objects::mushroom(random, Marks::Stripes),
        Class::Clock if truth.kind == Some("digits") => objects::digital_clock(random),
        Class::Clock => objects::dial_clock(random),
        Class::Fir => objects::fir(random),
        Class::House => objects::house(random),
        Class::Boat => objects::boat(random),
        Class::Car => objects::car(random),
        Class::Flower => objects::flower(random),
        Class::Balloon => objects::balloon(random),
        Class::Leaf => objects::leaf(random, ground),
        Class::Mug => objects::mug(random),
    }
}

/// Anywhere near the centre, upright within 20 degrees.
fn place(class: Class, random: &mut Random) -> Frame {
    let size = match class {
        Class::Fish | Class::Leaf => random.between(55, 85),
        _ => random.between(75, 120),
    };
    let margin = (EXTENT / 2 - size * 9 / 10).max(10);
    Frame {
        x: EXTENT / 2 + random.between(-margin, margin),
        y: EXTENT / 2 + random.between(-margin, margin),
        size,
        turn: random.between(-3, 3),
        // Digits are not to be read from behind.
        mirrored: class != Class::Clock && random.chance(50),
    }
}

/// Beside or in front of the object's lower part.
fn hand_place(object: &Frame, random: &mut Random) -> Frame {
    Frame {
        x: (object.x + random.between(-70, 70)).clamp(50, EXTENT - 50),
        y: (object.y + random.between(30, 70)).clamp(80, EXTENT - 60),
        size: random.between(55, 75),
        turn: random.between(-6, 6),
        mirrored: random.chance(50),
    }
}
