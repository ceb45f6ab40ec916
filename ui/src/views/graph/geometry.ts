// Where things are, in units of the drawing: x to the right, y down, the classes at y = 0.
import type { Transform } from '../../components/zoomable';
import type { ViewEdge, ViewGraph, ViewNode, Visible } from './model';

export interface Spacing {
  /** From one column to the next. */
  column: number;
  /** From one row to the next. */
  row: number;
  /** Layers left out. They take no room. */
  hidden: ReadonlySet<number>;
  /** How many rows each row of the graph stands below the classes. */
  levels: readonly number[];
  /** The columns at the left and right end of what is not hidden. */
  from: number;
  to: number;
}

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** What is drawn and where, whatever is in view. */
export interface Ground {
  graph: ViewGraph;
  shown: Visible;
  spacing: Spacing;
  /** Of the stage, pixels. */
  width: number;
  height: number;
}

/** What is drawn and how, for everything in the stage. */
export interface Scene extends Ground {
  transform: Transform;
}

const SMALLEST = 52;
export const LARGEST = 84;
export const CLASS_SIDE = 44;

/** Between nodes that have their numbers beside them, not above. */
const BESIDE = LARGEST + 36;
/** Around the centres of the outermost nodes; above, a class's name is lower than a picture. */
export const MARGIN = { side: LARGEST / 2 + 16, above: 34, below: LARGEST / 2 + 8 };
/** Side of a node: its area grows with the share of images. */
export function side(node: Pick<ViewNode, 'kind' | 'share'>): number {
  if (node.kind === 'class') return CLASS_SIDE;
  const share = Math.max(node.share[0], node.share[1]);
  return Math.sqrt(SMALLEST ** 2 + (LARGEST ** 2 - SMALLEST ** 2) * share);
}

export function centre(node: ViewNode, spacing: Spacing): [number, number] {
  return [
    (node.x - (spacing.from + spacing.to) / 2) * spacing.column + node.dx,
    rowOf(node.row, spacing) + node.dy,
  ];
}

/** Where a row of the graph is, from top to bottom. */
export const rowOf = (row: number, spacing: Spacing) => (spacing.levels[row] ?? 0) * spacing.row;

/** Numbers stand beside the pictures where columns are far enough apart: edges end above. */
export const besideNodes = (spacing: Spacing) => spacing.column >= BESIDE;

/** The centre of a node in the stage, pixels. */
export function onScreen({ spacing, transform }: Scene, node: ViewNode): [number, number] {
  const [x, y] = centre(node, spacing);
  return [x * transform.k + transform.x, y * transform.k + transform.y];
}

/** A place of the stage in units of the drawing. */
export function inDrawing({ transform }: Scene, x: number, y: number): [number, number] {
  return [(x - transform.x) / transform.k, (y - transform.y) / transform.k];
}

/** The shown nodes in view, or less than `margin` pixels out of it. */
export function nodesInView(scene: Scene, margin = 80): ViewNode[] {
  return scene.graph.nodes.filter((node) => {
    if (!scene.shown.nodes[node.index]) return false;
    const [x, y] = onScreen(scene, node);
    return x > -margin && y > -margin && x < scene.width + margin && y < scene.height + margin;
  });
}

/** Lower and upper end of an edge: x, y, x, y. */
export type Ends = [number, number, number, number];

/** From the upper side of the lower node to the lower side of the upper one. */
export function ends(graph: ViewGraph, edge: ViewEdge, spacing: Spacing): Ends | null {
  const from = graph.nodes[edge.from];
  const to = graph.nodes[edge.to];
  if (!from || !to) return null;
  const [x0, y0] = centre(from, spacing);
  const [x1, y1] = centre(to, spacing);
  return [x0, y0 - side(from) / 2, x1, y1 + side(to) / 2];
}

/** The curve of an edge as SVG path data. */
export function pathOf([x0, y0, x1, y1]: Ends): string {
  const middle = (y0 + y1) / 2;
  const f = (value: number) => value.toFixed(1);
  return `M${f(x0)},${f(y0)}C${f(x0)},${f(middle)} ${f(x1)},${f(middle)} ${f(x1)},${f(y1)}`;
}

/** Rows and columns at these distances; what is hidden closes up. */
export function spacingOf(
  graph: ViewGraph,
  hidden: ReadonlySet<number>,
  distance: { column: number; row: number },
): Spacing {
  const levels = graph.rows.map(() => 0);
  for (let row = graph.rows.length - 2; row >= 0; row--)
    levels[row] = (levels[row + 1] ?? 0) + (hidden.has(row) ? 0 : 1);
  const places = graph.nodes.filter((node) => !hidden.has(node.row)).map((node) => node.x);
  return {
    ...distance,
    hidden,
    levels,
    from: Math.min(...places),
    to: Math.max(...places),
  };
}

export function bounds({ column, row, levels, from, to }: Spacing): Box {
  const width = (to - from) * column;
  return {
    left: -width / 2 - MARGIN.side,
    top: -MARGIN.above,
    width: width + 2 * MARGIN.side,
    height: Math.max(...levels) * row + MARGIN.above + MARGIN.below,
  };
}

/** The node nearest to a point of the drawing, within `reach`. */
export function nearest(scene: Scene, x: number, y: number, reach: number): ViewNode | null {
  const { graph, shown, spacing } = scene;
  let best: ViewNode | null = null;
  let distance = reach;
  for (const node of graph.nodes) {
    if (!shown.nodes[node.index]) continue;
    const [cx, cy] = centre(node, spacing);
    const away = Math.hypot(cx - x, cy - y) - side(node) / 2;
    if (away < distance) {
      best = node;
      distance = away;
    }
  }
  return best;
}

/** How many pieces a curve is taken for when it is picked. */
const PIECES = 16;

/** The shown edge nearest to a point of the drawing, within `reach`. */
export function nearestEdge(scene: Scene, x: number, y: number, reach: number): ViewEdge | null {
  const { graph, shown, spacing } = scene;
  let best: ViewEdge | null = null;
  let distance = reach;
  for (const edge of graph.edges) {
    const place = shown.edges[edge.index] ? ends(graph, edge, spacing) : null;
    if (!place) continue;
    const [x0, y0, x1, y1] = place;
    const [top, bottom] = [Math.min(y0, y1) - reach, Math.max(y0, y1) + reach];
    const [left, right] = [Math.min(x0, x1) - reach, Math.max(x0, x1) + reach];
    if (x < left || x > right || y < top || y > bottom) continue;
    let before: [number, number] = [x0, y0];
    for (let piece = 1; piece <= PIECES; piece++) {
      const next = along(place, piece / PIECES);
      const away = toSegment(x, y, before, next);
      before = next;
      if (away < distance) {
        best = edge;
        distance = away;
      }
    }
  }
  return best;
}

/** A point of the curve of `pathOf`, `t` in [0, 1]. */
export function along([x0, y0, x1, y1]: Ends, t: number): [number, number] {
  const u = 1 - t;
  const middle = (y0 + y1) / 2;
  return [
    x0 + t * t * (3 - 2 * t) * (x1 - x0),
    u * u * u * y0 + 3 * u * t * middle + t * t * t * y1,
  ];
}

function toSegment(x: number, y: number, a: [number, number], b: [number, number]): number {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const length = dx * dx + dy * dy;
  const share = length > 0 ? ((x - a[0]) * dx + (y - a[1]) * dy) / length : 0;
  const t = Math.min(1, Math.max(0, share));
  return Math.hypot(a[0] + t * dx - x, a[1] + t * dy - y);
}
