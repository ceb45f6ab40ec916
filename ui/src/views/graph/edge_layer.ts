// Draws the edges on a canvas under the nodes.
import { type Spacing, type Transform, edgeWidth, ends } from './geometry';
import type { ViewEdge, ViewGraph } from './model';

/** Colours as the theme has them. */
export interface EdgeColours {
  plain: string;
  incoming: string;
  outgoing: string;
  supports: string;
  opposes: string;
  sideA: string;
  sideB: string;
}

export interface EdgeScene {
  graph: ViewGraph;
  shown: boolean[];
  spacing: Spacing;
  transform: Transform;
  /** The node whose edges stand out. */
  active: number | null;
  colours: EdgeColours;
  comparing: boolean;
  /** Shift of the dashes, pixels. */
  phase: number;
}

export function edgeColours(element: Element): EdgeColours {
  const style = getComputedStyle(element);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    plain: read('--edge'),
    incoming: read('--incoming'),
    outgoing: read('--outgoing'),
    supports: read('--supports'),
    opposes: read('--opposes'),
    sideA: read('--side-a'),
    sideB: read('--side-b'),
  };
}

/** Colour of an edge that does not stand out. */
export function restColour(edge: ViewEdge, comparing: boolean, colours: EdgeColours): string {
  if (comparing && edge.side !== 'both') return edge.side === 'a' ? colours.sideA : colours.sideB;
  if (edge.kind === 'supports') return colours.supports;
  if (edge.kind === 'opposes') return colours.opposes;
  return colours.plain;
}

/** Makes the canvas as large as its place, in device pixels. */
export function resize(canvas: HTMLCanvasElement, width: number, height: number) {
  const ratio = Math.min(3, globalThis.devicePixelRatio || 1);
  const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== columns) canvas.width = columns;
  if (canvas.height !== rows) canvas.height = rows;
}

export function drawEdges(canvas: HTMLCanvasElement, scene: EdgeScene) {
  const context = canvas.getContext('2d');
  if (!context) return;
  const { graph, spacing, transform, active, comparing, colours } = scene;
  const ratio = canvas.clientWidth > 0 ? canvas.width / canvas.clientWidth : 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.lineCap = 'butt';
  const [width, height] = [canvas.width / ratio, canvas.height / ratio];
  const later: ViewEdge[] = [];
  for (const edge of graph.edges) {
    if (!scene.shown[edge.index]) continue;
    if (active !== null && (edge.from === active || edge.to === active)) later.push(edge);
    else stroke(edge, restColour(edge, comparing, colours), active === null ? 0.55 : 0.13);
  }
  for (const edge of later) {
    // Dashes run with the data, from below to above; the far side of the node is the darker one.
    context.setLineDash([10, 5]);
    context.lineDashOffset = -scene.phase;
    const signed = edge.kind !== 'unsigned' || (comparing && edge.side !== 'both');
    const own = edge.from === active ? colours.outgoing : colours.incoming;
    stroke(edge, signed ? restColour(edge, comparing, colours) : own, 1);
  }
  context.setLineDash([]);

  function stroke(edge: ViewEdge, colour: string, opacity: number) {
    const place = ends(graph, edge, spacing);
    if (!place || !context) return;
    const [x0, x1] = [place[0] * transform.k + transform.x, place[2] * transform.k + transform.x];
    const [y0, y1] = [place[1] * transform.k + transform.y, place[3] * transform.k + transform.y];
    const outside =
      Math.max(y0, y1) < 0 ||
      Math.min(y0, y1) > height ||
      Math.max(x0, x1) < 0 ||
      Math.min(x0, x1) > width;
    if (outside) return;
    const middle = (y0 + y1) / 2;
    context.globalAlpha = opacity;
    context.strokeStyle = colour;
    context.lineWidth = edgeWidth(edge.weight) * Math.min(1.4, Math.max(0.5, transform.k));
    context.beginPath();
    context.moveTo(x0, y0);
    context.bezierCurveTo(x0, middle, x1, middle, x1, y1);
    context.stroke();
    context.globalAlpha = 1;
  }
}
