import { describe, expect, it } from 'vitest';
import {
  type Point,
  between,
  arraysOf,
  drawPixels,
  enclosed,
  picker,
  place,
  towards,
  unitPoints,
} from '../../src/views/embedding/points';
import { mapCsv, mapJson, mapSvg } from '../../src/views/embedding/export';
import { clusters } from '../../src/views/embedding/colours';
import { point, random } from './helpers';

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
