// How a graph lies in its view, and what of it is shown.
import { describe, expect, it } from 'vitest';
import { cardPlace } from '../../src/views/graph/card';
import { along, bounds, centre, ends, onScreen, side } from '../../src/views/graph/geometry';
import { legendKeys } from '../../src/views/graph/legend';
import { type ViewGraph, neighboursOf, viewGraph } from '../../src/views/graph/model';
import { INSETS, fillingSpacing, fit, held, sameMiddle } from '../../src/views/graph/viewport';
import { visible } from '../../src/views/graph/visible';
import { graph } from './helpers';

const everything = { nodes: 1, edges: 1, hidden: new Set<number>(), opposing: true };

/** A graph of rows of given lengths, joined to the row above in turn; R falls along each row. */
function layered(lengths: number[], measure: ViewGraph['measure'] = 'conv-max'): ViewGraph {
  const base = graph(0, [5]);
  const nodes = lengths.flatMap((length, layer) =>
    Array.from({ length }, (_, channel) => ({
      layer,
      channel,
      count: 10 - (channel % 10),
      pagerank: 1 / (1 + channel),
      in_edges: 0,
      out_edges: 0,
      x: channel,
    })),
  );
  const at = (layer: number, channel: number) =>
    nodes.findIndex((node) => node.layer === layer && node.channel === channel);
  const top = lengths.length - 1;
  return viewGraph({
    ...base,
    measure,
    layers: lengths.map((channels, layer) => ({ name: `l${layer}`, channels, threshold: 0 })),
    nodes,
    edges: nodes
      .filter(({ layer }) => layer < top)
      .map(({ layer, channel }) => ({
        from: at(layer, channel),
        // The strongest of a row lead to the weakest above.
        to: at(layer + 1, (lengths[layer + 1] ?? 1) - 1 - (channel % (lengths[layer + 1] ?? 1))),
        influence: 1 + channel,
        kind: 'unsigned' as const,
      })),
    logit_edges: Array.from({ length: lengths[top] ?? 0 }, (_, channel) => ({
      from: at(top, channel),
      to: 0,
      influence: 5,
      kind: 'unsigned' as const,
    })),
  });
}

const VIEWS = [
  { width: 1080, height: 735 },
  { width: 1540, height: 910 },
  { width: 724, height: 520 },
  { width: 740, height: 735 },
];

describe('the drawing', () => {
  const slim = layered([1, 2, 6, 3, 6, 3, 4, 2, 2, 2, 2, 4]);
  const wide = layered([4, 8, 16, 16, 16, 12]);
  const none = new Set<number>();

  it('uses the width and the height of the view, and nodes never overlap', () => {
    for (const of of [slim, wide])
      for (const view of VIEWS) {
        const spacing = fillingSpacing(of, none, view);
        const box = bounds(spacing);
        const { k } = fit(box, view);
        const room = {
          width: view.width - INSETS.left - INSETS.right,
          height: view.height - INSETS.bottom,
        };
        expect(k * box.width).toBeGreaterThan(0.9 * room.width);
        expect(k * box.height).toBeGreaterThan(0.9 * room.height);
        for (const node of of.nodes)
          for (const other of of.nodes.slice(node.index + 1)) {
            const [x, y] = centre(node, spacing);
            const [ox, oy] = centre(other, spacing);
            const reach = (side(node) + side(other)) / 2;
            expect(Math.max(Math.abs(x - ox), Math.abs(y - oy))).toBeGreaterThan(reach);
          }
      }
  });

  it('has pictures of 29 pixels at least in a window of 1440 x 900', () => {
    const [view = { width: 0, height: 0 }] = VIEWS;
    const { k } = fit(bounds(fillingSpacing(slim, none, view)), view);
    expect(k * side({ kind: 'channel', share: [0, 0] })).toBeGreaterThan(29);
  });

  it('closes up where layers are hidden', () => {
    const [view = { width: 0, height: 0 }] = VIEWS;
    const hidden = new Set([2, 3, 4, 5, 6, 7]);
    const spacing = fillingSpacing(slim, hidden, view);
    const before = fillingSpacing(slim, none, view);
    expect(spacing.levels.filter((_, row) => !hidden.has(row))).toEqual([6, 5, 4, 3, 2, 1, 0]);
    const scale = (of: typeof spacing) => fit(bounds(of), view).k;
    expect(scale(spacing)).toBeGreaterThan(1.4 * scale(before));
    // The widest rows are gone, so the others have their room.
    expect(spacing.to - spacing.from).toBeLessThan(before.to - before.from);
  });

  it('cannot be moved out of the view', () => {
    const [view = { width: 0, height: 0 }] = VIEWS;
    for (const of of [slim, wide, layered([400, 400])]) {
      const spacing = fillingSpacing(of, none, view);
      const ground = { graph: of, shown: visible(of, everything), spacing, ...view };
      const home = fit(bounds(spacing), view);
      expect(held(ground, home)).toBe(home);
      for (const k of [home.k * 0.8, home.k * 3, 4])
        for (const [x, y] of [
          [-1e5, 0],
          [1e5, 20],
          [0, -1e5],
          [300, 1e5],
          [130, 150],
        ] as const) {
          const transform = held(ground, { k, x, y });
          const between = Math.max(0, (spacing.row * k - view.height) / 2);
          const inside = of.nodes.some((node) => {
            const [nx, ny] = onScreen({ ...ground, transform }, node);
            return nx >= 0 && nx <= view.width && ny >= -between && ny <= view.height + between;
          });
          expect(inside).toBe(true);
        }
    }
  });

  it('stays where it is when a panel opens beside a part that was zoomed to', () => {
    const ground = (view: { width: number; height: number }) => ({
      graph: slim,
      shown: visible(slim, everything),
      spacing: fillingSpacing(slim, none, view),
      ...view,
    });
    const [before, , , after] = VIEWS.map(ground);
    const node = slim.nodes[12];
    if (!before || !after || !node) throw new Error('no view');
    const [cx, cy] = centre(node, before.spacing);
    const transform = { k: 2, x: before.width / 2 - 2 * cx, y: before.height / 2 - 2 * cy };
    const [x, y] = onScreen({ ...after, transform: sameMiddle(before, after, transform) }, node);
    expect(x).toBeCloseTo(after.width / 2);
    expect(y).toBeCloseTo(after.height / 2);
  });
});

describe('fewer channels', () => {
  it('leave every channel a way to the class, down to the lowest layer', () => {
    for (const lengths of [
      [1, 2, 6, 3, 6, 3, 4],
      [5, 9, 4, 7],
    ]) {
      const of = layered(lengths);
      for (const share of [0.05, 0.3, 0.38, 0.7, 0.99]) {
        const { nodes, edges } = visible(of, { ...everything, nodes: share });
        for (const node of of.nodes.filter(({ kind, index }) => kind === 'channel' && nodes[index]))
          expect(node.outgoing.some((edge) => edges[edge])).toBe(true);
        for (const row of of.rows) {
          const drawn = row.filter((index) => nodes[index]).length;
          expect(drawn).toBeGreaterThan(0);
          expect(drawn).toBeLessThanOrEqual(Math.max(1, Math.round(row.length * share)));
        }
      }
      expect(visible(of, everything).nodeCount).toBe(of.nodes.length - 1);
    }
  });

  it('leave none alone, whatever led nowhere before', () => {
    // The strongest of both rows, 0, has no way to the class, nor has the third below.
    const base = graph(0, [5, 6, 7]);
    const of = viewGraph({
      ...base,
      nodes: base.nodes.map((node, place) => ({ ...node, pagerank: 1 / (1 + place) })),
      edges: [
        { from: 0, to: 2, influence: 9, kind: 'unsigned' },
        { from: 1, to: 4, influence: 1, kind: 'unsigned' },
      ],
      logit_edges: [{ from: 4, to: 0, influence: 5, kind: 'unsigned' }],
    });
    const drawn = (share: number) =>
      visible(of, { ...everything, nodes: share }).nodes.flatMap((shown, index) =>
        shown ? [index] : [],
      );
    // The only way first, however weak; then what led nowhere, while it has an edge left.
    expect(drawn(0.1)).toEqual([1, 4, 5]);
    expect(drawn(0.99)).toEqual([0, 1, 2, 4, 5]);
    expect(drawn(1)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('leave both of two classes theirs', () => {
    const two = viewGraph(graph(0, [5, 6, 7]), graph(1, [8, 9], 12));
    const { nodes } = visible(two, { ...everything, nodes: 0.1 });
    const sides = two.nodes
      .filter(({ row, index }) => row === 1 && nodes[index])
      .map((n) => n.side);
    expect(sides.sort()).toEqual(['a', 'b']);
  });
});

describe('the legend', () => {
  const kinds = (of: ViewGraph, node: number | null, opposing = true) =>
    legendKeys(of, visible(of, { ...everything, opposing }), node)
      .filter(({ shown }) => shown)
      .map(({ kind }) => kind);
  const one = viewGraph(graph(0, [5, 6]));
  const withSigns = (of: ViewGraph): ViewGraph => ({
    ...of,
    measure: 'lrp',
    edges: of.edges.map((edge, place) => ({ ...edge, kind: place === 0 ? 'opposes' : 'supports' })),
    byWeight: of.byWeight.map((edge) => ({
      ...edge,
      kind: edge.index === 0 ? 'opposes' : 'supports',
    })),
  });

  it('names directions only of what is highlighted', () => {
    expect(kinds(one, null)).toEqual([]);
    expect(kinds(one, 2)).toEqual(['incoming', 'outgoing']);
    // Nothing leads to the lowest layer.
    expect(kinds(one, 0)).toEqual(['outgoing']);
  });

  it('names signs, also between two classes', () => {
    expect(kinds(withSigns(one), null)).toEqual(['supports', 'opposes']);
    expect(kinds(withSigns(one), null, false)).toEqual(['supports']);
    const two = viewGraph(graph(0, [5, 6]), graph(1, [6, 7]));
    expect(kinds(two, null)).toEqual(['a', 'both', 'b']);
    expect(kinds(withSigns(two), 2)).toEqual(['a', 'both', 'b', 'dashed']);
  });
});

describe('the card of a node', () => {
  it('covers neither the node, nor its neighbours, nor the edges to them', () => {
    const of = layered([1, 2, 6, 3, 6, 3, 4, 2, 2, 2, 2, 4]);
    for (const view of VIEWS.slice(0, 2)) {
      const spacing = fillingSpacing(of, new Set(), view);
      const ground = { graph: of, shown: visible(of, everything), spacing, ...view };
      const scene = { ...ground, transform: fit(bounds(spacing), view) };
      const { k, x, y } = scene.transform;
      const card = { width: 302, height: 218 };
      for (const node of of.nodes) {
        const { left, top } = cardPlace(scene, node, card);
        expect(left).toBeGreaterThanOrEqual(0);
        expect(left + card.width).toBeLessThanOrEqual(view.width);
        const covers = (px: number, py: number, half: number) =>
          px + half > left &&
          px - half < left + card.width &&
          py + half > top &&
          py - half < top + card.height;
        for (const index of [node.index, ...neighboursOf(of, scene.shown, node.index)]) {
          const other = of.nodes[index];
          if (!other) throw new Error('no node');
          expect(covers(...onScreen(scene, other), (side(other) / 2) * k)).toBe(false);
        }
        for (const index of [...node.incoming, ...node.outgoing]) {
          const edge = of.edges[index];
          const place = edge && ends(of, edge, spacing);
          if (!place) throw new Error('no edge');
          for (let t = 0; t <= 1; t += 0.02) {
            const [ex, ey] = along(place, t);
            // Between the points looked at, a corner may be touched.
            expect(covers(ex * k + x, ey * k + y, -25)).toBe(false);
          }
        }
      }
    }
  });
});
