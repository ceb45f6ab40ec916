import { describe, expect, it } from 'vitest';
import {
  type Point,
  between,
  arraysOf,
  bytesOf,
  drawPixels,
  enclosed,
  picker,
  place,
  towards,
  unitPoints,
} from '../../src/views/embedding/points';
import { mapCsv, mapJson, mapSvg } from '../../src/views/embedding/export';
import { clusters, colouring, scaleOf } from '../../src/views/embedding/colours';
import { cardPlace, labels, shortened } from '../../src/views/embedding/labels';
import { standing, styling } from '../../src/views/embedding/looks';
import { apart } from '../../src/views/embedding/thumbnails';
import { cividis, magnitudeColour } from '../../src/theme/palette';
import { dataset } from './helpers';

/** A linear congruential generator, so that every run sees the same points. */
function random(seed: number) {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
}

const point = (id: number, x: number, y: number): Point => ({ id, group: id, x, y });
const next = random(3);
const points: Point[] = Array.from({ length: 300 }, (_, id) => point(id, next(), next()));
const frame = { width: 400, height: 300, transform: { x: 30, y: -20, k: 1.7 } };

describe('points', () => {
  it('fill the unit square, one scale for both axes', () => {
    const file = {
      schema_version: 1,
      method: 'test',
      id: [7, 8, 9],
      x: [0, 4, 2],
      y: [1, 1, 3],
    };
    expect(unitPoints(file)).toEqual([point(7, 0, 0.75), point(8, 1, 0.75), point(9, 0.5, 0.25)]);
    expect(unitPoints({ ...file, id: [1], x: [5], y: [5] })).toEqual([point(1, 0.5, 0.5)]);
    expect(unitPoints({ ...file, id: [], x: [], y: [] })).toEqual([]);
  });

  it('are picked as a look at all of them does', () => {
    const pick = picker(points);
    for (let turn = 0; turn < 200; turn++) {
      const [x, y] = [next() * frame.width, next() * frame.height];
      const byDistance = points
        .map((point) => ({
          point,
          away: Math.hypot(place(point, frame)[0] - x, place(point, frame)[1] - y),
        }))
        .filter(({ away }) => away < 14)
        .sort((l, r) => l.away - r.away);
      expect(pick(x, y, 14, frame)?.id).toBe(byDistance[0]?.point.id);
    }
  });

  it('are enclosed by an outline as a count of crossings says', () => {
    // A square and a triangle, whose insides are known without it.
    const corner = (u: number, v: number) => place({ x: u, y: v }, frame);
    const square = [corner(0.2, 0.3), corner(0.7, 0.3), corner(0.7, 0.9), corner(0.2, 0.9)];
    const inSquare = points.filter(({ x, y }) => x > 0.2 && x < 0.7 && y > 0.3 && y < 0.9);
    expect(inSquare.length).toBeGreaterThan(20);
    expect(enclosed(points, square, frame)).toEqual(inSquare);
    const triangle = [corner(0, 0), corner(1, 0), corner(0, 1)];
    expect(enclosed(points, triangle, frame)).toEqual(points.filter(({ x, y }) => x + y < 1));
    expect(enclosed(points, [], frame)).toEqual([]);
  });

  it('cluster where they lie apart, always the same', () => {
    const heaps = points.map(({ id, x, y }) =>
      point(id, x / 10 + (id % 3), y / 10 + (id % 2 === 0 ? 2 : 0)),
    );
    const found = clusters(heaps, 6);
    expect(found).toEqual(clusters(heaps, 6));
    const names = new Set(heaps.map(({ id }, index) => `${id % 6}:${found[index]}`));
    expect(names.size).toBe(6);
    expect(clusters([], 6)).toEqual([]);
    expect(clusters([point(1, 0, 0), point(2, 0, 0)], 6)).toEqual([0, 0]);
  });

  it('are written as pixels where there are many', () => {
    const many = Array.from({ length: 5000 }, (_, id) => point(id, (id % 100) / 100, 0.5));
    let written: Uint32Array | undefined;
    const context = {
      canvas: { width: 400, height: 300 },
      fillStyle: '',
      createImageData: (width: number, height: number) => ({
        data: new Uint8ClampedArray(4 * width * height),
      }),
      putImageData: (image: { data: Uint8ClampedArray }) =>
        (written = new Uint32Array(image.data.buffer)),
    };
    drawPixels(
      context as unknown as CanvasRenderingContext2D,
      many,
      { width: 400, height: 300, transform: { x: 0, y: 0, k: 1 } },
      () => ({ colour: '#ff0000', radius: 2 }),
    );
    const inked = [...(written ?? [])].flatMap((value, index) => (value === 0 ? [] : [index]));
    const rows = new Set(inked.map((index) => Math.floor(index / 400)));
    expect([...rows]).toEqual([148, 149, 150, 151]);
    expect(written?.[150 * 400 + 200]).toBe(0xff0000ff);
  });

  it('are handed to the graphics card as they look', () => {
    const two = [point(0, 0.25, 0.5), point(1, 1, 0)];
    const { places, colours, radii } = arraysOf(two, ({ id }) => ({
      colour: id === 0 ? '#0072b2' : 'not a colour',
      radius: 1 + id,
    }));
    expect([...places]).toEqual([0.25, 0.5, 1, 0]);
    expect([...colours]).toEqual([0, 0x72, 0xb2, 255, 128, 128, 128, 255]);
    expect([...radii]).toEqual([1, 2]);
  });

  it('move from layer to layer', () => {
    const from = points.slice(0, 3);
    const to = from.map(({ id, x, y }) => point(id, y, x));
    expect(between(from, to, 0)).toEqual(from);
    expect(between(from, to, 1)).toEqual(to);
    expect(between([], to, 0)).toEqual(to);
  });

  it('are reached by arrows', () => {
    const cross: Point[] = [
      point(0, 0.5, 0.5),
      point(1, 0.7, 0.5),
      point(2, 0.5, 0.9),
      point(3, 0.55, 0.6),
    ];
    const [middle] = cross;
    if (!middle) throw new Error('no point');
    expect(towards(cross, middle, 'ArrowRight')?.id).toBe(1);
    expect(towards(cross, middle, 'ArrowDown')?.id).toBe(3);
    expect(towards(cross, middle, 'ArrowLeft')).toBeNull();
    expect(towards(cross, middle, 'Enter')).toBeNull();
  });
});

describe('the saved map', () => {
  const two = [point(3, 0.25, 0.5), point(4, 0.75, 0.25)];
  const name = ({ id }: Point) => `<class> "${id}", a`;

  it('draws what is in view, what stands out last', () => {
    const style = (colour: string) => ({ colour, radius: 3 });
    const [first, second] = two as [Point, Point];
    const svg = mapSvg({
      title: 'a & b',
      points: two,
      frame: { width: 400, height: 300, transform: { x: 0, y: 0, k: 1 } },
      styleOf: () => style('#111111'),
      front: new Map([[first, { ...style('#ff0000'), ring: '#00ff00' }]]),
      links: [{ from: first, to: second, similarity: 0.5 }],
      labels: [
        { id: 3, x: 10, y: 20, text: name(first), anchor: 'start' },
        { id: 4, x: 90, y: 20, text: 'b', anchor: 'end' },
      ],
      lookOf: (id) => ({ fill: id === 3 ? '#aa0000' : '#222222', weight: id === 3 ? 700 : 400 }),
      page: '#ffffff',
      line: '#0000ff',
    });
    expect(svg.indexOf('#111111')).toBeLessThan(svg.indexOf('#ff0000'));
    expect(svg.match(/<circle /g)?.length).toBe(3);
    expect(svg).toMatch(/r="5\.5" fill="none" stroke="#00ff00"/);
    expect(svg).toMatch(/<path d="M[\d.,]+L[\d.,]+" stroke="#0000ff"/);
    // As on the page: what is selected is bold and coloured, the rest is not.
    expect(svg).toMatch(/fill="#aa0000" font-weight="700"[^>]*>&lt;class&gt;/);
    expect(svg).toMatch(/text-anchor="end" fill="#222222" font-weight="400"[^>]*>b</);
    expect(svg).toContain('&lt;class&gt; &quot;3&quot;, a');
    expect(svg).toContain('<title>a &amp; b</title>');
  });

  it('lists all points', () => {
    expect(mapCsv(two, name)).toBe(
      'id,name,x,y\r\n3,"<class> ""3"", a",0.25000,0.50000\r\n4,"<class> ""4"", a",0.75000,0.75000\r\n',
    );
    expect(JSON.parse(mapJson('last', two, name))).toEqual({
      layer: 'last',
      points: two.map((point) => ({ id: point.id, name: name(point), x: point.x, y: 1 - point.y })),
    });
  });
});

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
      similarity: { of: none, neighbours: [3], problem: false },
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
