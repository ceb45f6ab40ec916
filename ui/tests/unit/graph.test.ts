import { describe, expect, it } from 'vitest';
import {
  type Scene,
  bounds,
  centre,
  ends,
  nearest,
  nearestEdge,
  side,
  spacingOf,
} from '../../src/views/graph/geometry';
import { step } from '../../src/views/graph/keyboard';
import { type Side, type ViewGraph, viewGraph, withMoved } from '../../src/views/graph/model';
import { fillingSpacing, fit } from '../../src/views/graph/viewport';
import { visible } from '../../src/views/graph/visible';
import { cardPlace } from '../../src/views/graph/card';
import { barOf, distinguishing } from '../../src/views/graph/distinct';
import { graph } from './helpers';

const even = (graph: ViewGraph) => spacingOf(graph, new Set(), { column: 100, row: 100 });
/** Everything shown, at the drawing's own scale. */
const scene = (graph: ViewGraph): Scene => ({
  graph,
  shown: visible(graph, everything),
  spacing: even(graph),
  transform: { x: 0, y: 0, k: 1 },
  width: 1000,
  height: 600,
});
const everything = { nodes: 1, edges: 1, hidden: new Set<number>(), opposing: true };

describe('one graph', () => {
  const view = viewGraph(graph(0, [5, 6, 7]));

  it('has the nodes and edges of the file', () => {
    expect(view.nodes.map((node) => node.label)).toEqual(['1', '2', '5', '6', '7', 'tench']);
    expect(view.edges).toHaveLength(9);
    expect(view.rows.map((row) => row.length)).toEqual([2, 3, 1]);
    expect(Math.max(...view.edges.map((edge) => edge.weight))).toBe(1);
    for (const node of view.nodes) {
      expect(node.incoming.every((index) => view.edges[index]?.to === node.index)).toBe(true);
      expect(node.outgoing.every((index) => view.edges[index]?.from === node.index)).toBe(true);
    }
  });

  it('filters by rank, weight and layer', () => {
    expect(visible(view, everything)).toMatchObject({ nodeCount: 5, edgeCount: 9 });
    const fewer = visible(view, { ...everything, nodes: 0.34 });
    expect(fewer.nodeCount).toBe(2);
    const light = visible(view, { ...everything, edges: 1 / 3 });
    expect(light.edgeCount).toBe(3);
    const kept = view.edges.filter((edge) => light.edges[edge.index]);
    const dropped = view.edges.filter((edge) => !light.edges[edge.index]);
    expect(Math.min(...kept.map((e) => e.weight))).toBeGreaterThanOrEqual(
      Math.max(...dropped.map((e) => e.weight)),
    );
    expect(visible(view, { ...everything, hidden: new Set([0]) })).toMatchObject({
      nodeCount: 3,
      edgeCount: 3,
    });
  });

  it('grows areas with the share of images', () => {
    const areas = view.nodes.slice(0, 5).map((node) => side(node) ** 2);
    const shares = view.nodes.slice(0, 5).map((node) => node.share[0]);
    const slope = ((areas[2] ?? 0) - (areas[0] ?? 0)) / ((shares[2] ?? 0) - (shares[0] ?? 0));
    areas.forEach((area, index) => {
      expect(area).toBeCloseTo(
        (areas[0] ?? 0) + slope * ((shares[index] ?? 0) - (shares[0] ?? 0)),
        6,
      );
    });
  });

  it('finds the node under the pointer as a look at all of them does', () => {
    const still = scene(view);
    for (let x = -200; x <= 200; x += 17) {
      for (let y = -50; y <= 250; y += 13) {
        const all = view.nodes
          .map((node) => {
            const [cx, cy] = centre(node, even(view));
            return { node, away: Math.hypot(cx - x, cy - y) - side(node) / 2 };
          })
          .filter(({ away }) => away < 10)
          .sort((l, r) => l.away - r.away);
        expect(nearest(still, x, y, 10)).toBe(all[0]?.node ?? null);
      }
    }
  });

  it('finds the edge under the pointer as a fine sampling of all of them does', () => {
    const still = scene(view);
    for (let x = -150; x <= 150; x += 23) {
      for (let y = 20; y <= 190; y += 17) {
        const away = (index: number) => {
          const edge = view.edges[index];
          const place = edge && ends(view, edge, even(view));
          if (!place) return Infinity;
          const [x0, y0, x1, y1] = place;
          let least = Infinity;
          for (let step = 0; step <= 2000; step++) {
            const t = step / 2000;
            const u = 1 - t;
            const m = (y0 + y1) / 2;
            const cx = u ** 3 * x0 + 3 * u * u * t * x0 + 3 * u * t * t * x1 + t ** 3 * x1;
            const cy = u ** 3 * y0 + 3 * u * u * t * m + 3 * u * t * t * m + t ** 3 * y1;
            least = Math.min(least, Math.hypot(cx - x, cy - y));
          }
          return least;
        };
        const found = nearestEdge(still, x, y, 6);
        const best = Math.min(...view.edges.map((edge) => away(edge.index)));
        // The curve is taken for pieces, half a pixel off at most here.
        if (found) expect(away(found.index)).toBeLessThan(best + 1);
        else expect(best).toBeGreaterThan(5);
      }
    }
  });

  it('lets nodes be moved, edges with them', () => {
    const [first] = view.nodes;
    const edge = view.edges[first?.outgoing[0] ?? -1];
    if (!first || !edge) throw new Error('no edge');
    const after = withMoved(withMoved(view, first.index, 5, 7), first.index, 1, -2);
    const before = ends(view, edge, even(view));
    expect(ends(after, edge, even(after))).toEqual(
      before && [before[0] + 6, before[1] + 5, before[2], before[3]],
    );
  });

  it('fits into any view', () => {
    for (const size of [
      { width: 1000, height: 700 },
      { width: 400, height: 900 },
    ]) {
      const chosen = fillingSpacing(view, new Set(), size);
      const box = bounds(chosen);
      const { x, y, k } = fit(box, size);
      expect(k * box.left + x).toBeGreaterThanOrEqual(0);
      expect(k * (box.left + box.width) + x).toBeLessThanOrEqual(size.width);
      expect(k * box.top + y).toBeGreaterThanOrEqual(-1e-9);
      expect(k * (box.top + box.height) + y).toBeLessThanOrEqual(size.height);
    }
  });

  it('is walked by keys', () => {
    const shown = view.nodes.map(() => true);
    const classNode = 5;
    expect(step(view, shown, classNode, 'ArrowUp')).toBeNull();
    expect(view.nodes[step(view, shown, classNode, 'ArrowDown') ?? -1]?.row).toBe(1);
    expect(step(view, shown, 2, 'ArrowRight')).toBe(3);
    expect(step(view, shown, 2, 'ArrowLeft')).toBeNull();
    expect(step(view, shown, 4, '[')).toBe(1);
    expect(step(view, shown, 4, ']')).toBe(classNode);
    expect(step(view, shown, 4, 'x')).toBeNull();
    const hidden = shown.map((_, index) => index !== 3);
    expect(step(view, hidden, 2, 'ArrowRight')).toBe(4);
  });

  it('puts cards inside the view, beside the node', () => {
    for (const node of view.nodes) {
      const card = { width: 300, height: 180 };
      const at = cardPlace({ ...scene(view), transform: { x: 400, y: 100, k: 1 } }, node, card);
      expect(at.left).toBeGreaterThanOrEqual(0);
      expect(at.left + card.width).toBeLessThanOrEqual(1000);
      expect(at.top).toBeGreaterThanOrEqual(0);
      expect(at.top + card.height).toBeLessThanOrEqual(600);
      const [x, y] = centre(node, even(view));
      const [cx, cy] = [x + 400, y + 100];
      const beside = cx < at.left || cx > at.left + card.width;
      expect(beside || cy < at.top || cy > at.top + card.height).toBe(true);
    }
  });
});

describe('two graphs', () => {
  const view = viewGraph(graph(0, [5, 6, 7]), graph(1, [7, 8], 12));
  const of = (which: Side) =>
    view.nodes
      .filter((node) => node.side === which && node.kind === 'channel')
      .map((node) => node.label);

  it('are told apart', () => {
    expect(of('a')).toEqual(['5', '6']);
    expect(of('b')).toEqual(['8']);
    expect(of('both')).toEqual(['1', '2', '7']);
    const shared = view.nodes.find((node) => node.row === 1 && node.label === '7');
    expect(shared?.count).toEqual([7, 9]);
    expect(shared?.share).toEqual([0.7, 0.75]);
    const both = view.edges.filter((edge) => edge.side === 'both');
    expect(both).toHaveLength(2);
    expect(
      both.every((edge) => edge.influence[0] !== undefined && edge.influence[1] !== undefined),
    ).toBe(true);
  });

  it('stand side by side, shared channels between', () => {
    for (const row of view.rows.slice(0, -1)) {
      const order = row.map((index) => view.nodes[index]?.side);
      const rank = { a: 0, both: 1, b: 2 };
      const ranks = order.map((name) => rank[name ?? 'a']);
      expect(ranks).toEqual([...ranks].sort());
      const xs = row.map((index) => view.nodes[index]?.x ?? 0);
      xs.slice(1).forEach((x, place) => expect(x - (xs[place] ?? 0)).toBeGreaterThanOrEqual(0.999));
    }
  });
});

describe('what tells two classes apart', () => {
  const row = (pairs: [number, number][]) => ({
    channel: pairs.map(([channel]) => channel),
    images: pairs.map(([, images]) => images),
  });
  const file = (images: number, ...layers: [number, number][][]) => ({
    schema_version: 1,
    images,
    layers: layers.map(row),
  });

  it('is the difference of shares over all channels', () => {
    const a = file(
      10,
      [
        [0, 5],
        [3, 10],
        [4, 2],
      ],
      [],
    );
    const b = file(
      20,
      [
        [0, 10],
        [2, 15],
        [4, 6],
      ],
      [[7, 20]],
    );
    const [first = [], second = []] = distinguishing(a, b, 10);
    // 0 is in half of the images of both.
    expect(first.map(({ channel }) => channel)).toEqual([3, 2, 4]);
    expect(first.map(({ distinctness }) => Number(distinctness.toFixed(6)))).toEqual([
      1, -0.75, -0.1,
    ]);
    expect(second).toEqual([{ layer: 1, channel: 7, share: [0, 1], distinctness: -1 }]);
    // To the right what the first has, to the left what the second has.
    expect(barOf(0.5)).toEqual({ left: 50, width: 25 });
    expect(barOf(-0.5)).toEqual({ left: 25, width: 25 });
    expect(distinguishing(a, b, 1)[0]?.map(({ channel }) => channel)).toEqual([3]);
    const back = distinguishing(b, a, 10)[0] ?? [];
    expect(back.map(({ distinctness }) => distinctness)).toEqual(
      first.map(({ distinctness }) => -distinctness),
    );
  });
});
