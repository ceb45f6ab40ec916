// Draws the edges on canvases under the nodes.
import { type Scene, ends } from './geometry';
import { type ViewEdge, type ViewGraph, isSigned } from './model';

/** Colours as the theme has them. */
export interface EdgeColours {
  plain: string;
  incoming: string;
  outgoing: string;
  supports: string;
  opposes: string;
  sideA: string;
  sideB: string;
  /** Of an edge at rest in a graph of few edges. */
  opacity: number;
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
    opacity: Number(read('--edge-opacity')) || 1,
  };
}

/** More edges than these are drawn thinner and fainter: they would be one surface. */
const FEW = 400;
const THINNEST = 1.5;

/**
 * Width of an edge on the screen, pixels at a scale of 1. Effects in logits spread over orders of
 * magnitude and a few are far above the rest, so their root is drawn; shares of images end at 1, and
 * many are near it.
 */
export function edgeWidth(graph: ViewGraph, shown: number, weight: number): number {
  const thinner = (few: number) => Math.min(1, Math.sqrt(few / Math.max(1, shown)));
  const grown = isSigned(graph.measure) ? 4 * Math.sqrt(weight) : 2.5 * weight;
  return THINNEST * thinner(FEW) + grown * thinner(FEW / 2);
}

/** How wide edges are at a zoom, over `edgeWidth`: never thinner while there are few. */
export const widthAt = (k: number, shown: number) =>
  Math.min(1.6, Math.max(shown > 3000 ? 0.1 : shown > FEW ? 0.7 : 1, k));

/** Of the edges at rest. */
export const restOpacity = (opacity: number, shown: number) =>
  opacity / (1 + 0.7 * Math.max(0, Math.log2(shown / FEW)));

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
  context.globalAlpha = restOpacity(colours.opacity, shown.edgeCount);
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

/** From one bead to the next on an edge that stands out, pixels. */
export const BEADS = 28;

/**
 * Edges that stand out, drawn as they are at rest but in full colour. Beads run along them with the
 * data, from below to above, `phase` pixels on; without a phase there are none.
 */
export function drawActiveEdges(
  context: CanvasRenderingContext2D,
  scene: Scene,
  colours: EdgeColours,
  active: Active,
  phase: number | null,
) {
  const { graph, shown } = scene;
  for (const index of standingOut(graph, active)) {
    const edge = graph.edges[index];
    if (!edge || !shown.edges[index]) continue;
    const coloured = edge.kind !== 'unsigned' || (comparing(graph) && edge.side !== 'both');
    // The far side of the node is the darker one.
    const own =
      edge.from === active.node || active.node === null ? colours.outgoing : colours.incoming;
    const colour = coloured ? restColour(edge, graph, colours) : own;
    context.setLineDash(DASHES[edge.kind]);
    context.lineDashOffset = 0;
    context.lineCap = 'butt';
    stroke(context, scene, edge, colour);
    if (phase === null) continue;
    // Dashes of no length with round ends.
    context.setLineDash([0, BEADS]);
    context.lineDashOffset = -phase;
    context.lineCap = 'round';
    stroke(context, scene, edge, colour, 3.5);
  }
}

function stroke(
  context: CanvasRenderingContext2D,
  scene: Scene,
  edge: ViewEdge,
  colour: string,
  wider = 0,
) {
  const { transform, width, height, graph, shown } = scene;
  const place = ends(graph, edge, scene.spacing);
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
  context.strokeStyle = colour;
  context.lineWidth =
    edgeWidth(graph, shown.edgeCount, edge.weight) * widthAt(transform.k, shown.edgeCount) + wider;
  context.beginPath();
  context.moveTo(x0, y0);
  context.bezierCurveTo(x0, middle, x1, middle, x1, y1);
  context.stroke();
}
