// Adds inputs of a channel that the graph left out.
import type { FurtherInput } from '../../data/generated/schema';
import type { ViewEdge, ViewGraph, ViewNode } from './model';

/** How many are added at a time. */
export const STEP = 4;

/** The next inputs of a node that the graph does not show yet. */
export function nextInputs(
  graph: ViewGraph,
  index: number,
  inputs: readonly FurtherInput[],
): FurtherInput[] {
  const node = graph.nodes[index];
  const drawn = new Set(
    node?.incoming.map((edge) => graph.nodes[graph.edges[edge]?.from ?? -1]?.id),
  );
  return inputs.filter(({ channel }) => !drawn.has(channel)).slice(0, STEP);
}

/** The graph with these inputs of a node; what is there keeps its place. */
export function withInputs(
  graph: ViewGraph,
  index: number,
  inputs: readonly FurtherInput[],
): ViewGraph {
  const upper = graph.nodes[index];
  if (!upper || upper.row === 0) return graph;
  const images = Math.max(1, graph.groups[0]?.images ?? 1);
  const nodes = graph.nodes.map((node) => ({
    ...node,
    incoming: [...node.incoming],
    outgoing: [...node.outgoing],
  }));
  const edges = [...graph.edges];
  const rows = graph.rows.map((row) => [...row]);
  const row = rows[upper.row - 1] ?? [];
  for (const { channel, influence, count, effect, top_images: topImages } of inputs) {
    let from = row.find((place) => nodes[place]?.id === channel);
    if (from === undefined) {
      from = nodes.length;
      const taken = row.map((place) => nodes[place]?.x ?? 0);
      nodes.push(channelNode(from, upper, channel, count / images, count, taken));
      row.push(from);
    }
    const edge: ViewEdge = {
      index: edges.length,
      from,
      to: index,
      side: upper.side,
      kind: effect === undefined ? 'unsigned' : effect.mean < 0 ? 'opposes' : 'supports',
      weight: Math.min(
        1,
        (effect ? Math.abs(effect.mean) : (influence ?? 0) / images) / graph.heaviest,
      ),
      influence: [influence, undefined],
      effect: [effect, undefined],
      topImages: [topImages, undefined],
    };
    edges.push(edge);
    nodes[from]?.outgoing.push(edge.index);
    nodes[index]?.incoming.push(edge.index);
  }
  const left = Math.min(...nodes.map((node) => node.x));
  for (const node of nodes) node.x -= left;
  for (const members of rows) members.sort((l, r) => (nodes[l]?.x ?? 0) - (nodes[r]?.x ?? 0));
  return {
    ...graph,
    nodes,
    edges,
    rows,
    width: Math.max(...nodes.map((node) => node.x)),
    byWeight: [...edges].sort((l, r) => r.weight - l.weight || l.index - r.index),
  };
}

function channelNode(
  index: number,
  upper: ViewNode,
  id: number,
  share: number,
  count: number,
  taken: readonly number[],
): ViewNode {
  return {
    index,
    kind: 'channel',
    row: upper.row - 1,
    id,
    x: freePlace(upper.x, taken),
    side: upper.side,
    count: [count, 0],
    share: [Math.min(1, share), 0],
    score: [undefined, undefined],
    bias: [undefined, undefined],
    strength: 0,
    rank: taken.length,
    dx: 0,
    dy: 0,
    incoming: [],
    outgoing: [],
    label: String(id),
    addedForLogit: false,
  };
}

/** The place nearest to `wanted` that is at least 1 from all others. */
function freePlace(wanted: number, taken: readonly number[]): number {
  const free = (x: number) => taken.every((other) => Math.abs(other - x) >= 1 - 1e-9);
  const places = [wanted, ...taken.flatMap((x) => [x - 1, x + 1])].filter(free);
  return places.sort((l, r) => Math.abs(l - wanted) - Math.abs(r - wanted))[0] ?? wanted;
}
