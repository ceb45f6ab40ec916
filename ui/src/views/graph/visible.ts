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
 * Of two graphs each chooses for itself.
 */
function leading(graph: ViewGraph, share: number): Set<number> {
  const chosen = new Set<number>();
  for (const slot of graph.groups.keys()) {
    const deepest = reach(graph);
    const own = new Set(
      graph.nodes
        .filter(({ kind, side }) => kind === 'class' && belongs(side, slot))
        .map((n) => n.index),
    );
    for (let row = graph.rows.length - 2; row >= 0; row--) {
      const members = (graph.rows[row] ?? [])
        .flatMap((index) => graph.nodes[index] ?? [])
        .filter(({ kind, side }) => kind === 'channel' && belongs(side, slot));
      const wanted = Math.max(1, Math.round(members.length * share));
      const leads = members
        .filter(({ outgoing }) => outgoing.some((edge) => own.has(graph.edges[edge]?.to ?? -1)))
        .sort((l, r) => l.rank - r.rank);
      const first = leads.reduce<ViewNode | undefined>(
        (best, node) =>
          !best || (deepest[node.index] ?? 0) < (deepest[best.index] ?? 0) ? node : best,
        undefined,
      );
      const picked = [
        ...leads.filter((node) => node === first),
        ...leads.filter((node) => node !== first),
      ];
      for (const { index } of picked.slice(0, wanted)) own.add(index);
    }
    for (const index of own) chosen.add(index);
  }
  return chosen;
}

const belongs = (side: ViewNode['side'], slot: number) =>
  side === 'both' || side === (slot === 0 ? 'a' : 'b');

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
