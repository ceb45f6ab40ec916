// Draws the edges on canvases under the nodes.
import { type Scene, edgeWidth, ends } from './geometry';
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

export function edgeColours(read: (name: string) => string): EdgeColours {
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

const comparing = (graph: ViewGraph) => graph.groups.length > 1;

/** Colour of an edge that does not stand out. */
export function restColour(edge: ViewEdge, graph: ViewGraph, colours: EdgeColours): string {
  if (comparing(graph) && edge.side !== 'both')
    return edge.side === 'a' ? colours.sideA : colours.sideB;
  if (edge.kind === 'supports') return colours.supports;
  if (edge.kind === 'opposes') return colours.opposes;
  return colours.plain;
}

/** What opposes is dashed, so that colour is not all that tells it. */
export const DASHES = { unsigned: [], supports: [], opposes: [5, 3] };

/** The shown ones of the graph's edges between two places of the order by weight. */
export function drawEdges(
  context: CanvasRenderingContext2D,
  scene: Scene,
  colours: EdgeColours,
  from: number,
  to: number,
) {
  const { graph, shown } = scene;
  // Thousands of edges would be one grey surface.
  context.globalAlpha = 0.55 / Math.max(1, Math.log2(graph.edges.length / 1000));
  for (const edge of graph.byWeight.slice(from, to)) {
    if (!shown.edges[edge.index]) continue;
    context.setLineDash(DASHES[edge.kind]);
    stroke(context, scene, edge, restColour(edge, graph, colours));
  }
  context.globalAlpha = 1;
}

/** What stands out: a node with its edges, an edge, or the edges among some nodes. */
export interface Active {
  node: number | null;
  edge: number | null;
  among: ReadonlySet<number>;
}

function standingOut(graph: ViewGraph, { node, edge, among }: Active): number[] {
  const centre = node === null ? undefined : graph.nodes[node];
  if (centre) return [...centre.incoming, ...centre.outgoing];
  if (edge !== null) return [edge];
  const inside = graph.edges.filter(({ from, to }) => among.has(from) && among.has(to));
  return inside.map(({ index }) => index);
}

/** Edges that stand out; dashes run with the data, from below to above, `phase` pixels on. */
export function drawActiveEdges(
  context: CanvasRenderingContext2D,
  scene: Scene,
  colours: EdgeColours,
  active: Active,
  phase: number,
) {
  const { graph, shown } = scene;
  context.lineDashOffset = -phase;
  for (const index of standingOut(graph, active)) {
    const edge = graph.edges[index];
    if (!edge || !shown.edges[index]) continue;
    // Both patterns repeat after 15 pixels.
    context.setLineDash(edge.kind === 'opposes' ? [3, 2] : [10, 5]);
    const coloured = edge.kind !== 'unsigned' || (comparing(graph) && edge.side !== 'both');
    // The far side of the node is the darker one.
    const own =
      edge.from === active.node || active.node === null ? colours.outgoing : colours.incoming;
    stroke(context, scene, edge, coloured ? restColour(edge, graph, colours) : own);
  }
}

function stroke(context: CanvasRenderingContext2D, scene: Scene, edge: ViewEdge, colour: string) {
  const { transform, width, height } = scene;
  const place = ends(scene.graph, edge, scene.spacing);
  if (!place) return;
  const [x0, x1] = [place[0] * transform.k + transform.x, place[2] * transform.k + transform.x];
  const [y0, y1] = [place[1] * transform.k + transform.y, place[3] * transform.k + transform.y];
  const outside =
    Math.max(y0, y1) < 0 ||
    Math.min(y0, y1) > height ||
    Math.max(x0, x1) < 0 ||
    Math.min(x0, x1) > width;
  if (outside) return;
  const middle = (y0 + y1) / 2;
  const crowded = scene.graph.edges.length > 3000;
  context.strokeStyle = colour;
  context.lineWidth =
    edgeWidth(edge.weight) * Math.min(1.4, Math.max(crowded ? 0.1 : 0.5, transform.k));
  context.beginPath();
  context.moveTo(x0, y0);
  context.bezierCurveTo(x0, middle, x1, middle, x1, y1);
  context.stroke();
}
