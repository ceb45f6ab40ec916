// The graph as files: SVG and PNG as seen (whole, whatever is in view), CSV and JSON as numbers.
import { csv, escape } from '../../components/download';
import type { Dataset } from '../../data/dataset';
import { DASHES, type EdgeColours, edgeWidth, restColour, restOpacity } from './edge_layer';
import { type Spacing, bounds, centre, ends, pathOf, rowOf, side } from './geometry';
import type { ViewGraph, Visible } from './model';

export interface SvgStyle {
  edges: EdgeColours;
  page: string;
  ink: string;
  line: string;
  accent: string;
  onAccent: string;
}

/** The drawing as a self-contained file. `pictures` maps addresses to data addresses. */
export function svgText(
  dataset: Dataset,
  graph: ViewGraph,
  shown: Visible,
  spacing: Spacing,
  style: SvgStyle,
  pictures: ReadonlyMap<string, string>,
): string {
  const box = bounds(spacing);
  const gutter = 120;
  const comparing = graph.groups.length > 1;
  const left = box.left - gutter;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${left} ${box.top} ${box.width + gutter} ${box.height}" width="${box.width + gutter}" height="${box.height}" font-family="Inter, Helvetica, Arial, sans-serif">`,
    `<title>${escape(`Attribution graph: ${graph.groups.map((group) => group.name).join(' and ')}`)}</title>`,
    `<rect x="${left}" y="${box.top}" width="${box.width + gutter}" height="${box.height}" fill="${style.page}"/>`,
    '<g fill="none">',
  ];
  const opacity = restOpacity(style.edges.opacity, shown.edgeCount).toFixed(2);
  for (const edge of graph.edges) {
    const place = shown.edges[edge.index] ? ends(graph, edge, spacing) : null;
    if (!place) continue;
    const dashes = DASHES[edge.kind].join(' ');
    lines.push(
      `<path d="${pathOf(place)}" stroke="${restColour(edge, graph, style.edges)}" stroke-opacity="${opacity}" stroke-width="${edgeWidth(graph, shown.edgeCount, edge.weight).toFixed(2)}"${dashes ? ` stroke-dasharray="${dashes}"` : ''}/>`,
    );
  }
  lines.push('</g>');
  for (const row of graph.rows.keys()) {
    const layer = dataset.layer(row);
    if (!layer || spacing.hidden.has(row)) continue;
    const y = rowOf(row, spacing);
    lines.push(
      `<text x="${left + 12}" y="${y + 4}" font-size="12" font-weight="600" fill="${style.ink}">${escape(layer.short)}</text>`,
    );
  }
  for (const node of graph.nodes) {
    if (!shown.nodes[node.index]) continue;
    const [x, y] = centre(node, spacing);
    const s = side(node);
    const half = s / 2;
    const colour =
      comparing && node.side !== 'both'
        ? node.side === 'a'
          ? style.edges.sideA
          : style.edges.sideB
        : null;
    if (node.kind === 'class') {
      const width = Math.max(60, node.label.length * 8.2 + 24);
      lines.push(
        `<rect x="${x - width / 2}" y="${y - 15}" width="${width}" height="30" rx="8" fill="${colour ?? style.accent}"/>`,
        `<text x="${x}" y="${y + 5}" font-size="15" font-weight="600" text-anchor="middle" fill="${style.onAccent}">${escape(node.label)}</text>`,
      );
      continue;
    }
    const address = dataset.channelPicture(node.row, node.id);
    const picture = address === null ? undefined : pictures.get(address);
    const area = `x="${(x - half).toFixed(1)}" y="${(y - half).toFixed(1)}" width="${s.toFixed(1)}" height="${s.toFixed(1)}"`;
    if (picture)
      lines.push(`<image ${area} href="${picture}" preserveAspectRatio="xMidYMid slice"/>`);
    lines.push(
      `<rect ${area} rx="3" fill="none" stroke="${colour ?? style.line}" stroke-width="${colour ? 3 : 1.5}"/>`,
      `<text x="${(x - half).toFixed(1)}" y="${(y - half - 3).toFixed(1)}" font-size="10.5" fill="${style.ink}">${escape(dataset.channelLabel(node.row, node.id))}</text>`,
    );
  }
  lines.push('</svg>', '');
  return lines.join('\n');
}

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
