// Which colours, dashes and widths of the edges want a key.
import { short } from '../../data/numbers';
import { type ViewGraph, type Visible, isSigned } from './model';

export interface LegendKey {
  kind: 'a' | 'both' | 'b' | 'supports' | 'opposes' | 'dashed' | 'incoming' | 'outgoing';
  text: string;
  /** False for what only a highlight would bring. */
  shown: boolean;
}

/** The keys of a graph of which `node` stands out. */
export function legendKeys(graph: ViewGraph, shown: Visible, node: number | null): LegendKey[] {
  const [a, b] = graph.groups;
  const edges = graph.edges.filter((edge) => shown.edges[edge.index]);
  const key = (kind: LegendKey['kind'], text: string, visible = true) => ({
    kind,
    text,
    shown: visible,
  });
  const keys: LegendKey[] = [];
  if (b) keys.push(key('a', `only ${a?.name}`), key('both', 'both'), key('b', `only ${b.name}`));
  if (isSigned(graph.measure)) {
    const opposing = edges.some(({ kind }) => kind === 'opposes');
    if (!b) keys.push(key('supports', 'supports'));
    if (opposing) keys.push(key(b ? 'dashed' : 'opposes', 'opposes'));
    return keys;
  }
  // Of two graphs only shared edges are coloured by direction.
  const plain = edges.filter(({ side }) => !b || side === 'both');
  if (plain.length > 0)
    keys.push(
      key('incoming', 'from below', node !== null && plain.some(({ to }) => to === node)),
      key('outgoing', 'to above', node !== null && plain.some(({ from }) => from === node)),
    );
  return keys;
}

/** Shares of images whose squares are shown. */
export const SIZES = [0.1, 0.5, 1];

/** Weights of edges whose widths are shown. */
export const WIDTHS = [0.1, 1];

/** What a weight stands for. */
export const amountOf = (graph: ViewGraph, weight: number) =>
  isSigned(graph.measure)
    ? short(weight * graph.heaviest)
    : `${Math.round(100 * weight * graph.heaviest)} %`;

export const unitOf = (graph: ViewGraph) => (isSigned(graph.measure) ? 'logits' : 'of the images');

/** What a thick frame stands for. */
export const frameName = (graph: ViewGraph) =>
  isSigned(graph.measure) ? 'contribution' : 'PageRank';
