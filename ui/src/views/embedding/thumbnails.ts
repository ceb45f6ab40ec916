// Pictures of classes and images at their points, where the map is zoomed in far enough to have room.
import type { Dataset } from '../../data/dataset';
import type { PointKind } from '../../state/url';
import { type Frame, type Point, affine } from './points';
import { Sheets, type Tile, tileOf } from './sheets';

/** Zoom from which pictures are shown, and of how many points at most. */
const FROM_ZOOM = 2.5;
const MOST = 60;
/** Sheets fetched for the images in view; those of the classes with most of them. */
const MOST_SHEETS = 4;
const SIDE = 30;
const SIDE_OF_IMAGES = 44;

interface Placed {
  point: Point;
  x: number;
  y: number;
}

export class Thumbnails {
  readonly #sheets: Sheets;

  constructor(
    readonly dataset: Dataset,
    loaded: () => void,
  ) {
    this.#sheets = new Sheets(dataset, loaded);
  }

  draw(context: CanvasRenderingContext2D, points: Point[], frame: Frame, kind: PointKind) {
    if (!this.dataset.manifest.pictures || frame.transform.k < FROM_ZOOM) return;
    const inView = fewInView(points, frame);
    if (!inView) return;
    if (kind === 'classes') {
      for (const { point, x, y } of inView)
        this.#tile(context, point.group, this.#typical(point.group), x, y - SIDE / 2 - 6, SIDE);
      return;
    }
    const sheets = new Set(mostOf(inView.map(({ point }) => point.group)).slice(0, MOST_SHEETS));
    for (const { point, x, y } of apart(inView, SIDE_OF_IMAGES)) {
      if (!sheets.has(point.group)) continue;
      const image = this.#sheets.places(point.group)?.get(point.id) ?? -1;
      this.#tile(context, point.group, tileOf(this.dataset, image), x, y, SIDE_OF_IMAGES);
    }
  }

  /** Sheets run from the hardest image to the most certain one; the last is the most typical. */
  #typical(id: number): Tile | null {
    const most = this.dataset.manifest.pictures?.sheet_images ?? 0;
    return tileOf(this.dataset, Math.min(this.dataset.byId.get(id)?.images ?? 1, most) - 1);
  }

  #tile(
    context: CanvasRenderingContext2D,
    id: number,
    tile: Tile | null,
    x: number,
    y: number,
    extent: number,
  ) {
    const image = tile && this.#sheets.picture(id);
    if (!image) return;
    const { side, column, row } = tile;
    const [left, top] = [x - extent / 2, y - extent / 2];
    context.drawImage(image, column * side, row * side, side, side, left, top, extent, extent);
  }
}

/** The points in view; null where there are too many for pictures. */
function fewInView(points: readonly Point[], frame: Frame): Placed[] | null {
  const [scale, left, top] = affine(frame);
  const found: Placed[] = [];
  for (const point of points) {
    const [x, y] = [left + scale * point.x, top + scale * point.y];
    if (x <= 0 || y <= 0 || x >= frame.width || y >= frame.height) continue;
    if (found.length === MOST) return null;
    found.push({ point, x, y });
  }
  return found;
}

/** The different ones, most frequent first. */
function mostOf(ids: number[]): number[] {
  const counts = new Map<number, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts].sort((l, r) => r[1] - l[1] || l[0] - r[0]).map(([id]) => id);
}

/** Those whose pictures do not cover an earlier one's. */
export function apart<T extends { x: number; y: number }>(all: readonly T[], side: number): T[] {
  const kept: T[] = [];
  for (const one of all)
    if (kept.every(({ x, y }) => Math.max(Math.abs(x - one.x), Math.abs(y - one.y)) >= side))
      kept.push(one);
  return kept;
}
