//! Masks beside a scan of all units for every cell.

#![allow(clippy::unwrap_used, clippy::panic)] // Tests fail by panicking.

use summit_nn::layers::{MASK_SIDE, MaskCells, ReceptiveField};

/// Whether a unit belongs to a cell of the square around `own`, along one axis.
fn belongs(
    field: &ReceptiveField,
    input: u32,
    units: u32,
    own: u32,
    unit: u32,
    cell: usize,
) -> bool {
    let size = f64::from(field.size[0]);
    let centre = |unit: u32| field.start[0] + field.stride[0] * f64::from(unit) + size / 2.0;
    let extent = size.min(f64::from(input)).max(1.0);
    let top = (centre(own) - extent / 2.0).clamp(0.0, (f64::from(input) - extent).max(0.0));
    let cell_of = |unit: u32| {
        let place = ((centre(unit) - top) / (extent / MASK_SIDE as f64)).floor();
        if unit == own {
            place.clamp(0.0, 7.0)
        } else {
            place
        }
    };
    let inside: Vec<u32> = (0..units)
        .filter(|&unit| cell_of(unit) == cell as f64)
        .collect();
    if let (Some(&first), Some(&last)) = (inside.first(), inside.last()) {
        return (first..=last).contains(&unit);
    }
    let middle = top + (cell as f64 + 0.5) * extent / MASK_SIDE as f64;
    let nearest = ((middle - centre(0)) / field.stride[0]).round();
    f64::from(unit) == nearest.clamp(0.0, f64::from(units - 1))
}

#[test]
fn cells_hold_the_units_a_scan_of_all_finds() {
    // Stride, size, start, units, input: small fields, overlapping ones, one wider than the input, padding.
    let cases = [
        (1.0, 1, 0.0, 32, 32),
        (2.0, 7, -3.0, 16, 32),
        (4.0, 3, 0.5, 9, 40),
        (8.0, 91, -41.0, 28, 224),
        (16.0, 500, -242.0, 14, 224),
        (0.5, 2, 0.0, 64, 32),
        (32.0, 32, 0.0, 1, 32),
    ];
    for (stride, size, start, units, input) in cases {
        let field = ReceptiveField {
            stride: [stride; 2],
            size: [size; 2],
            start: [start; 2],
        };
        let cells = MaskCells::new(&field, [units; 2], [input; 2]);
        for own in 0..units {
            for active in 0..units {
                // One active row, seen from the maximum in another or the same.
                let at = |row: usize, _: usize| f32::from(u8::from(row == active as usize));
                let mask = cells.mask(1.0, [own as u16, 0], at);
                for cell in 0..MASK_SIDE {
                    let row = mask >> (MASK_SIDE * cell) & 0xff;
                    let wanted = belongs(&field, input, units, own, active, cell);
                    assert_eq!(row == 0xff, wanted, "{stride} {size} {own} {active} {cell}");
                    assert!(row == 0 || row == 0xff);
                }
            }
            let own_row = cells.mask(1.0, [own as u16, 0], |row, _| {
                f32::from(u8::from(row == own as usize))
            });
            assert_ne!(own_row, 0, "the maximum is always seen");
        }
    }
}

/// Scanning all units for each of 65,536 would be 4 thousand million steps.
#[test]
fn long_layers_are_no_trouble() {
    let field = ReceptiveField {
        stride: [1.0; 2],
        size: [3; 2],
        start: [-1.0; 2],
    };
    let cells = MaskCells::new(&field, [1, 1 << 16], [1, 1 << 16]);
    assert_eq!(cells.mask(1.0, [0, u16::MAX], |_, _| 1.0), u64::MAX);
    assert_eq!(cells.mask(1.0, [1, 0], |_, _| 1.0), 0, "no such unit");
    assert_eq!(cells.mask(0.0, [0, 0], |_, _| 0.0), 0, "a silent channel");
}
