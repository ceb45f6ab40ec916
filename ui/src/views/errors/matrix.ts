// The confusion matrix as cells on a grid.
import type { Dataset } from '../../data/dataset';
import type { ConfusionTable } from '../../data/generated/schema';

export interface Cell {
  label: number;
  prediction: number;
  images: number;
  /** Of the label's images, in [0, 1]. */
  share: number;
}

export interface Matrix {
  /** Labels, in the order of rows and columns. */
  classes: number[];
  place: Map<number, number>;
  /** Between classes of the matrix. */
  cells: Cell[];
  /** Per row: images predicted as a class without images of its own. */
  elsewhere: number[];
  /** Wrong cells, most images first; predictions elsewhere included. */
  pairs: Cell[];
}

export function matrixOf(dataset: Dataset, table: ConfusionTable): Matrix {
  const classes = dataset.classes.filter((info) => info.accuracy !== null).map((info) => info.id);
  const place = new Map(classes.map((id, index) => [id, index]));
  const labelled = new Map<number, number>();
  table.label.forEach((label, index) =>
    labelled.set(label, (labelled.get(label) ?? 0) + (table.images[index] ?? 0)),
  );
  const elsewhere = classes.map(() => 0);
  const cells: Cell[] = [];
  const pairs: Cell[] = [];
  table.label.forEach((label, index) => {
    const prediction = table.prediction[index] ?? 0;
    const images = table.images[index] ?? 0;
    const cell = { label, prediction, images, share: images / (labelled.get(label) ?? images) };
    const row = place.get(label);
    if (row === undefined) return;
    if (place.has(prediction)) cells.push(cell);
    else elsewhere[row] = (elsewhere[row] ?? 0) + images;
    if (label !== prediction) pairs.push(cell);
  });
  pairs.sort((l, r) => r.images - l.images || r.share - l.share || l.label - r.label);
  return { classes, place, cells, elsewhere, pairs };
}
