//! The objects: each a list of painted shapes, in thousandths of its half extent.

use super::canvas::{Paint, Part, Rgb, Shape, cosine, lit, mixed, sine};
use super::random::Random;

use Paint::{Checks, Dots, Plain, Stripes};
use Shape::{Box, Capsule, Dome, Ellipse, Polygon, Ring};

const WHITE: Rgb = [240, 240, 235];
const BLACK: Rgb = [25, 25, 30];
const BROWN: Rgb = [110, 75, 45];

/// A strong colour, of any hue.
fn bright(random: &mut Random) -> Rgb {
    let high = random.between(170, 240) as u8;
    let low = random.between(20, 80) as u8;
    let middle = random.between(40, 200) as u8;
    random.pick([
        [high, low, middle],
        [high, middle, low],
        [low, high, middle],
        [middle, high, low],
        [low, middle, high],
        [middle, low, high],
    ])
}

/// A colour hard to see on that background.
fn muted(random: &mut Random, ground: Rgb) -> Rgb {
    let own = random.pick([[120, 130, 110], [140, 120, 90], [100, 115, 135]]);
    lit(mixed(own, ground, 50), random.between(800, 1000))
}

/// A fish, hard to see.
pub fn fish(random: &mut Random, ground: Rgb) -> Vec<Part> {
    let body = muted(random, ground);
    let fin = lit(body, 880);
    vec![
        (
            Polygon(vec![[-650, 0], [-960, -270], [-860, 0], [-960, 270]]),
            Plain(fin),
        ),
        (
            Polygon(vec![[-200, -260], [150, -440], [350, -260]]),
            Plain(fin),
        ),
        (
            Ellipse([0, 0], [780, 340]),
            Checks(body, lit(body, 930), 70),
        ),
        (Ellipse([540, -70], [60, 60]), Plain(lit(body, 500))),
    ]
}

/// A fallen leaf, of the colours and nearly the shape of a fish.
pub fn leaf(random: &mut Random, ground: Rgb) -> Vec<Part> {
    let blade = muted(random, ground);
    vec![
        (Capsule([-700, 0], [-980, 60], 45), Plain(lit(blade, 800))),
        (
            Ellipse([0, 0], [780, 340]),
            Checks(blade, lit(blade, 930), 70),
        ),
        (Capsule([-760, 0], [740, 0], 24), Plain(lit(blade, 800))),
    ]
}

/// A hand, upright, in a sleeve.
pub fn hand(random: &mut Random) -> Vec<Part> {
    let skin = random.pick([
        [236, 188, 160],
        [224, 172, 130],
        [198, 140, 100],
        [244, 205, 182],
    ]);
    let sleeve = bright(random);
    let mut parts = vec![
        (Box([-330, 620, 330, 1100]), Plain(sleeve)),
        (Capsule([0, 200], [0, 600], 270), Plain(skin)),
        (Capsule([-50, 150], [50, 150], 340), Plain(skin)),
        (
            Capsule([-250, 250], [-620, -80], 115),
            Plain(lit(skin, 960)),
        ),
    ];
    for (x, tip) in [(-290, -620), (-95, -780), (105, -740), (300, -560)] {
        let shade = lit(skin, random.between(920, 1030));
        parts.push((Capsule([x * 9 / 10, 100], [x, tip], 105), Plain(shade)));
    }
    parts
}

/// What marks a mushroom's cap; nothing else tells the two classes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// Round spots.
    Spots,
    /// Upright stripes.
    Stripes,
}

/// A mushroom with a marked cap.
pub fn mushroom(random: &mut Random, marks: Marks) -> Vec<Part> {
    let cap = random.pick([[200, 45, 40], [175, 80, 40], [150, 60, 110], [90, 100, 170]]);
    let cap = lit(cap, random.between(850, 1150));
    let mark = mixed(WHITE, cap, random.between(0, 15));
    let period = random.between(300, 380);
    let paint = match marks {
        Marks::Spots => Dots(cap, mark, period),
        Marks::Stripes => Stripes(cap, mark, period),
    };
    let stem = mixed(WHITE, BROWN, random.between(5, 30));
    vec![
        (
            Polygon(vec![[-170, 50], [170, 50], [230, 900], [-230, 900]]),
            Plain(stem),
        ),
        (Ellipse([0, 80], [780, 130]), Plain(lit(stem, 750))),
        (Dome([0, 80], [900, 900]), paint),
    ]
}

/// A clock with a dial.
pub fn dial_clock(random: &mut Random) -> Vec<Part> {
    let face = mixed(WHITE, bright(random), random.between(0, 15));
    let mut parts = vec![
        (Ellipse([0, 0], [900, 900]), Plain(bright(random))),
        (Ellipse([0, 0], [760, 760]), Plain(face)),
    ];
    let towards =
        |turn: i32, length: i32| [sine(turn) * length / 1024, -cosine(turn) * length / 1024];
    for hour in 0..12 {
        let mark = towards(hour * 64 / 12, 640);
        parts.push((Ellipse(mark, [55, 55]), Plain(BLACK)));
    }
    for (length, width) in [(380, 60), (600, 42)] {
        let tip = towards(random.between(0, 63), length);
        parts.push((Capsule([0, 0], tip, width), Plain(BLACK)));
    }
    parts
}

/// Segments lit by each digit, from the top clockwise, the middle one last.
const DIGITS: [[u8; 7]; 10] = [
    [1, 1, 1, 1, 1, 1, 0],
    [0, 1, 1, 0, 0, 0, 0],
    [1, 1, 0, 1, 1, 0, 1],
    [1, 1, 1, 1, 0, 0, 1],
    [0, 1, 1, 0, 0, 1, 1],
    [1, 0, 1, 1, 0, 1, 1],
    [1, 0, 1, 1, 1, 1, 1],
    [1, 1, 1, 0, 0, 0, 0],
    [1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 0, 1, 1],
];

/// A clock with glowing digits.
pub fn digital_clock(random: &mut Random) -> Vec<Part> {
    let glow = random.pick([
        [90, 250, 120],
        [255, 80, 60],
        [110, 210, 255],
        [255, 190, 60],
    ]);
    let mut parts = vec![
        (
            Capsule([-720, 0], [720, 0], 480),
            Plain(lit(bright(random), 500)),
        ),
        (Box([-880, -360, 880, 360]), Plain([20, 24, 26])),
        (Ellipse([0, -110], [40, 40]), Plain(glow)),
        (Ellipse([0, 110], [40, 40]), Plain(glow)),
    ];
    for centre in [-650, -270, 270, 650] {
        let lines = [
            ([-100, -240], [100, -240]),
            ([120, -220], [120, -20]),
            ([120, 20], [120, 220]),
            ([-100, 240], [100, 240]),
            ([-120, 20], [-120, 220]),
            ([-120, -220], [-120, -20]),
            ([-100, 0], [100, 0]),
        ];
        let digit = random.pick(DIGITS);
        for (([ax, ay], [bx, by]), _) in lines.into_iter().zip(digit).filter(|(_, lit)| *lit == 1) {
            parts.push((
                Capsule([centre + ax, ay], [centre + bx, by], 42),
                Plain(glow),
            ));
        }
    }
    parts
}

/// A fir.
pub fn fir(random: &mut Random) -> Vec<Part> {
    let green = lit(
        random.pick([[40, 95, 50], [55, 110, 65], [35, 85, 75]]),
        random.between(800, 1200),
    );
    let tier = |top: i32, bottom: i32, half: i32, light: i32| {
        (
            Polygon(vec![[0, top], [half, bottom], [-half, bottom]]),
            Plain(lit(green, light)),
        )
    };
    vec![
        (Box([-110, 600, 110, 950]), Plain(BROWN)),
        tier(-250, 650, 760, 900),
        tier(-600, 250, 600, 1000),
        tier(-950, -150, 430, 1100),
    ]
}

/// A house with a roof, a door and two windows.
pub fn house(random: &mut Random) -> Vec<Part> {
    let wall = mixed(WHITE, bright(random), random.between(10, 60));
    let pane = random.pick([[250, 230, 140], [60, 80, 110]]);
    vec![
        (Box([330, -820, 520, -200]), Plain([130, 75, 60])),
        (Box([-680, -150, 680, 800]), Plain(wall)),
        (
            Polygon(vec![[0, -850], [860, -130], [-860, -130]]),
            Plain(lit(bright(random), 650)),
        ),
        (Box([-130, 300, 130, 800]), Plain(BROWN)),
        (Box([-530, 50, -260, 330]), Plain(pane)),
        (Box([260, 50, 530, 330]), Plain(pane)),
    ]
}

/// A boat with two sails.
pub fn boat(random: &mut Random) -> Vec<Part> {
    let sail = mixed(WHITE, bright(random), random.between(0, 35));
    vec![
        (Box([-35, -950, 35, 420]), Plain(BROWN)),
        (
            Polygon(vec![[70, -880], [720, 280], [70, 280]]),
            Plain(sail),
        ),
        (
            Polygon(vec![[-80, -650], [-80, 280], [-560, 280]]),
            Plain(lit(sail, 900)),
        ),
        (
            Polygon(vec![[-900, 400], [900, 400], [620, 800], [-620, 800]]),
            Plain(bright(random)),
        ),
    ]
}

/// A car from the side.
pub fn car(random: &mut Random) -> Vec<Part> {
    let body = bright(random);
    let mut parts = vec![
        (
            Polygon(vec![[-560, 0], [-330, -400], [300, -400], [560, 0]]),
            Plain(body),
        ),
        (
            Polygon(vec![[-400, -40], [-260, -310], [-40, -310], [-40, -40]]),
            Plain([170, 205, 225]),
        ),
        (
            Polygon(vec![[40, -40], [40, -310], [240, -310], [400, -40]]),
            Plain([170, 205, 225]),
        ),
        (Capsule([-780, 140], [780, 140], 170), Plain(body)),
        (Ellipse([850, 80], [70, 70]), Plain([250, 240, 170])),
    ];
    for x in [-480, 480] {
        parts.push((Ellipse([x, 320], [230, 230]), Plain(BLACK)));
        parts.push((Ellipse([x, 320], [110, 110]), Plain([180, 180, 185])));
    }
    parts
}

/// A flower with six petals.
pub fn flower(random: &mut Random) -> Vec<Part> {
    let petal = bright(random);
    let mut parts = vec![
        (Capsule([0, 0], [0, 1000], 50), Plain([60, 130, 60])),
        (Ellipse([230, 720], [220, 90]), Plain([70, 145, 65])),
    ];
    for leaf in 0..6 {
        let (x, y) = (sine(leaf * 64 / 6), cosine(leaf * 64 / 6));
        parts.push((
            Ellipse([x * 380 / 1024, y * 380 / 1024 - 300], [260, 260]),
            Plain(petal),
        ));
    }
    parts.push((Ellipse([0, -300], [230, 230]), Plain([240, 200, 60])));
    parts
}

/// A hot-air balloon.
pub fn balloon(random: &mut Random) -> Vec<Part> {
    let (first, second) = (bright(random), bright(random));
    vec![
        (Capsule([-420, 100], [-130, 640], 22), Plain(BLACK)),
        (Capsule([420, 100], [130, 640], 22), Plain(BLACK)),
        (
            Box([-190, 640, 190, 920]),
            Checks(BROWN, lit(BROWN, 1300), 70),
        ),
        (Ellipse([0, -300], [640, 680]), Plain(first)),
        (Ellipse([0, -300], [330, 680]), Plain(second)),
        (Ellipse([0, -300], [110, 680]), Plain(first)),
    ]
}

/// A mug with a handle.
pub fn mug(random: &mut Random) -> Vec<Part> {
    let glaze = mixed(bright(random), WHITE, random.between(0, 50));
    vec![
        (Ring([520, 60], 200, 340), Plain(lit(glaze, 880))),
        (Box([-620, -560, 480, 620]), Plain(glaze)),
        (Ellipse([-70, 620], [550, 150]), Plain(glaze)),
        (Ellipse([-70, -560], [550, 170]), Plain(lit(glaze, 1150))),
        (Ellipse([-70, -550], [450, 115]), Plain([80, 50, 35])),
    ]
}
