// What stands behind a graph: further inputs, the images of a channel, how far it can be trusted.
import { describe, expect, it } from 'vitest';
import { keptAt } from '../../src/data/faithfulness';
import { masksOf, silentCells } from '../../src/data/masks';
import { carrying } from '../../src/views/graph/carriers';
import type { FurtherInput } from '../../src/data/generated/schema';
import { nextInputs, withInputs } from '../../src/views/graph/expand';
import { viewGraph } from '../../src/views/graph/model';
import { visible } from '../../src/views/graph/visible';
import { graph } from './helpers';

describe('further inputs', () => {
  const before = viewGraph(graph(0, [5, 6]));
  const upper = before.nodes.find((node) => node.kind === 'channel' && node.row === 1);
  if (!upper) throw new Error('no channel');
  const drawn = upper.incoming.map(
    (edge) => before.nodes[before.edges[edge]?.from ?? -1]?.id ?? -1,
  );
  const input = (channel: number, influence: number, count: number): FurtherInput => ({
    channel,
    influence,
    count,
  });
  const inputs = [...drawn.map((id) => input(id, 9, 9)), input(100, 3, 5), input(101, 2, 4)];

  it('are those the graph does not show', () => {
    expect(nextInputs(before, upper.index, inputs).map(({ channel }) => channel)).toEqual([
      100, 101,
    ]);
  });

  it('are added, and nothing else changes its place or number', () => {
    const after = withInputs(before, upper.index, nextInputs(before, upper.index, inputs));
    expect(after.nodes.length).toBe(before.nodes.length + 2);
    expect(after.edges.slice(0, before.edges.length)).toEqual(before.edges);
    const shift = (after.nodes[0]?.x ?? 0) - (before.nodes[0]?.x ?? 0);
    for (const node of before.nodes) {
      expect(after.nodes[node.index]?.id).toBe(node.id);
      expect(after.nodes[node.index]?.x).toBeCloseTo(node.x + shift, 9);
    }
    for (const row of after.rows) {
      const places = row.map((index) => after.nodes[index]?.x ?? NaN);
      for (const [place, x] of places.entries())
        if (place > 0) expect(x - (places[place - 1] ?? 0)).toBeGreaterThanOrEqual(1 - 1e-9);
    }
    const shown = visible(after, {
      nodes: 1,
      edges: 1,
      hidden: new Set(),
      opposing: true,
    });
    expect(shown.edgeCount).toBe(before.edges.length + 2);
    expect(nextInputs(after, upper.index, inputs)).toEqual([]);
  });
});

describe('images behind channels', () => {
  const carriers = {
    schema_version: 1,
    layer: [0, 1, 1],
    channel: [4, 4, 6],
    images: [
      [0, 2, 3],
      [1, 2],
      [0, 1, 2, 3],
    ],
  };
  const images = {
    schema_version: 1,
    image: [7, 8, 9, 10],
    path: ['a', 'b', 'c', 'd'],
    prediction: [5, 1, 1, 1],
    probability: [0, 0, 0, 0],
    margin: [-1, 1, 2, 3],
  };
  const of = { class: 1, part: 'all' } as const;

  it('are those all channels are on top of, the surest first', () => {
    const [a, b] = [
      { layer: 0, channel: 4 },
      { layer: 1, channel: 6 },
    ];
    expect(carrying(carriers, images, of, [a])).toEqual([3, 2, 0]);
    expect(carrying(carriers, images, of, [a, b])).toEqual([3, 2, 0]);
    expect(carrying(carriers, images, of, [a, { layer: 1, channel: 4 }])).toEqual([2]);
    expect(carrying(carriers, images, of, [{ layer: 0, channel: 6 }])).toEqual([]);
  });

  it('are of the part of the class that is shown', () => {
    const all = [{ layer: 1, channel: 6 }];
    expect(carrying(carriers, images, { class: 1, part: 'right' }, all)).toEqual([3, 2, 1]);
    expect(carrying(carriers, images, { class: 1, part: 'wrong' }, all)).toEqual([0]);
    expect(carrying(carriers, images, { class: 1, part: 5 }, all)).toEqual([0]);
    expect(carrying(carriers, images, { class: 1, part: 2 }, all)).toEqual([]);
  });
});

describe('the margin kept', () => {
  const facts = { measure: 'flow', sizes: [0.1, 0.5, 1], kept: [0.2, 0.6, 1], srg: 0.3 };

  it('is read between the sizes measured', () => {
    expect(keptAt(facts, 0.1)).toBeCloseTo(0.2);
    expect(keptAt(facts, 0.05)).toBeCloseTo(0.1);
    expect(keptAt(facts, 0.3)).toBeCloseTo(0.4);
    expect(keptAt(facts, 1)).toBeCloseTo(1);
    expect(keptAt({ ...facts, sizes: [], kept: [] }, 0.5)).toBeNull();
  });
});

describe('masks', () => {
  const file = {
    schema_version: 1,
    examples: ['8000000000000001ffffffffffffffff', '12'],
    range: ['', 'zzzzzzzzzzzzzzzz'],
  };

  it('are read in the order of the tiles', () => {
    expect(masksOf(file, 'best', 0)).toEqual([0x8000000000000001n, 0xffffffffffffffffn]);
    expect(masksOf(file, 'range', 0)).toEqual([]);
  });

  it('are none where the file is not understood', () => {
    expect(masksOf(file, 'best', 1)).toEqual([]);
    expect(masksOf(file, 'range', 1)).toEqual([]);
    expect(masksOf(file, 'best', 7)).toEqual([]);
  });

  it('leave out the cells that are active', () => {
    const path = silentCells(0x8000000000000001n);
    expect(path.match(/M/g)).toHaveLength(62);
    expect(path).not.toContain('M0 0');
    expect(path).not.toContain('M7 7');
    expect(path).toContain('M1 0h1v1h-1z');
    expect(silentCells(0xffffffffffffffffn)).toBe('');
  });
});
