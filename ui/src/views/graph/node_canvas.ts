// Draws nodes on a canvas where there are too many for the document: pictures from the atlases.
import type { Dataset } from '../../data/dataset';
import { type Scene, onScreen, side } from './geometry';
import { type ViewNode, neighboursOf } from './model';

/** Beyond this many nodes in view, they are drawn here. */
export const MOST_ELEMENTS = 300;

/** What stays an element: all in view, or of a crowded view what stands out or has the keyboard. */
export function asElements(
  scene: Scene,
  inView: readonly ViewNode[],
  crowded: boolean,
  wanted: number[],
  active: number | null,
): ViewNode[] {
  const { graph, shown } = scene;
  const kept = new Set([...wanted, ...(crowded ? [] : inView.map((node) => node.index))]);
  if (active !== null && crowded)
    for (const index of [active, ...neighboursOf(graph, shown, active)]) kept.add(index);
  return graph.nodes.filter(
    (node) => shown.nodes[node.index] && (node.kind === 'class' || kept.has(node.index)),
  );
}

/** Below this many pixels a picture is a dot. */
const SMALLEST_PICTURE = 5;

/** The atlases of the layers, loaded when first asked for. */
export class Atlases {
  readonly #images = new Map<string, HTMLImageElement>();

  constructor(
    readonly dataset: Dataset,
    readonly loaded: () => void,
  ) {}

  /** The atlas of a layer; null until it is there. */
  of(layer: number): HTMLImageElement | null {
    if (!this.dataset.manifest.pictures) return null;
    const key = `${this.dataset.features.shown ? 'features' : 'overview'}/${layer}`;
    let image = this.#images.get(key);
    if (!image) {
      image = new Image();
      image.onload = this.loaded;
      image.src = this.dataset.bundle.picture(key);
      this.#images.set(key, image);
    }
    return image.complete && image.naturalWidth > 0 ? image : null;
  }
}

export interface NodeColours {
  frame: string;
  blank: string;
  sideA: string;
  sideB: string;
}

export function drawNodes(
  context: CanvasRenderingContext2D,
  scene: Scene,
  nodes: readonly ViewNode[],
  atlases: Atlases,
  colours: NodeColours,
) {
  const pictures = atlases.dataset.manifest.pictures;
  const comparing = scene.graph.groups.length > 1;
  for (const node of nodes) {
    if (node.kind === 'class') continue;
    const [x, y] = onScreen(scene, node);
    const size = Math.max(2, side(node) * scene.transform.k);
    const [left, top] = [x - size / 2, y - size / 2];
    const colour =
      comparing && node.side !== 'both'
        ? node.side === 'a'
          ? colours.sideA
          : colours.sideB
        : colours.frame;
    const atlas = size < SMALLEST_PICTURE ? null : atlases.of(node.row);
    if (atlas && pictures) {
      const { overview_tile: tile, overview_columns: columns } = pictures;
      const [column, row] = [node.id % columns, Math.floor(node.id / columns)];
      context.drawImage(atlas, column * tile, row * tile, tile, tile, left, top, size, size);
    } else {
      context.fillStyle = size < SMALLEST_PICTURE ? colour : colours.blank;
      context.fillRect(left, top, size, size);
    }
    if (size < SMALLEST_PICTURE) continue;
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.strokeRect(left, top, size, size);
  }
}
