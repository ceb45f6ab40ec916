// One graph or two, in the shape the view draws: rows of nodes, edges between neighbouring rows.
import type {
  AttributionGraph,
  EdgeKind,
  Estimate,
  GraphEdge,
  Measure,
} from '../../data/generated/schema';

/** Of `a` and of `b`. */
export type Pair<T> = [T | undefined, T | undefined];

/** Whose graph it is. */
export interface ViewGroup {
  name: string;
  images: number;
  /** Under a signed measure: images measured, and |bias| over |R| of its channels. */
  signed?: { images: number; bias_share: number } | undefined;
}

/** Its scores and edges have a sign and are logits. */
export const isSigned = (measure: Measure) =>
  measure === 'flow' || measure === 'flow-ig' || measure === 'lrp';

/** Whose node or edge it is; everything is `a` while nothing is compared. */
export type Side = 'a' | 'b' | 'both';

export interface ViewNode {
  /** Index in `ViewGraph.nodes`. */
  index: number;
  kind: 'channel' | 'class';
  /** Layer; for a class, the number of layers. */
  row: number;
  /** Channel of the layer, or class. */
  id: number;
  /** Unit-spaced position in its row. */
  x: number;
  side: Side;
  /** Images in which it is a top channel, and their share of the group: of `a`, of `b`. */
  count: [number, number];
  share: [number, number];
  pagerank?: number | undefined;
  /** R in logits, of `a` and of `b`, and what of it no input explains. */
  score: Pair<Estimate>;
  bias: Pair<Estimate>;
  /** What the graph was selected by: PageRank or R; of two graphs the larger. */
  strength: number;
  /** Its place among the row's nodes, 0 the first, by strength. */
  rank: number;
  /** Moved by the user, in units of the drawing. */
  dx: number;
  dy: number;
  /** Edges from below and to above. */
  incoming: number[];
  outgoing: number[];
  label: string;
  addedForLogit: boolean;
}

export interface ViewEdge {
  index: number;
  from: number;
  to: number;
  side: Side;
  kind: EdgeKind;
  /** Relative to the heaviest edge of the graph, in [0, 1]. */
  weight: number;
  /** Images, of `a` and of `b`. */
  influence: Pair<number>;
  /** Logits, of `a` and of `b`. */
  effect: Pair<Estimate>;
  topImages: Pair<number>;
}

export interface ViewGraph {
  layers: string[];
  nodes: ViewNode[];
  edges: ViewEdge[];
  /** Nodes of each row from left to right; the classes are the last row. */
  rows: number[][];
  groups: ViewGroup[];
  measure: Measure;
  /** The span of x. */
  width: number;
  /** What a weight of 1 stands for: share of the images, or size of the effect. */
  heaviest: number;
  /** Edges, heaviest first. */
  byWeight: ViewEdge[];
}

const shareOf = (count: number, images: number) => (images > 0 ? Math.min(1, count / images) : 0);

/** The number an edge is drawn by: share of the group's images, or size of the effect. */
function rawWeight(graph: AttributionGraph, edge: GraphEdge): number {
  if (isSigned(graph.measure)) return Math.abs(edge.effect?.mean ?? 0);
  return shareOf(edge.influence ?? 0, graph.group.images);
}

type Draft = Omit<ViewNode, 'index' | 'rank' | 'dx' | 'dy' | 'incoming' | 'outgoing'>;

class Builder {
  readonly drafts = new Map<string, Draft>();
  readonly edges = new Map<string, ViewEdge & { ends: [string, string] }>();
  heaviest = 0;

  add(graph: AttributionGraph, side: 'a' | 'b') {
    const slot = side === 'a' ? 0 : 1;
    const keys = graph.nodes.map((node) => `${node.layer}:${node.channel}`);
    const topRow = graph.layers.length;
    graph.nodes.forEach((node, index) => {
      const draft = this.#draft(keys[index] ?? '', side, {
        kind: 'channel',
        row: node.layer,
        id: node.channel,
        x: node.x,
        label: String(node.channel),
      });
      draft.count[slot] = node.count;
      draft.share[slot] = shareOf(node.count, graph.group.images);
      draft.pagerank ??= node.pagerank;
      draft.score[slot] = node.score;
      draft.bias[slot] = node.bias;
      draft.addedForLogit ||= node.added_for_logit ?? false;
      draft.strength = Math.max(draft.strength, node.pagerank ?? node.score?.mean ?? node.count);
    });
    const classKeys = graph.classes.map((target) => `class:${target.class}`);
    graph.classes.forEach((target, index) => {
      const draft = this.#draft(classKeys[index] ?? '', side, {
        kind: 'class',
        row: topRow,
        id: target.class,
        x: target.x,
        label: target.name,
      });
      draft.count[slot] = graph.group.images;
      draft.share[slot] = 1;
    });
    const heaviest = Math.max(
      1e-12,
      ...graph.edges.map((edge) => rawWeight(graph, edge)),
      ...graph.logit_edges.map((edge) => rawWeight(graph, edge)),
    );
    this.heaviest = Math.max(this.heaviest, heaviest);
    const connect = (edge: GraphEdge, from: string, to: string) => {
      const key = `${from}>${to}`;
      const known = this.edges.get(key);
      const weight = rawWeight(graph, edge) / heaviest;
      if (known) {
        known.side = 'both';
        known.weight = Math.max(known.weight, weight);
        known.influence[slot] = edge.influence;
        known.effect[slot] = edge.effect;
        known.topImages[slot] = edge.top_images;
        return;
      }
      const own = <T>(value: T | undefined): Pair<T> =>
        slot === 0 ? [value, undefined] : [undefined, value];
      this.edges.set(key, {
        index: 0,
        from: 0,
        to: 0,
        side,
        kind: edge.kind,
        weight,
        influence: own(edge.influence),
        effect: own(edge.effect),
        topImages: own(edge.top_images),
        ends: [from, to],
      });
    };
    for (const edge of graph.edges) connect(edge, keys[edge.from] ?? '', keys[edge.to] ?? '');
    for (const edge of graph.logit_edges)
      connect(edge, keys[edge.from] ?? '', classKeys[edge.to] ?? '');
  }

  #draft(
    key: string,
    side: 'a' | 'b',
    start: Pick<ViewNode, 'kind' | 'row' | 'id' | 'x' | 'label'>,
  ): Draft {
    const known = this.drafts.get(key);
    if (known) {
      known.side = 'both';
      known.x = (known.x + start.x) / 2;
      return known;
    }
    const draft: Draft = {
      ...start,
      side,
      count: [0, 0],
      share: [0, 0],
      score: [undefined, undefined],
      bias: [undefined, undefined],
      strength: 0,
      addedForLogit: false,
    };
    this.drafts.set(key, draft);
    return draft;
  }
}

/** One graph, or two in one picture. */
export function viewGraph(a: AttributionGraph, b?: AttributionGraph): ViewGraph {
  const builder = new Builder();
  builder.add(a, 'a');
  if (b) builder.add(b, 'b');
  const keys = [...builder.drafts.keys()];
  const position = new Map(keys.map((key, index) => [key, index]));
  const nodes = [...builder.drafts.values()].map((draft, index): ViewNode => ({
    ...draft,
    index,
    rank: 0,
    dx: 0,
    dy: 0,
    incoming: [],
    outgoing: [],
  }));
  const edges = [...builder.edges.values()].map(({ ends, ...edge }, index): ViewEdge => {
    const from = position.get(ends[0]) ?? 0;
    const to = position.get(ends[1]) ?? 0;
    nodes[from]?.outgoing.push(index);
    nodes[to]?.incoming.push(index);
    return { ...edge, index, from, to };
  });
  const rows: ViewNode[][] = Array.from({ length: a.layers.length + 1 }, () => []);
  for (const node of nodes) rows[node.row]?.push(node);
  for (const row of rows) {
    const byOrder = [...row].sort((l, r) => r.strength - l.strength);
    byOrder.forEach((node, rank) => (node.rank = rank));
    if (b) spread(row);
  }
  if (b) setApart(rows);
  for (const row of rows) {
    row.sort((l, r) => l.x - r.x);
  }
  const all = nodes.map((node) => node.x);
  const left = Math.min(...all);
  for (const node of nodes) node.x -= left;
  return {
    layers: a.layers.map((layer) => layer.name),
    nodes,
    edges,
    rows: rows.map((row) => row.map((node) => node.index)),
    groups: [a, ...(b ? [b] : [])].map(({ group: { name, images }, signed }) => ({
      name,
      images,
      signed,
    })),
    measure: a.measure,
    width: Math.max(0, ...all) - left,
    heaviest: builder.heaviest,
    byWeight: [...edges].sort((l, r) => r.weight - l.weight || l.index - r.index),
  };
}

/** The graph with one node moved, in units of the drawing. */
export function withMoved(graph: ViewGraph, index: number, dx: number, dy: number): ViewGraph {
  const nodes = graph.nodes.map((node) =>
    node.index === index ? { ...node, dx: node.dx + dx, dy: node.dy + dy } : node,
  );
  return { ...graph, nodes };
}

/** How thick the frame of a node is, by its strength among the nodes of its row. */
export function frameWidths(graph: ViewGraph): (node: ViewNode) => number {
  const strongest = graph.rows.map((row) =>
    Math.max(1e-12, ...row.map((index) => graph.nodes[index]?.strength ?? 0)),
  );
  return (node) => 1 + 2 * (node.strength / (strongest[node.row] ?? 1));
}

/** The nodes at the other ends of a node's shown edges. */
export function neighboursOf(graph: ViewGraph, shown: Visible, index: number): number[] {
  const node = graph.nodes[index];
  if (!node) return [];
  const ends = (edges: number[], end: 'from' | 'to') =>
    edges.flatMap((edge) => (shown.edges[edge] ? (graph.edges[edge]?.[end] ?? []) : []));
  return [...ends(node.incoming, 'from'), ...ends(node.outgoing, 'to')];
}

/** Like circles of a Venn diagram: only `a` on the left, shared in the middle, only `b` right. */
function spread(row: ViewNode[]) {
  const sides: Side[] = ['a', 'both', 'b'];
  const groups = sides.map((side) =>
    row.filter((node) => node.side === side).sort((l, r) => l.x - r.x),
  );
  const [a = [], both = [], b = []] = groups;
  const gap = 0.6;
  const middle = both.length / 2;
  both.forEach((node, place) => (node.x = place - (both.length - 1) / 2));
  const edge = Math.max(middle, 0.5) + gap - 0.5;
  a.forEach((node, place) => (node.x = -edge - 0.5 - (a.length - 1 - place)));
  b.forEach((node, place) => (node.x = edge + 0.5 + place));
}

/** The classes stand over their own sides, far enough apart for their names. */
function setApart(rows: ViewNode[][]) {
  const last = rows.at(-2) ?? [];
  const classes = rows.at(-1) ?? [];
  for (const side of ['a', 'both', 'b'] as const) {
    const own = last.filter((other) => other.side === side).length;
    const away = { a: -1, both: 0, b: 1 }[side] * Math.max(2, own / 2 + 0.5);
    const members = classes.filter((node) => node.side === side);
    members.forEach((node, place) => (node.x = away + 2 * (place - (members.length - 1) / 2)));
  }
}

export interface Visible {
  nodes: boolean[];
  edges: boolean[];
  nodeCount: number;
  edgeCount: number;
}
