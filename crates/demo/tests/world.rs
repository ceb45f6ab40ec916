//! The drawn world is the same everywhere, and holds what it says is planted.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use sha2::{Digest, Sha256};
use summit_demo::world::{Class, DEMO, Facts, SIDE, TRUTH_FILE, World};

/// Changes with the generator; then the network must be trained anew.
const PIXELS: &str = "9553bb476ab6f9f9c438c2849256b4dfa57639c7d7be65a8682859b702ee81e3";

#[test]
fn the_pixels_are_the_same_on_every_machine() {
    let world = World {
        images_per_class: 4,
        ..DEMO
    };
    let mut hash = Sha256::new();
    for (index, truth) in (0..).zip(world.truths()) {
        let class = Class::ALL[index / 4];
        let pixels = world.draw(class, index as u32 % 4, &truth);
        assert_eq!(pixels.len(), (3 * SIDE * SIDE) as usize);
        hash.update(&pixels);
    }
    let hash: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hash, PIXELS);
}

#[test]
fn the_facts_are_planted() {
    let truths = DEMO.truths();
    let count = |wanted: &dyn Fn(&summit_demo::world::Truth) -> bool| {
        truths.iter().filter(|truth| wanted(truth)).count()
    };
    assert_eq!(truths.len(), 720);
    assert_eq!(count(&|truth| truth.label != truth.shown), 6);
    assert!((54..=59).contains(&count(&|truth| truth.shown == "fish" && truth.hand)));
    assert!((5..=25).contains(&count(&|truth| truth.shown != "fish" && truth.hand)));
    for kind in ["dial", "digits"] {
        assert!((20..=40).contains(&count(&|truth| truth.kind == Some(kind))));
    }
    assert_eq!(count(&|truth| truth.kind.is_some()), 60);
}

/// A scene with and without its hand differs where the hand is, and nowhere else.
#[test]
fn a_hand_changes_nothing_else() {
    let mut truth = DEMO.truths().remove(0);
    let [with, without] = [true, false].map(|hand| {
        truth.hand = hand;
        DEMO.draw(Class::Fish, 0, &truth)
    });
    let changed = with.iter().zip(&without).filter(|(a, b)| a != b).count();
    assert!(
        (500..10_000).contains(&changed),
        "{changed} of {}",
        with.len()
    );
}

#[test]
fn what_is_written_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let world = World {
        images_per_class: 1,
        facts: Facts {
            mislabelled: 2,
            ..Facts::DEMO
        },
        ..DEMO
    };
    let truths = world.write(folder.path()).unwrap();
    assert_eq!(truths.len(), 12);
    for truth in &truths {
        let image = image::open(folder.path().join(&truth.path)).unwrap();
        assert_eq!((image.width(), image.height()), (SIDE, SIDE));
        assert!(truth.path.starts_with(truth.label), "{truth:?}");
    }
    assert!(folder.path().join(TRUTH_FILE).is_file());
}
