// Where an arrow key leads from a node, and what is said there.
import type { Dataset } from '../../data/dataset';
import { plural } from '../../data/numbers';
import type { ViewGraph, ViewNode } from './model';

/**
 * Left and right stay in the row, up and down go to the nearest node of the next row that shows one,
 * `[` and `]` along the heaviest edge from below and to above.
 */
export function step(graph: ViewGraph, shown: boolean[], from: number, key: string): number | null {
  const node = graph.nodes[from];
  if (!node) return null;
  switch (key) {
    case 'ArrowLeft':
    case 'ArrowRight': {
      const row = (graph.rows[node.row] ?? []).filter((index) => shown[index]);
      const next = row.indexOf(from) + (key === 'ArrowLeft' ? -1 : 1);
      return row[next] ?? null;
    }
    case 'ArrowUp':
      return nearestInRow(graph, shown, node, 1);
    case 'ArrowDown':
      return nearestInRow(graph, shown, node, -1);
    case '[':
      return heaviest(graph, shown, node.incoming, 'from');
    case ']':
      return heaviest(graph, shown, node.outgoing, 'to');
    default:
      return null;
  }
}

function nearestInRow(graph: ViewGraph, shown: boolean[], node: ViewNode, by: number) {
  for (let row = node.row + by; row >= 0 && row < graph.rows.length; row += by) {
    const members = (graph.rows[row] ?? []).filter((index) => shown[index]);
    const away = (index: number) => Math.abs((graph.nodes[index]?.x ?? 0) - node.x);
    const [first] = members.sort((l, r) => away(l) - away(r));
    if (first !== undefined) return first;
  }
  return null;
}

function heaviest(graph: ViewGraph, shown: boolean[], edges: number[], end: 'from' | 'to') {
  let best: number | null = null;
  let weight = -1;
  for (const index of edges) {
    const edge = graph.edges[index];
    if (edge && shown[edge[end]] && edge.weight > weight) {
      best = edge[end];
      weight = edge.weight;
    }
  }
  return best;
}

/** A node in words. */
export function describe(dataset: Dataset, node: ViewNode): string {
  if (node.kind === 'class')
    return `Class ${node.label}, ${plural(node.incoming.length, 'incoming edge')}`;
  const layer = dataset.layer(node.row)?.short ?? '';
  const images = plural(Math.max(...node.count), 'image');
  return `${layer}, channel ${node.id}, ${images}, ${node.incoming.length} incoming, ${node.outgoing.length} outgoing`;
}
