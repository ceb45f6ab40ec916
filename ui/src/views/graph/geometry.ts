// Where things are, in units of the drawing: x to the right, y down, the classes at y = 0.
import type { ViewEdge, ViewGraph, ViewNode } from './model';

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

/** As d3-zoom's: drawing to screen is `k * p + (x, y)`. */
export interface Transform {
  x: number;
  y: number;
  k: number;
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
    (node.x - graph.width / 2) * spacing.column,
    (graph.layers.length - node.row) * spacing.row,
  ];
}

/** From the upper side of the lower node to the lower side of the upper one. */
export function ends(
  graph: ViewGraph,
  edge: ViewEdge,
  spacing: Spacing,
): [number, number, number, number] | null {
  const from = graph.nodes[edge.from];
  const to = graph.nodes[edge.to];
  if (!from || !to) return null;
  const [x0, y0] = centre(graph, from, spacing);
  const [x1, y1] = centre(graph, to, spacing);
  return [x0, y0 - side(from) / 2, x1, y1 + side(to) / 2];
}

/** The curve of an edge as SVG path data. */
export function pathOf([x0, y0, x1, y1]: [number, number, number, number]): string {
  const middle = (y0 + y1) / 2;
  const f = (value: number) => value.toFixed(1);
  return `M${f(x0)},${f(y0)}C${f(x0)},${f(middle)} ${f(x1)},${f(middle)} ${f(x1)},${f(y1)}`;
}

export const edgeWidth = (weight: number) => 0.6 + 5.4 * weight;

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

/** Room kept around the drawing: names of the layers on the left, the legend below. */
export const INSETS = { left: 118, right: 24, bottom: 30 };

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
  return {
    column: clamp(column, CLOSEST.column, WIDEST.column),
    row: clamp(row, CLOSEST.row, WIDEST.row),
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
export function nearest(
  graph: ViewGraph,
  shown: boolean[],
  spacing: Spacing,
  x: number,
  y: number,
  reach: number,
): ViewNode | null {
  let best: ViewNode | null = null;
  let distance = reach;
  for (const node of graph.nodes) {
    if (!shown[node.index]) continue;
    const [cx, cy] = centre(graph, node, spacing);
    const away = Math.hypot(cx - x, cy - y) - side(node) / 2;
    if (away < distance) {
      best = node;
      distance = away;
    }
  }
  return best;
}
