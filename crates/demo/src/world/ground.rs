//! What is behind the objects: seven kinds of background and clutter, none tied to a class.

use super::canvas::{Canvas, EXTENT, Frame, Paint, Rgb, Shape, UNIT, lit, mixed};
use super::random::{Random, mix};

/// A background and its mean colour.
pub fn background(random: &mut Random) -> (Canvas, Rgb) {
    let seed = mix(random.between(0, i32::MAX) as u64);
    let kind = random.between(0, 6);
    let (first, second) = colours(kind, random);
    let cell = random.between(18, 40);
    let canvas = Canvas::filled(|x, y| {
        let fine = noise(seed, x, y, 7);
        let coarse = noise(seed ^ 1, x, y, cell * 2);
        let share = match kind {
            // Sky: from one colour to the other downwards, with clouds.
            0 => y * 80 / EXTENT + coarse / 8,
            // Grass and sand: noise on two scales.
            1 | 2 => fine / 4 + coarse / 7,
            // Water: waves.
            3 => noise(seed, x / 4, y, 6) / 4 + coarse / 8,
            // A brick wall: every other row shifted.
            4 => {
                let row = y / cell;
                let joint = y % cell < 4 || (x + row % 2 * cell) % (2 * cell) < 4;
                if joint { 95 } else { fine / 8 + coarse / 10 }
            }
            // Wood: grain along x.
            5 => noise(seed, x / 8, y, 5) / 4 + noise(seed ^ 2, x / 16, y, 23) / 6,
            // Paper on a wall: almost plain.
            _ => coarse / 8,
        };
        mixed(first, second, share.clamp(0, 100))
    });
    (canvas, mixed(first, second, 35))
}

fn colours(kind: i32, random: &mut Random) -> (Rgb, Rgb) {
    let light = random.between(800, 1150);
    let (first, second) = match kind {
        0 => ([110, 165, 225], [225, 235, 240]),
        1 => ([60, 120, 50], [130, 170, 80]),
        2 => ([205, 180, 130], [165, 135, 95]),
        3 => ([40, 95, 140], [110, 165, 190]),
        4 => ([150, 85, 65], [205, 195, 180]),
        5 => ([150, 105, 65], [95, 60, 35]),
        _ => (
            [(); 3].map(|()| random.between(90, 220) as u8),
            [(); 3].map(|()| random.between(90, 220) as u8),
        ),
    };
    (lit(first, light), lit(second, light))
}

/// A few small plain shapes, so that an edge alone is no sign of an object.
pub fn clutter(canvas: &mut Canvas, random: &mut Random) {
    for _ in 0..random.between(0, 4) {
        let frame = Frame {
            x: random.between(0, EXTENT),
            y: random.between(0, EXTENT),
            size: random.between(8, 26),
            turn: random.between(0, 63),
            mirrored: false,
        };
        let colour = [(); 3].map(|()| random.between(30, 230) as u8);
        let shape = match random.between(0, 2) {
            0 => Shape::Ellipse([0, 0], [UNIT, random.between(500, UNIT)]),
            1 => Shape::Box([-UNIT, -500, UNIT, 500]),
            _ => Shape::Polygon(vec![[0, -UNIT], [900, 600], [-900, 600]]),
        };
        canvas.draw(&frame, &[(shape, Paint::Plain(colour))]);
    }
}

/// Value noise, 0 to 255: random levels on a lattice of `cell` samples, interpolated linearly.
fn noise(seed: u64, x: i32, y: i32, cell: i32) -> i32 {
    let corner =
        |column: i32, row: i32| (mix(seed ^ (column as u64) << 32 ^ row as u64) >> 56) as i32;
    let (column, row) = (x.div_euclid(cell), y.div_euclid(cell));
    let (right, down) = (x.rem_euclid(cell), y.rem_euclid(cell));
    let across = |row: i32| corner(column, row) * (cell - right) + corner(column + 1, row) * right;
    (across(row) * (cell - down) + across(row + 1) * down) / (cell * cell)
}
