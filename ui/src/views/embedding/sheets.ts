// The sheets with small pictures of a class's images, as far as the map needs them: fetched once each,
// when first wanted.
import type { Dataset } from '../../data/dataset';
import type { ImageFile } from '../../data/generated/schema';

/** A tile in a sheet: side, column and row. */
export interface Tile {
  side: number;
  column: number;
  row: number;
}

/** Where the picture of an image is in the sheet of its class; null where it has none. */
export function tileOf(dataset: Dataset, place: number): Tile | null {
  const pictures = dataset.manifest.pictures;
  if (!pictures || place < 0 || place >= pictures.sheet_images) return null;
  const { sheet_tile: side, sheet_columns: columns } = pictures;
  return { side, column: place % columns, row: Math.floor(place / columns) };
}

/** Columns and rows of the sheet of a class with so many images. */
export function sheetSize(dataset: Dataset, images: number): [number, number] {
  const columns = dataset.manifest.pictures?.sheet_columns ?? 1;
  const shown = Math.min(images, dataset.manifest.pictures?.sheet_images ?? 0);
  return [columns, Math.max(1, Math.ceil(shown / columns))];
}

export class Sheets {
  readonly #images = new Map<number, HTMLImageElement>();
  readonly #places = new Map<number, ReadonlyMap<number, number>>();

  constructor(
    readonly dataset: Dataset,
    readonly loaded: () => void,
  ) {}

  /** The sheet of a class, once it is there. */
  picture(id: number): HTMLImageElement | null {
    let image = this.#images.get(id);
    if (!image) {
      image = new Image();
      image.onload = this.loaded;
      image.src = this.dataset.bundle.picture(`sheet/${id}`);
      this.#images.set(id, image);
    }
    return image.complete && image.naturalWidth > 0 ? image : null;
  }

  /** Places of a class's images by image, once they are there. */
  places(id: number): ReadonlyMap<number, number> | null {
    const known = this.#places.get(id);
    if (known) return known;
    const take = ({ image }: ImageFile) => {
      this.#places.set(id, new Map(image.map((image, place) => [image, place])));
      this.loaded();
    };
    this.#places.set(id, new Map());
    this.dataset.bundle.images(id).then(take, () => this.#places.delete(id));
    return null;
  }
}
