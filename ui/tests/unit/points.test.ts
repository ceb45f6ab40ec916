import { describe, expect, it } from 'vitest';
import {
  type Point,
  between,
  labels,
  picker,
  place,
  towards,
  unitPoints,
} from '../../src/views/embedding/points';

/** A linear congruential generator, so that every run sees the same points. */
function random(seed: number) {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
}

const next = random(3);
const points: Point[] = Array.from({ length: 300 }, (_, id) => ({ id, x: next(), y: next() }));
const frame = { width: 400, height: 300, transform: { x: 30, y: -20, k: 1.7 } };

describe('points', () => {
  it('fill the unit square, one scale for both axes', () => {
    const file = {
      schema_version: 1,
      method: 'test',
      class: [7, 8, 9],
      x: [0, 4, 2],
      y: [1, 1, 3],
    };
    expect(unitPoints(file)).toEqual([
      { id: 7, x: 0, y: 0.75 },
      { id: 8, x: 1, y: 0.75 },
      { id: 9, x: 0.5, y: 0.25 },
    ]);
    expect(unitPoints({ ...file, class: [1], x: [5], y: [5] })).toEqual([
      { id: 1, x: 0.5, y: 0.5 },
    ]);
    expect(unitPoints({ ...file, class: [], x: [], y: [] })).toEqual([]);
  });

  it('are picked as a look at all of them does', () => {
    const pick = picker(points, frame);
    for (let turn = 0; turn < 200; turn++) {
      const [x, y] = [next() * frame.width, next() * frame.height];
      const byDistance = points
        .map((point) => ({
          point,
          away: Math.hypot(place(point, frame)[0] - x, place(point, frame)[1] - y),
        }))
        .filter(({ away }) => away < 14)
        .sort((l, r) => l.away - r.away);
      expect(pick(x, y, 14)?.id).toBe(byDistance[0]?.point.id);
    }
  });

  it('move from layer to layer', () => {
    const from = points.slice(0, 3);
    const to = from.map(({ id, x, y }) => ({ id, x: y, y: x }));
    expect(between(from, to, 0)).toEqual(from);
    expect(between(from, to, 1)).toEqual(to);
    expect(between([], to, 0)).toEqual(to);
  });

  it('are reached by arrows', () => {
    const cross: Point[] = [
      { id: 0, x: 0.5, y: 0.5 },
      { id: 1, x: 0.7, y: 0.5 },
      { id: 2, x: 0.5, y: 0.9 },
      { id: 3, x: 0.55, y: 0.6 },
    ];
    const [middle] = cross;
    if (!middle) throw new Error('no point');
    expect(towards(cross, middle, 'ArrowRight')?.id).toBe(1);
    expect(towards(cross, middle, 'ArrowDown')?.id).toBe(3);
    expect(towards(cross, middle, 'ArrowLeft')).toBeNull();
    expect(towards(cross, middle, 'Enter')).toBeNull();
  });
});

describe('labels', () => {
  const wanted = points.map((point) => ({ point, text: `class ${point.id}` }));
  const width = (text: string) => text.length * 7;
  const placed = labels(wanted, 1, frame, width);

  it('never cover each other', () => {
    const boxes = placed.map(({ x, y, text, anchor }) => {
      const left = anchor === 'start' ? x : x - width(text);
      return [left, y - 8, left + width(text), y + 8] as const;
    });
    expect(boxes.length).toBeGreaterThan(10);
    boxes.forEach((a, i) => {
      for (const b of boxes.slice(i + 1)) {
        const apart = a[0] >= b[2] || a[2] <= b[0] || a[1] >= b[3] || a[3] <= b[1];
        expect(apart).toBe(true);
      }
    });
  });

  it('always name what is selected', () => {
    const crowd = Array.from({ length: 50 }, (_, id) => ({
      point: { id, x: 0.5, y: 0.5 },
      text: 'a rather long name',
    }));
    expect(
      labels(crowd, 2, frame, width)
        .map((label) => label.id)
        .slice(0, 2),
    ).toEqual([0, 1]);
  });
});
