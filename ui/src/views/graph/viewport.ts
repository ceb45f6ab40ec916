// How the drawing lies in the stage: what spacing fills it, and where pan and zoom may go.
import type { Transform } from '../../components/zoomable';
import {
  type Box,
  type Ground,
  LARGEST,
  MARGIN,
  type Scene,
  type Spacing,
  bounds,
  centre,
  onScreen,
  spacingOf,
} from './geometry';
import type { ViewGraph, ViewNode } from './model';

const CLOSEST = { column: LARGEST + 8, row: LARGEST + 16 };
const WIDEST = { column: 340, row: 290 };
/** Beyond this scale a small graph is not blown up. */
const LARGEST_SCALE = 1.25;

/** Room kept around the drawing: names of the layers on the left, buttons right. */
export const INSETS = { left: 132, right: 56, bottom: 4 };

/** How far the drawing must move for a node to be in view, pixels. */
export function outOfView(scene: Scene, node: ViewNode): [number, number] {
  const [x, y] = onScreen(scene, node);
  const margin = 50;
  return [
    Math.max(INSETS.left - x, 0) + Math.min(scene.width - margin - x, 0),
    Math.max(margin - y, 0) + Math.min(scene.height - margin - y, 0),
  ];
}

interface View {
  width: number;
  height: number;
}

const roomIn = (view: View) => ({
  width: Math.max(50, view.width - INSETS.left - INSETS.right),
  height: Math.max(50, view.height - INSETS.bottom),
});

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/**
 * The spacing that fills the view with pictures as large as can be: what is left of its width or
 * height goes between columns or rows. `factors` are the user's.
 */
export function fillingSpacing(
  graph: ViewGraph,
  hidden: ReadonlySet<number>,
  view: View,
  factors = { column: 1, row: 1 },
): Spacing {
  const room = roomIn(view);
  const closest = bounds(spacingOf(graph, hidden, CLOSEST));
  const k = Math.min(LARGEST_SCALE, room.width / closest.width, room.height / closest.height);
  const columns = (closest.width - 2 * MARGIN.side) / CLOSEST.column;
  const rows = (closest.height - MARGIN.above - MARGIN.below) / CLOSEST.row;
  const column = (room.width / k - 2 * MARGIN.side) / columns;
  const row = (room.height / k - MARGIN.above - MARGIN.below) / rows;
  // A graph of hundreds of columns would be a line if its rows stayed as near as others'.
  const tallest = WIDEST.row * Math.max(1, columns / 40);
  return spacingOf(graph, hidden, {
    column: Math.max(LARGEST + 2, factors.column * clamp(column, CLOSEST.column, WIDEST.column)),
    row: Math.max(LARGEST + 2, factors.row * clamp(row, CLOSEST.row, tallest)),
  });
}

/** Shows all of `box` in a view, below `largest`. */
export function fit(box: Box, view: View, largest = LARGEST_SCALE): Transform {
  const { width, height } = roomIn(view);
  const k = Math.min(largest, width / box.width, height / box.height);
  return {
    k,
    x: INSETS.left + width / 2 - k * (box.left + box.width / 2),
    y: height / 2 - k * (box.top + box.height / 2),
  };
}

/**
 * The transform, moved as little as brings a node into view where it shows none. Of rows that are
 * further apart than the view is high, the place between two may be looked at.
 */
export function held(ground: Ground, wanted: Transform): Transform {
  const { graph, shown, width, height, spacing } = ground;
  const { k } = wanted;
  const room = roomIn(ground);
  const between = Math.max(0, (spacing.row * k - room.height) / 2);
  const [left, right] = [INSETS.left, Math.max(INSETS.left, width - INSETS.right)];
  const edge = Math.min(24, height / 4);
  const [top, bottom] = [edge - between, height - edge + between];
  let nearestBy: [number, number] | null = null;
  for (const node of graph.nodes) {
    if (!shown.nodes[node.index]) continue;
    const [cx, cy] = centre(node, spacing);
    const [x, y] = [cx * k + wanted.x, cy * k + wanted.y];
    const by: [number, number] = [clamp(x, left, right) - x, clamp(y, top, bottom) - y];
    if (by[0] === 0 && by[1] === 0) return wanted;
    if (!nearestBy || Math.hypot(...by) < Math.hypot(...nearestBy)) nearestBy = by;
  }
  return nearestBy ? { k, x: wanted.x + nearestBy[0], y: wanted.y + nearestBy[1] } : wanted;
}

/** The transform under which the middle of the view stays where it was. */
export function sameMiddle(before: Ground, after: Ground, { k, x, y }: Transform): Transform {
  const column = (before.width / 2 - x) / k / before.spacing.column;
  const row = (before.height / 2 - y) / k / before.spacing.row;
  return {
    k,
    x: after.width / 2 - k * column * after.spacing.column,
    y: after.height / 2 - k * row * after.spacing.row,
  };
}
