// The graph as numbers, in files: CSV and JSON.
import { csv } from '../../components/download';
import type { Dataset } from '../../data/dataset';
import type { ViewGraph, Visible } from './model';

/** The shown edges, one a line, with both ends. */
export function csvText(dataset: Dataset, graph: ViewGraph, shown: Visible): string {
  const header = [
    'from_layer',
    'from_channel',
    'from_name',
    'to_layer',
    'to',
    'to_name',
    'side',
    'influence_a',
    'influence_b',
    'effect_a',
    'effect_a_low',
    'effect_a_high',
    'effect_b',
    'effect_b_low',
    'effect_b_high',
  ];
  const name = (index: number) => {
    const node = graph.nodes[index];
    if (!node) return ['', '', ''];
    if (node.kind === 'class') return ['output', node.label, ''];
    return [
      dataset.layer(node.row)?.name ?? '',
      String(node.id),
      dataset.names.of(node.row, node.id),
    ];
  };
  const rows = graph.edges
    .filter((edge) => shown.edges[edge.index])
    .map((edge) => [
      ...name(edge.from),
      ...name(edge.to),
      graph.groups.length > 1 ? edge.side : '',
      edge.influence[0],
      edge.influence[1],
      ...edge.effect.flatMap((effect) => [
        effect?.mean,
        effect?.interval?.[0],
        effect?.interval?.[1],
      ]),
    ]);
  return csv([header, ...rows]);
}

/** What is shown, as numbers. */
export function jsonText(dataset: Dataset, graph: ViewGraph, shown: Visible): string {
  const nodes = graph.nodes
    .filter((node) => shown.nodes[node.index])
    .map(({ index, kind, row, id, side, count, share, pagerank, score, bias, x }) => ({
      node: index,
      kind,
      layer: dataset.layer(row)?.name ?? 'output',
      id,
      name: (kind === 'channel' && dataset.names.of(row, id)) || undefined,
      side,
      images: count,
      share,
      pagerank,
      score,
      bias,
      x,
    }));
  const edges = graph.edges
    .filter((edge) => shown.edges[edge.index])
    .map(({ from, to, side, influence, effect, topImages, kind }) => ({
      from,
      to,
      side,
      influence,
      effect,
      topImages,
      kind,
    }));
  return JSON.stringify({ groups: graph.groups, measure: graph.measure, nodes, edges }, null, 1);
}
