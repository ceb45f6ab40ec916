// Where things are, in units of the drawing: x to the right, y down, the classes at y = 0.
import type { Transform } from '../../components/zoomable';
import type { ViewEdge, ViewGraph, ViewNode, Visible } from './model';

export interface Spacing {
  /** From one column to the next. */
  column: number;
  /** From one row to the next. */
  row: number;
}

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** What is drawn and how, for everything in the stage. */
export interface Scene {
  graph: ViewGraph;
  shown: Visible;
  spacing: Spacing;
  transform: Transform;
  /** Of the stage, pixels. */
  width: number;
  height: number;
}

const CLOSEST: Spacing = { column: 98, row: 112 };
const WIDEST: Spacing = { column: 150, row: 210 };

const SMALLEST = 36;
const LARGEST = 76;
export const CLASS_SIDE = 44;

/** Side of a node: its area grows with the share of images. */
export function side(node: Pick<ViewNode, 'kind' | 'share'>): number {
  if (node.kind === 'class') return CLASS_SIDE;
  const share = Math.max(node.share[0], node.share[1]);
  return Math.sqrt(SMALLEST ** 2 + (LARGEST ** 2 - SMALLEST ** 2) * share);
}

export function centre(graph: ViewGraph, node: ViewNode, spacing: Spacing): [number, number] {
  return [
    (node.x - graph.width / 2) * spacing.column + node.dx,
    (graph.layers.length - node.row) * spacing.row + node.dy,
  ];
}

/** The centre of a node in the stage, pixels. */
export function onScreen({ graph, spacing, transform }: Scene, node: ViewNode): [number, number] {
  const [x, y] = centre(graph, node, spacing);
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
  const [x0, y0] = centre(graph, from, spacing);
  const [x1, y1] = centre(graph, to, spacing);
  return [x0, y0 - side(from) / 2, x1, y1 + side(to) / 2];
}

/** The curve of an edge as SVG path data. */
export function pathOf([x0, y0, x1, y1]: Ends): string {
  const middle = (y0 + y1) / 2;
  const f = (value: number) => value.toFixed(1);
  return `M${f(x0)},${f(y0)}C${f(x0)},${f(middle)} ${f(x1)},${f(middle)} ${f(x1)},${f(y1)}`;
}

export function bounds(graph: ViewGraph, spacing: Spacing): Box {
  const margin = LARGEST / 2 + 18;
  const width = graph.width * spacing.column;
  return {
    left: -width / 2 - margin,
    top: -margin,
    width: width + 2 * margin,
    height: graph.layers.length * spacing.row + 2 * margin,
  };
}

/** Room kept around the drawing: names of the layers on the left, buttons right, the legend below. */
export const INSETS = { left: 132, right: 56, bottom: 42 };

/** How far the drawing must move for a node to be in view, pixels. */
export function outOfView(scene: Scene, node: ViewNode): [number, number] {
  const [x, y] = onScreen(scene, node);
  const margin = 50;
  return [
    Math.max(INSETS.left - x, 0) + Math.min(scene.width - margin - x, 0),
    Math.max(margin - y, 0) + Math.min(scene.height - margin - y, 0),
  ];
}

/** The spacing that fills the view: a wide graph gets tall rows, a slim one wide columns. */
export function fillingSpacing(graph: ViewGraph, view: { width: number; height: number }): Spacing {
  const aspect =
    Math.max(50, view.height - INSETS.bottom) /
    Math.max(50, view.width - INSETS.left - INSETS.right);
  const columns = graph.width + 1;
  const rows = graph.layers.length + 1;
  const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));
  const row = (aspect * columns * CLOSEST.column) / rows;
  const column = (rows * CLOSEST.row) / aspect / columns;
  // A graph of hundreds of columns would be a line if its rows stayed as near as others'.
  const tallest = WIDEST.row * Math.max(1, columns / 40);
  return {
    column: clamp(column, CLOSEST.column, WIDEST.column),
    row: clamp(row, CLOSEST.row, tallest),
  };
}

/** Shows all of `box` in a view, below `largest`. */
export function fit(box: Box, view: { width: number; height: number }, largest = 1.25): Transform {
  const width = Math.max(50, view.width - INSETS.left - INSETS.right);
  const height = Math.max(50, view.height - INSETS.bottom);
  const k = Math.min(largest, width / box.width, height / box.height);
  return {
    k,
    x: INSETS.left + width / 2 - k * (box.left + box.width / 2),
    y: height / 2 - k * (box.top + box.height / 2),
  };
}

/** The node nearest to a point of the drawing, within `reach`. */
export function nearest(scene: Scene, x: number, y: number, reach: number): ViewNode | null {
  const { graph, shown, spacing } = scene;
  let best: ViewNode | null = null;
  let distance = reach;
  for (const node of graph.nodes) {
    if (!shown.nodes[node.index]) continue;
    const [cx, cy] = centre(graph, node, spacing);
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
function along([x0, y0, x1, y1]: Ends, t: number): [number, number] {
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
