// Where a card about a node goes: beside it, over as few of its neighbours as can be.
import { type Scene, onScreen, side } from './geometry';
import { type ViewNode, neighboursOf } from './model';

export interface CardSize {
  width: number;
  height: number;
}

const GAP = 14;
const MARGIN = 8;

export function cardPlace(
  scene: Scene,
  node: ViewNode,
  card: CardSize,
): { left: number; top: number } {
  const { graph, shown } = scene;
  const view = { width: scene.width, height: scene.height };
  const [x, y] = onScreen(scene, node);
  const room = (side(node) / 2) * scene.transform.k + GAP;
  const neighbours = neighboursOf(graph, shown, node.index).flatMap((index) => {
    const other = graph.nodes[index];
    return other ? [onScreen(scene, other)] : [];
  });
  const tops = [y - card.height / 2, y - card.height + 30, y - 30];
  let best = { left: MARGIN, top: MARGIN };
  let least = Infinity;
  for (const left of [x + room, x - room - card.width]) {
    for (const wanted of tops) {
      const top = Math.min(
        Math.max(MARGIN, wanted),
        Math.max(MARGIN, view.height - card.height - MARGIN),
      );
      const outside = left < MARGIN || left + card.width > view.width - MARGIN;
      const covered = neighbours.filter(
        ([nx, ny]) =>
          nx > left - 16 &&
          nx < left + card.width + 16 &&
          ny > top - 16 &&
          ny < top + card.height + 16,
      ).length;
      const cost = covered + (outside ? 1000 : 0);
      if (cost < least) {
        least = cost;
        const clamped = Math.min(
          Math.max(MARGIN, left),
          Math.max(MARGIN, view.width - card.width - MARGIN),
        );
        best = { left: clamped, top };
      }
    }
  }
  return best;
}
