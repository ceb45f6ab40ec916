import { describe, expect, it } from 'vitest';
import { colouring, scaleOf } from '../../src/views/embedding/colours';
import { cardPlace, labels, shortened } from '../../src/views/embedding/labels';
import { standing, styling } from '../../src/views/embedding/looks';
import { type Point, bytesOf } from '../../src/views/embedding/points';
import { apart } from '../../src/views/embedding/thumbnails';
import { cividis, magnitudeColour } from '../../src/theme/palette';
import { dataset, point, random } from './helpers';

const next = random(3);
const points: Point[] = Array.from({ length: 300 }, (_, id) => point(id, next(), next()));
const frame = { width: 400, height: 300, transform: { x: 30, y: -20, k: 1.7 } };

describe('labels', () => {
  const wanted = points.map((point) => ({ point, text: `class ${point.id}` }));
  const width = (text: string) => text.length * 7;
  const placed = labels(wanted, 1, frame, width);

  it('never cover each other', () => {
    const boxes = placed.map(({ x, y, text, anchor }) => {
      const left = x - { start: 0, middle: 0.5, end: 1 }[anchor] * width(text);
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
      point: point(id, 0.5, 0.5),
      text: 'a rather long name',
    }));
    expect(
      labels(crowd, 2, frame, width)
        .map((label) => label.id)
        .slice(0, 2),
    ).toEqual([0, 1]);
  });

  it('stay on the stage, cut where they are too long', () => {
    const long = 'a name so long that no stage is wide enough for it, ever, wherever it stands';
    for (const [x, y] of [
      [0, 0],
      [1, 0.02],
      [0.5, 1],
      [1, 1],
    ] as const) {
      const still = { width: 400, height: 300, transform: { x: 0, y: 0, k: 1 } };
      const [label] = labels([{ point: point(1, x, y), text: long }], 1, still, width);
      if (!label) throw new Error('no label');
      const left = label.x - { start: 0, middle: 0.5, end: 1 }[label.anchor] * width(label.text);
      expect(left).toBeGreaterThanOrEqual(0);
      expect(left + width(label.text)).toBeLessThanOrEqual(400);
      expect(label.y).toBeGreaterThanOrEqual(8);
      expect(label.y).toBeLessThanOrEqual(292);
      expect(label.text).toMatch(/^a name.*…$/);
    }
    expect(shortened('chain saw', 63, width)).toBe('chain saw');
    expect(shortened('chain saw', 62, width)).toBe('chain s…');
  });

  it('of what is selected or pointed at cover no other point where they need not', () => {
    const still = { width: 400, height: 300, transform: { x: 0, y: 0, k: 1 } };
    const one = point(0, 0.5, 0.5);
    // Points right of it, and left of it.
    const crowd = [0.58, 0.64, 0.42, 0.36].map((x, id) => point(id + 1, x, 0.5));
    const placed = (all: Point[]) =>
      labels([{ point: one, text: 'chain saw' }], 1, still, width, all)[0];
    expect(placed([one])).toMatchObject({ anchor: 'start', y: 150 });
    expect(placed([one, ...crowd])?.y).not.toBe(150);
  });
});

describe('the card of a point', () => {
  const still = { width: 300, height: 300, transform: { x: 0, y: 0, k: 1 } };
  it('covers neither its point nor its label and stays on the stage', () => {
    for (let x = 0; x <= 300; x += 20)
      for (let y = 0; y <= 300; y += 20) {
        const [label] = labels(
          [{ point: point(1, 0.5, 0.5), text: 'church' }],
          1,
          still,
          (text) => text.length * 7,
        );
        const own = label && { ...label, x: x + 10, y, anchor: 'start' as const };
        const [left, top] = cardPlace([x, y], own, [160, 90], still);
        expect(left).toBeGreaterThanOrEqual(0);
        expect(left + 160).toBeLessThanOrEqual(300);
        expect(top).toBeGreaterThanOrEqual(0);
        expect(top + 90).toBeLessThanOrEqual(300);
        expect(top > y + 8 || top + 90 < y - 8).toBe(true);
      }
  });

  it('stands beside the point where there is no room above or below', () => {
    expect(
      cardPlace([40, 60], undefined, [100, 110], { ...still, height: 120 })[0],
    ).toBeGreaterThan(40);
    expect(
      cardPlace([250, 60], undefined, [100, 110], { ...still, height: 120 })[0] + 100,
    ).toBeLessThan(250);
  });
});

describe('colours', () => {
  const data = dataset();
  const all = data.classes.map(({ id }) => point(id, id / 4, 0.5));
  const none = new Map<number, number>();

  it('are spread over the values present', () => {
    expect(scaleOf(data, all, 'accuracy', none)).toEqual({ low: 0.5, high: 1 });
    expect(scaleOf(data, all, 'images', none)).toEqual({ low: 8, high: 12 });
    expect(scaleOf(data, all, 'cluster', none)).toBeNull();
    const colour = colouring(data, all, 'accuracy');
    const [low, high] = [all[1] as Point, all[2] as Point];
    expect(colour(low)).toBe(cividis(0));
    expect(colour(high)).toBe(magnitudeColour(1, false));
    // Neither end vanishes in the page.
    const light = (of: string | null) => bytesOf(of ?? '')[1];
    expect(light(colour(high))).toBeLessThan(220);
    expect(light(colouring(data, all, 'accuracy', none, true)(low))).toBeGreaterThan(70);
  });

  it('stay on the selected class, which a ring marks', () => {
    const read = (name: string) => name;
    const state = { class: 1, compare: null, group: [], hovered: null, node: null, layer: 0 };
    const chosen = {
      selection: state as unknown as Parameters<typeof standing>[1]['selection'],
      similarity: { of: none, lastKnown: none, neighbours: [3], problem: false, pending: false },
      hovered: all[2] as Point,
    };
    const shown = {
      dataset: data,
      points: all,
      kind: 'classes' as const,
      use: none,
      sized: false,
      dark: false,
    };
    const front = (colour: 'plain' | 'accuracy') => {
      const look = { ...shown, colour };
      return standing(look, chosen, styling(look, read), read);
    };
    const coloured = front('accuracy');
    expect(coloured.get(all[1] as Point)).toMatchObject({ colour: cividis(0), ring: '--accent' });
    expect(coloured.get(all[2] as Point)).toMatchObject({
      colour: magnitudeColour(1, false),
      ring: '--ink',
    });
    expect(coloured.get(all[3] as Point)?.ring).toBeUndefined();
    expect(front('plain').get(all[1] as Point)).toMatchObject({ colour: '--accent' });
  });
});

describe('pictures', () => {
  it('leave out those that would cover an earlier one', () => {
    const places = [
      [0, 0],
      [10, 0],
      [44, 0],
      [20, 60],
    ].map(([x = 0, y = 0]) => ({ x, y }));
    expect(apart(places, 44)).toEqual([places[0], places[2], places[3]]);
  });
});
