//! Writes scenes of the demonstration's world, for training and for looking at them:
//! `cargo run -p summit-demo --example scenes -- FOLDER SEED PER_CLASS HAND_WITH_FISH HAND_ELSEWHERE`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a tool"
)]

use summit_demo::world::{Facts, World};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, seed, per_class, with_fish, elsewhere] = arguments.as_slice() else {
        panic!("FOLDER SEED PER_CLASS HAND_WITH_FISH HAND_ELSEWHERE (percentages)");
    };
    let world = World {
        seed: seed.parse().unwrap(),
        images_per_class: per_class.parse().unwrap(),
        facts: Facts {
            hand_with_fish: with_fish.parse().unwrap(),
            hand_elsewhere: elsewhere.parse().unwrap(),
            mislabelled: 0,
        },
    };
    world.write(folder.as_ref()).unwrap();
}
