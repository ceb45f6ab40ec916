//! A tiny rasteriser: shapes filled with paints, three samples a pixel and axis, integers only.
//!
//! A [`Frame`] places an object: its shapes are given in local units, thousandths of the object's
//! half extent, `x` to the right and `y` down.

use super::random::mix;

/// Side of an image, pixels.
pub const SIDE: u32 = 96;

/// Samples a pixel and axis.
const SAMPLES: i32 = 3;

/// Side of the canvas, samples.
pub const EXTENT: i32 = SIDE as i32 * SAMPLES;

/// One object's half extent in local units.
pub const UNIT: i32 = 1000;

/// Red, green, blue, 0 to 255.
pub type Rgb = [u8; 3];

/// `1024 sin(2 pi k / 64)` for the first quarter.
const SINE: [i32; 17] = [
    0, 100, 200, 297, 392, 483, 569, 650, 724, 792, 851, 903, 946, 980, 1004, 1019, 1024,
];

/// 1024 times the sine of an angle in 64ths of a turn.
#[must_use]
pub fn sine(turn: i32) -> i32 {
    let turn = turn.rem_euclid(64);
    let quarter = (turn % 16) as usize;
    match turn / 16 {
        0 => SINE[quarter],
        1 => SINE[16 - quarter],
        2 => -SINE[quarter],
        _ => -SINE[16 - quarter],
    }
}

/// 1024 times the cosine of an angle in 64ths of a turn.
#[must_use]
pub fn cosine(turn: i32) -> i32 {
    sine(turn + 16)
}

/// Where an object stands.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Centre, samples from the left.
    pub x: i32,
    /// Centre, samples from the top.
    pub y: i32,
    /// Samples that [`UNIT`] local units span.
    pub size: i32,
    /// Rotation, 64ths of a turn.
    pub turn: i32,
    /// Mirrored left to right.
    pub mirrored: bool,
}

impl Frame {
    /// Local units of a sample.
    fn local(&self, x: i32, y: i32) -> (i32, i32) {
        let across = (x - self.x) * UNIT / self.size;
        let down = (y - self.y) * UNIT / self.size;
        let (sine, cosine) = (sine(self.turn), cosine(self.turn));
        let local = (across * cosine + down * sine) / 1024;
        let along = if self.mirrored { -local } else { local };
        (along, (down * cosine - across * sine) / 1024)
    }
}

/// A region in local units.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Centre and half axes.
    Ellipse([i32; 2], [i32; 2]),
    /// The part of an ellipse above its centre.
    Dome([i32; 2], [i32; 2]),
    /// Left, top, right, bottom.
    Box([i32; 4]),
    /// Centre, inner and outer radius.
    Ring([i32; 2], i32, i32),
    /// All points within a radius of the line between two points.
    Capsule([i32; 2], [i32; 2], i32),
    /// Corners in order, convex or not.
    Polygon(Vec<[i32; 2]>),
}

impl Shape {
    fn contains(&self, x: i32, y: i32) -> bool {
        let square = |value: i32| i64::from(value) * i64::from(value);
        match self {
            Self::Ellipse([cx, cy], [rx, ry]) => {
                square((x - cx) * UNIT / rx) + square((y - cy) * UNIT / ry) <= square(UNIT)
            }
            Self::Dome([cx, cy], radii) => {
                y <= *cy && Self::Ellipse([*cx, *cy], *radii).contains(x, y)
            }
            Self::Box([left, top, right, bottom]) => {
                (*left..=*right).contains(&x) && (*top..=*bottom).contains(&y)
            }
            Self::Ring([cx, cy], inner, outer) => {
                let distance = square(x - cx) + square(y - cy);
                (square(*inner)..=square(*outer)).contains(&distance)
            }
            Self::Capsule([ax, ay], [bx, by], radius) => {
                let along = [i64::from(bx - ax), i64::from(by - ay)];
                let to = [i64::from(x - ax), i64::from(y - ay)];
                let length = (along[0] * along[0] + along[1] * along[1]).max(1);
                let share = (along[0] * to[0] + along[1] * to[1]).clamp(0, length);
                let off = [0, 1].map(|axis| to[axis] - along[axis] * share / length);
                off[0] * off[0] + off[1] * off[1] <= square(*radius)
            }
            Self::Polygon(corners) => inside(corners, x, y),
        }
    }
}

/// Crossings of the ray to the right, odd inside.
fn inside(corners: &[[i32; 2]], x: i32, y: i32) -> bool {
    let next = corners.iter().cycle().skip(1);
    let crossed = corners.iter().zip(next).filter(|([ax, ay], [bx, by])| {
        let spans = (*ay > y) != (*by > y);
        let side = i64::from(bx - ax) * i64::from(y - ay) - i64::from(x - ax) * i64::from(by - ay);
        spans && (side > 0) == (by > ay)
    });
    crossed.count() % 2 == 1
}

/// Colour of a shape by local place.
#[derive(Clone, Copy, Debug)]
pub enum Paint {
    /// One colour.
    Plain(Rgb),
    /// Upright stripes of a second colour: period in local units.
    Stripes(Rgb, Rgb, i32),
    /// Round dots of a second colour: period in local units.
    Dots(Rgb, Rgb, i32),
    /// A chequered pattern of two colours: side of a field in local units.
    Checks(Rgb, Rgb, i32),
}

impl Paint {
    fn at(self, x: i32, y: i32) -> Rgb {
        match self {
            Self::Plain(colour) => colour,
            Self::Stripes(ground, mark, period) => {
                choose(x.rem_euclid(period) * 5 < period * 2, mark, ground)
            }
            Self::Dots(ground, mark, period) => {
                // Every other row is shifted by half a period.
                let row = y.div_euclid(period);
                let dx = (x + row.rem_euclid(2) * period / 2).rem_euclid(period) - period / 2;
                let dy = y.rem_euclid(period) - period / 2;
                // Radius 0.36 of the period: dots cover 40 % like the stripes.
                let near = 100 * (dx * dx + dy * dy) < 13 * period * period;
                choose(near, mark, ground)
            }
            Self::Checks(first, second, side) => {
                let odd = (x.div_euclid(side) + y.div_euclid(side)).rem_euclid(2) == 1;
                choose(odd, second, first)
            }
        }
    }
}

fn choose(condition: bool, yes: Rgb, no: Rgb) -> Rgb {
    if condition { yes } else { no }
}

/// A shape and its paint; later parts of an object cover earlier ones.
pub type Part = (Shape, Paint);

/// An image under construction, `[EXTENT, EXTENT]` samples, rows from the top.
#[derive(Debug)]
pub struct Canvas(Vec<Rgb>);

impl Canvas {
    /// A canvas coloured by place, in samples.
    pub fn filled(colour: impl Fn(i32, i32) -> Rgb) -> Self {
        let places = (0..EXTENT).flat_map(|y| (0..EXTENT).map(move |x| (x, y)));
        Self(places.map(|(x, y)| colour(x, y)).collect())
    }

    /// Draws an object. Its lower part is a little darker, as lit from above.
    pub fn draw(&mut self, frame: &Frame, parts: &[Part]) {
        let reach = frame.size * 3 / 2;
        let span = |centre: i32| (centre - reach).max(0)..(centre + reach).min(EXTENT);
        for y in span(frame.y) {
            for x in span(frame.x) {
                let (u, v) = frame.local(x, y);
                if let Some((_, paint)) = parts.iter().rev().find(|(part, _)| part.contains(u, v)) {
                    let light = (1050 - v / 6).clamp(800, 1200);
                    self.0[(y * EXTENT + x) as usize] = lit(paint.at(u, v), light);
                }
            }
        }
    }

    /// The image, `[SIDE, SIDE, 3]` u8: samples averaged, brightness scaled by `light` thousandths,
    /// and sensor noise of up to `grain` levels from `seed`.
    #[must_use]
    pub fn develop(&self, light: i32, grain: i32, seed: u64) -> Vec<u8> {
        let side = SIDE as i32;
        let mut pixels = Vec::with_capacity((3 * SIDE * SIDE) as usize);
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
            let samples = (0..SAMPLES * SAMPLES).map(|k| {
                let (row, column) = (y * SAMPLES + k / SAMPLES, x * SAMPLES + k % SAMPLES);
                self.0[(row * EXTENT + column) as usize]
            });
            let sum = samples.fold([0; 3], |sum: [i32; 3], sample| {
                [0, 1, 2].map(|k| sum[k] + i32::from(sample[k]))
            });
            for (channel, sum) in (0u64..).zip(sum) {
                let place = seed ^ (channel << 32 | (y * side + x) as u64);
                let noise = (mix(place) >> 40) as i32 % (2 * grain + 1) - grain;
                let level = sum * light / (1000 * SAMPLES * SAMPLES) + noise;
                pixels.push(level.clamp(0, 255) as u8);
            }
        }
        pixels
    }
}

/// A colour made lighter or darker, thousandths.
#[must_use]
pub fn lit(colour: Rgb, light: i32) -> Rgb {
    colour.map(|level| (i32::from(level) * light / 1000).clamp(0, 255) as u8)
}

/// `percent` of the second colour in the first.
#[must_use]
pub fn mixed(first: Rgb, second: Rgb, percent: i32) -> Rgb {
    [0, 1, 2].map(|k| {
        let (a, b) = (i32::from(first[k]), i32::from(second[k]));
        (a + (b - a) * percent / 100).clamp(0, 255) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_hold_what_they_should() {
        let triangle = Shape::Polygon(vec![[0, -100], [100, 100], [-100, 100]]);
        let cases = [
            (Shape::Ellipse([0, 0], [200, 100]), [190, 0], [0, 110]),
            (Shape::Dome([0, 0], [200, 100]), [0, -90], [0, 10]),
            (Shape::Box([-10, -20, 10, 20]), [10, 20], [11, 0]),
            (Shape::Ring([0, 0], 50, 100), [0, 60], [0, 40]),
            (Shape::Capsule([0, 0], [100, 0], 10), [109, 0], [50, 11]),
            (triangle, [0, 0], [90, -90]),
        ];
        for (shape, within, without) in cases {
            assert!(shape.contains(within[0], within[1]), "{shape:?} {within:?}");
            assert!(
                !shape.contains(without[0], without[1]),
                "{shape:?} {without:?}"
            );
        }
    }

    #[test]
    fn the_sine_is_one() {
        for turn in -70..70 {
            let exact = 1024.0 * (f64::from(turn) * std::f64::consts::TAU / 64.0).sin();
            assert!((f64::from(sine(turn)) - exact).abs() <= 0.6, "{turn}");
        }
    }

    #[test]
    fn dots_and_stripes_cover_the_same_share() {
        let covered = |paint: Paint| {
            let places = (0..1000).flat_map(|y| (0..1000).map(move |x| (x, y)));
            places.filter(|&(x, y)| paint.at(x, y) == [1; 3]).count()
        };
        let dots = covered(Paint::Dots([0; 3], [1; 3], 250));
        let stripes = covered(Paint::Stripes([0; 3], [1; 3], 250));
        assert!(dots.abs_diff(stripes) < 20_000, "{dots} {stripes}");
    }
}
