// What sliders, layer filter and the choice of opposing edges leave of a graph.
import type { ViewGraph, ViewNode, Visible } from './model';

export interface Filter {
  /** Share of each layer's channels shown, the best first of those that lead to the class. */
  nodes: number;
  /** Share of the edges shown, the heaviest first. */
  edges: number;
  /** Layers left out. */
  hidden: ReadonlySet<number>;
  /** Edges that lower the score are shown. */
  opposing: boolean;
}

/** What the filter leaves. */
export function visible(graph: ViewGraph, filter: Filter): Visible {
  const chosen = filter.nodes < 1 ? leading(graph, filter.nodes) : null;
  const nodes = graph.nodes.map(
    ({ kind, row, index }) =>
      kind === 'class' || (!filter.hidden.has(row) && (chosen?.has(index) ?? true)),
  );
  const kept = Math.round(graph.edges.length * filter.edges);
  const edges = graph.edges.map(() => false);
  for (const edge of graph.byWeight.slice(0, kept))
    edges[edge.index] =
      (nodes[edge.from] ?? false) &&
      (nodes[edge.to] ?? false) &&
      (filter.opposing || edge.kind !== 'opposes');
  const channels = graph.nodes.filter((node) => node.kind === 'channel' && nodes[node.index]);
  return {
    nodes,
    edges,
    nodeCount: channels.length,
    edgeCount: edges.filter(Boolean).length,
  };
}

/**
 * A share of each layer's channels, chosen from the class downward: the strongest of those with an
 * edge to one chosen above, so that none is left without a way to the class. The first of a layer is
 * one whose inputs reach as far down as any's, else the layers below would have nothing to lead to.
 * Channels without a way to the class in the whole graph come last, and where nothing is left of
 * their edges they go. Of two graphs each chooses for itself.
 */
function leading(graph: ViewGraph, share: number): Set<number> {
  const chosen = new Set<number>();
  const deepest = reach(graph);
  for (const slot of graph.groups.keys()) {
    const own = new Set<number>();
    // Those with a way to the class when all are shown.
    const could = new Set<number>();
    for (const row of [...graph.rows].reverse()) {
      const members = row
        .flatMap((index) => graph.nodes[index] ?? [])
        .filter(({ side }) => side === 'both' || side === (slot === 0 ? 'a' : 'b'));
      const joined = (node: ViewNode, above: ReadonlySet<number>) =>
        node.kind === 'class' ||
        node.outgoing.some((edge) => above.has(graph.edges[edge]?.to ?? -1));
      for (const node of members) if (joined(node, could)) could.add(node.index);
      const order = new Map(
        members.map((node) => [node, joined(node, own) ? (could.has(node.index) ? 0 : 1) : 2]),
      );
      const candidates = members
        .filter((node) => order.get(node) !== 2 || !could.has(node.index))
        .sort((l, r) => (order.get(l) ?? 0) - (order.get(r) ?? 0) || l.rank - r.rank);
      const best = candidates.filter(
        (node) => order.get(node) === order.get(candidates[0] ?? node),
      );
      const depth = Math.min(...best.map(({ index }) => deepest[index] ?? 0));
      const first = best.find(({ index }) => deepest[index] === depth);
      const classes = members[0]?.kind === 'class';
      const wanted = classes ? members.length : Math.max(1, Math.round(members.length * share));
      const picked = new Set(first ? [first, ...candidates] : []);
      for (const { index } of [...picked].slice(0, wanted)) own.add(index);
    }
    for (const index of own) chosen.add(index);
  }
  return joinedOf(graph, chosen);
}

/** Without those that have no edge to another of them. */
function joinedOf(graph: ViewGraph, chosen: ReadonlySet<number>): Set<number> {
  const ends = new Set<number>();
  for (const { from, to } of graph.edges)
    if (chosen.has(from) && chosen.has(to)) {
      ends.add(from);
      ends.add(to);
    }
  return ends;
}

/** The lowest row each node's inputs reach. */
function reach(graph: ViewGraph): number[] {
  const lowest = graph.nodes.map((node) => node.row);
  for (const row of graph.rows)
    for (const index of row)
      for (const edge of graph.nodes[index]?.incoming ?? []) {
        const below = lowest[graph.edges[edge]?.from ?? -1] ?? Infinity;
        lowest[index] = Math.min(lowest[index] ?? Infinity, below);
      }
  return lowest;
}
