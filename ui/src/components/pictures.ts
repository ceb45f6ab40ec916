// Pictures of a list: tiles of larger pictures, and what is known of each.
import type { Dataset } from '../data/dataset';
import type { ImageFile } from '../data/generated/schema';
import { percent, signed } from '../data/numbers';

/** A picture of square tiles. */
export interface Sheet {
  address: string;
  columns: number;
  rows: number;
  /** Side of a tile, pixels. */
  side: number;
}

export interface Picture {
  /** Null where no sheet has it. */
  sheet: Sheet | null;
  /** Of its tile. */
  column: number;
  row: number;
  /** What it is, in a word. */
  name: string;
  /** Stands below its tile. */
  caption: string;
  facts: [string, string][];
  /** Where a channel is active in it; 0 and undefined: not known. */
  mask?: bigint | undefined;
}

/** How many times its own size a tile is shown at most: beyond, there is nothing to see but blur. */
const MOST = 5;

/** Side of an enlarged tile, pixels, in a window of this size. */
export function enlarged(sheet: Sheet | null, window: { width: number; height: number }): number {
  const room = Math.min(window.width - 80, window.height - 280);
  return Math.max(120, Math.min(room, MOST * (sheet?.side ?? 0)));
}

/** Images at these places of a list, on its sheet: the class's own, or another. */
export function imagesOf(
  dataset: Dataset,
  of: number,
  file: ImageFile,
  places: readonly number[],
  on = `sheet/${of}`,
): Picture[] {
  const { pictures } = dataset.manifest;
  const columns = pictures?.sheet_columns ?? 1;
  const held = Math.min(file.image.length, pictures?.sheet_images ?? 0);
  const sheet = {
    address: dataset.bundle.picture(on),
    columns,
    rows: Math.ceil(held / columns),
    side: pictures?.sheet_tile ?? 1,
  };
  return places.map((place) => {
    const path = file.path[place] ?? '';
    const margin = signed(file.margin[place] ?? 0);
    return {
      sheet: place < held ? sheet : null,
      column: place % columns,
      row: Math.floor(place / columns),
      name: path,
      caption: margin,
      facts: [
        ['Class', dataset.nameOf(of)],
        [
          'Taken for',
          `${dataset.nameOf(file.prediction[place] ?? of)}, ${percent(file.probability[place] ?? 0)}`,
        ],
        ['Margin', `${margin} logits`],
        ['File', path],
      ],
    };
  });
}
