// Pictures of classes beside their points, where the map is zoomed in far enough to have room.
import type { Dataset } from '../../data/dataset';
import { type Frame, type Point, place } from './points';

/** Zoom from which pictures are shown, and how many at most. */
const FROM_ZOOM = 2.5;
const MOST = 60;
const SIDE = 30;

export class Thumbnails {
  readonly #images = new Map<number, HTMLImageElement>();

  constructor(
    readonly dataset: Dataset,
    readonly loaded: () => void,
  ) {}

  draw(context: CanvasRenderingContext2D, points: Point[], frame: Frame) {
    const pictures = this.dataset.manifest.pictures;
    if (!pictures || frame.transform.k < FROM_ZOOM) return;
    const inView = points.flatMap((point) => {
      const [x, y] = place(point, frame);
      return x > 0 && y > 0 && x < frame.width && y < frame.height ? [{ point, x, y }] : [];
    });
    if (inView.length > MOST) return;
    for (const { point, x, y } of inView) {
      const image = this.#image(point.group);
      if (!image) continue;
      const tile = pictures.sheet_tile;
      // Sheets run from the hardest image to the most certain one; the last is the most typical.
      const images = Math.min(
        this.dataset.byId.get(point.group)?.images ?? 1,
        pictures.sheet_images,
      );
      const column = (images - 1) % pictures.sheet_columns;
      const row = Math.floor((images - 1) / pictures.sheet_columns);
      context.drawImage(
        image,
        column * tile,
        row * tile,
        tile,
        tile,
        x - SIDE / 2,
        y - SIDE - 6,
        SIDE,
        SIDE,
      );
    }
  }

  #image(id: number): HTMLImageElement | null {
    let image = this.#images.get(id);
    if (!image) {
      image = new Image();
      image.onload = this.loaded;
      image.src = this.dataset.bundle.picture(`sheet/${id}`);
      this.#images.set(id, image);
    }
    return image.complete && image.naturalWidth > 0 ? image : null;
  }
}
