// Which colours and dashes of the edges want a key.
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
