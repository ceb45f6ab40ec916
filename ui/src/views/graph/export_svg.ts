// The graph as a drawing in a file: as on the screen, whole whatever is in view, with what it is of.
import { escape } from '../../components/download';
import type { Dataset } from '../../data/dataset';
import { count, plural } from '../../data/numbers';
import { DASHES, type EdgeColours, edgeWidth, restColour, restOpacity } from './edge_layer';
import { type Spacing, besideNodes, bounds, centre, ends, pathOf, rowOf, side } from './geometry';
import { type LegendKey, SIZES, WIDTHS, amountOf, frameName, legendKeys, unitOf } from './legend';
import { type ViewGraph, type ViewNode, type Visible, frameWidths } from './model';

export interface SvgStyle {
  edges: EdgeColours;
  page: string;
  ink: string;
  faint: string;
  line: string;
  accent: string;
  onAccent: string;
  /** Of edges of both classes. */
  both: string;
  /** The page's fonts, and a style element with the first. */
  font: string;
  fontStyle: string;
}

interface Drawing {
  dataset: Dataset;
  graph: ViewGraph;
  shown: Visible;
  spacing: Spacing;
  style: SvgStyle;
  /** Addresses of pictures to data addresses. */
  pictures: ReadonlyMap<string, string>;
}

const SIZE = { title: 26, text: 16, layer: 17, number: 15, class: 20 };
const HEAD = 84;
const FOOT = 72;
const PADDING = 20;
/** Edges over `edgeWidth`: on the screen a fitted graph is about this much smaller. */
const WIDER = 1.7;
/** A letter's width over its size, about. */
const LETTER = 0.58;

const n = (value: number) => String(Math.round(10 * value) / 10);

/** The drawing as a self-contained file. */
export function svgText(drawing: Drawing): string {
  const { dataset, graph, spacing, style } = drawing;
  const box = bounds(spacing);
  const layers = dataset.manifest.layers.map(({ short }) => short.length);
  const gutter = Math.max(...layers) * SIZE.layer * LETTER + 2 * PADDING;
  // Numbers beside the last column.
  const right = box.left + box.width + 70;
  const left = box.left - gutter;
  const legend = legendOf(drawing, left + PADDING, box.top + box.height + FOOT / 2);
  const width = Math.max(right, legend.right + PADDING) - left;
  const top = box.top - HEAD;
  const height = HEAD + box.height + FOOT;
  const names = graph.groups.map((group) => group.name).join(' and ');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${n(left)} ${n(top)} ${n(width)} ${n(height)}" width="${n(width)}" height="${n(height)}" font-family="${escape(style.font)}">`,
    `<title>${escape(`Attribution graph: ${names}`)}</title>`,
    style.fontStyle,
    `<rect x="${n(left)}" y="${n(top)}" width="${n(width)}" height="${n(height)}" fill="${style.page}"/>`,
    text(left + PADDING, top + 38, names, SIZE.title, style.ink, 650),
    text(left + PADDING, top + 62, about(drawing), SIZE.text, style.faint),
    ...edges(drawing),
    ...rows(drawing, left + PADDING),
    ...graph.nodes.flatMap((node) =>
      drawing.shown.nodes[node.index] ? nodeOf(drawing, node) : [],
    ),
    ...legend.lines,
    '</svg>',
    '',
  ].join('\n');
}

const text = (
  x: number,
  y: number,
  content: string,
  size: number,
  colour: string,
  weight = 400,
  more = '',
) =>
  `<text x="${n(x)}" y="${n(y)}" font-size="${size}" font-weight="${weight}" fill="${colour}"${more}>${escape(content)}</text>`;

/** What the graph is of and drawn by. */
function about({ dataset, graph, shown }: Drawing): string {
  const images = graph.groups.map((group) => count(group.signed?.images ?? group.images));
  const [only] = graph.groups;
  const of =
    graph.groups.length === 1
      ? plural(only?.signed?.images ?? only?.images ?? 0, 'image')
      : `${images.join(' and ')} images`;
  return [
    `Measure ${graph.measure}`,
    of,
    plural(shown.nodeCount, 'channel'),
    plural(shown.edgeCount, 'edge'),
    dataset.manifest.model.name,
    dataset.manifest.data_set,
  ].join(' · ');
}

function edges({ graph, shown, spacing, style }: Drawing): string[] {
  const opacity = restOpacity(style.edges.opacity, shown.edgeCount).toFixed(2);
  const paths = graph.edges.flatMap((edge) => {
    const place = shown.edges[edge.index] ? ends(graph, edge, spacing) : null;
    if (!place) return [];
    const dashes = DASHES[edge.kind].join(' ');
    const width = (WIDER * edgeWidth(graph, shown.edgeCount, edge.weight)).toFixed(2);
    return `<path d="${pathOf(place)}" stroke="${restColour(edge, graph, style.edges)}" stroke-width="${width}"${dashes ? ` stroke-dasharray="${dashes}"` : ''}/>`;
  });
  return [`<g fill="none" stroke-opacity="${opacity}">`, ...paths, '</g>'];
}

/** Names of the layers, and how many of their channels are drawn. */
function rows({ dataset, graph, shown, spacing, style }: Drawing, x: number): string[] {
  return graph.rows.flatMap((members, row) => {
    const layer = spacing.hidden.has(row) ? null : dataset.layer(row);
    if (!layer) return [];
    const drawn = members.filter((index) => shown.nodes[index]).length;
    const y = rowOf(row, spacing);
    return [
      text(x, y, layer.short, SIZE.layer, style.ink, 600),
      text(x, y + 19, `${drawn} of ${layer.channels}`, SIZE.number, style.faint),
    ];
  });
}

function nodeOf({ dataset, graph, spacing, style, pictures }: Drawing, node: ViewNode): string[] {
  const [x, y] = centre(node, spacing);
  const comparing = graph.groups.length > 1;
  const own = comparing && node.side !== 'both';
  const colour = own ? (node.side === 'a' ? style.edges.sideA : style.edges.sideB) : null;
  if (node.kind === 'class') {
    const width = Math.max(80, node.label.length * SIZE.class * LETTER + 30);
    return [
      `<rect x="${n(x - width / 2)}" y="${n(y - 22)}" width="${n(width)}" height="44" rx="10" fill="${colour ?? style.accent}"/>`,
      text(x, y + 7, node.label, SIZE.class, style.onAccent, 650, ' text-anchor="middle"'),
    ];
  }
  const extent = side(node);
  const half = extent / 2;
  const area = `x="${n(x - half)}" y="${n(y - half)}" width="${n(extent)}" height="${n(extent)}"`;
  const picture = pictures.get(dataset.channelPicture(node.row, node.id) ?? '');
  const beside = besideNodes(spacing);
  return [
    ...(picture ? [`<image ${area} href="${picture}" preserveAspectRatio="xMidYMid slice"/>`] : []),
    `<rect ${area} rx="3" fill="none" stroke="${colour ?? style.line}" stroke-width="${comparing ? 3 : n(frameWidths(graph)(node))}"/>`,
    text(
      beside ? x + half + 6 : x - half,
      beside ? y + SIZE.number / 3 : y - half - 4,
      dataset.channelLabel(node.row, node.id),
      SIZE.number,
      style.ink,
      400,
      // Edges may pass.
      ` paint-order="stroke" stroke="${style.page}" stroke-width="4"`,
    ),
  ];
}

/** The key, in one line from `x` on, and where it ends. */
function legendOf({ graph, shown, style }: Drawing, x: number, y: number) {
  const lines: string[] = [];
  let at = x;
  const say = (content: string, after = 22) => {
    lines.push(text(at, y + SIZE.text / 3, content, SIZE.text, style.faint));
    at += content.length * SIZE.text * LETTER + after;
  };
  const square = (extent: number, width: number) => {
    lines.push(
      `<rect x="${n(at)}" y="${n(y - extent / 2)}" width="${n(extent)}" height="${n(extent)}" rx="3" fill="none" stroke="${style.line}" stroke-width="${width}"/>`,
    );
    at += extent + 6;
  };
  const line = (colour: string, width: number, dashes = '') => {
    lines.push(
      `<path d="M${n(at)},${n(y)}h30" stroke="${colour}" stroke-width="${n(width)}"${dashes}/>`,
    );
    at += 36;
  };
  for (const share of SIZES) {
    square(0.5 * side({ kind: 'channel', share: [share, 0] }), 1.5);
    say(`${100 * share} %`, 10);
  }
  say('of the images');
  if (graph.groups.length === 1) {
    square(18, 1);
    square(18, 3);
    say(frameName(graph));
  }
  say('width:', 6);
  for (const weight of WIDTHS) {
    line(style.edges.plain, WIDER * edgeWidth(graph, shown.edgeCount, weight));
    say(amountOf(graph, weight), 10);
  }
  say(unitOf(graph));
  const colours: Record<LegendKey['kind'], string> = {
    a: style.edges.sideA,
    b: style.edges.sideB,
    both: style.both,
    dashed: style.both,
    supports: style.edges.supports,
    opposes: style.edges.opposes,
    incoming: style.edges.incoming,
    outgoing: style.edges.outgoing,
  };
  for (const { kind, text: name } of legendKeys(graph, shown, null).filter((key) => key.shown)) {
    const dashed = kind === 'opposes' || kind === 'dashed';
    line(colours[kind], 4, dashed ? ` stroke-dasharray="${DASHES.opposes.join(' ')}"` : '');
    say(name);
  }
  return { lines, right: at };
}
