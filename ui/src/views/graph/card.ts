// Where a card about a node goes: near it, beside the node, its neighbours and the edges to them.
import { type Scene, along, besideNodes, ends, onScreen, side } from './geometry';
import { type ViewNode, neighboursOf } from './model';
import { INSETS } from './viewport';

export interface CardSize {
  width: number;
  height: number;
}

interface Area {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const GAP = 14;
const MARGIN = 8;
/** Places tried from left to right and from top to bottom, beside those next to the node. */
const TRIED = 14;
/** Points of an edge that are looked at. */
const POINTS = 8;

/** What the card is to leave open: the node, its neighbours, and points of the edges to them. */
function subject(scene: Scene, node: ViewNode): { nodes: Area[]; points: [number, number][] } {
  const { graph, shown, spacing, transform } = scene;
  const { k } = transform;
  const area = (of: ViewNode): Area => {
    const [x, y] = onScreen(scene, of);
    const half = (side(of) / 2) * k + 4;
    const number = besideNodes(spacing) ? 30 : 0;
    return { left: x - half, top: y - half, right: x + half + number, bottom: y + half };
  };
  const near = neighboursOf(graph, shown, node.index).flatMap((index) => graph.nodes[index] ?? []);
  const points = [...node.incoming, ...node.outgoing].flatMap((index) => {
    const edge = graph.edges[index];
    const place = edge && shown.edges[index] ? ends(graph, edge, spacing) : null;
    if (!place) return [];
    return Array.from({ length: POINTS }, (_, step): [number, number] => {
      const [x, y] = along(place, (step + 0.5) / POINTS);
      return [x * k + transform.x, y * k + transform.y];
    });
  });
  return { nodes: [node, ...near].map(area), points };
}

/** The place that covers least of it; among equal ones the nearest, clear of names and buttons. */
export function cardPlace(
  scene: Scene,
  node: ViewNode,
  card: CardSize,
): { left: number; top: number } {
  const { nodes, points } = subject(scene, node);
  const [x, y] = onScreen(scene, node);
  const room = (side(node) / 2) * scene.transform.k + GAP;
  const furthest = {
    left: Math.max(MARGIN, scene.width - card.width - MARGIN),
    top: Math.max(MARGIN, scene.height - card.height - MARGIN),
  };
  const spread = (last: number) =>
    Array.from({ length: TRIED }, (_, step) => MARGIN + (step / (TRIED - 1)) * (last - MARGIN));
  const within = (value: number, last: number) => Math.min(Math.max(MARGIN, value), last);
  const lefts = [x + room, x - room - card.width, ...spread(furthest.left)];
  const tops = [y - card.height / 2, y - card.height + 30, y - 30, ...spread(furthest.top)];
  let best = { left: MARGIN, top: MARGIN };
  let least = Infinity;
  for (const left of lefts.map((value) => within(value, furthest.left)))
    for (const top of tops.map((value) => within(value, furthest.top))) {
      const [right, bottom] = [left + card.width, top + card.height];
      const meets = (of: Area) =>
        of.right > left && of.left < right && of.bottom > top && of.top < bottom;
      const [own, ...others] = nodes;
      const cost =
        (own && meets(own) ? 1e7 : 0) +
        1e5 * others.filter(meets).length +
        1e4 *
          points.filter(([px, py]) => px > left && px < right && py > top && py < bottom).length +
        (left < INSETS.left || right > scene.width - INSETS.right ? 300 : 0) +
        Math.hypot(Math.max(left - x, x - right, 0), Math.max(top - y, y - bottom, 0));
      if (cost < least) [least, best] = [cost, { left, top }];
    }
  return best;
}
