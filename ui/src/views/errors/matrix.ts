// The confusion matrix as cells on a grid.
import type { Dataset } from '../../data/dataset';
import type { ConfusionTable } from '../../data/generated/schema';
import { OTHERS, WRONG } from '../../state/url';

export interface Cell {
  label: number;
  prediction: number;
  images: number;
  /** Of the label's images, in [0, 1]. */
  share: number;
}

export interface Matrix {
  /** Labels, in the order of rows and of the first columns. */
  classes: number[];
  /** Predictions: the classes, then the most frequent ones outside, then `OTHERS` where there are any. */
  columns: number[];
  row: Map<number, number>;
  column: Map<number, number>;
  /** All cells with images, `OTHERS` included. */
  cells: Cell[];
  /** Wrong cells, most images first, one for each prediction. */
  pairs: Cell[];
}

/** Predictions outside the data set get columns of their own while there are no more columns than this. */
const MOST_COLUMNS = 24;
const MOST_OUTSIDE = 12;
/** Fewer images are no column's worth. */
const LEAST_IMAGES = 2;

export function matrixOf(dataset: Dataset, table: ConfusionTable): Matrix {
  const classes = dataset.classes.filter((info) => info.accuracy !== null).map((info) => info.id);
  const row = places(classes);
  const labelled = new Map<number, number>();
  const add = (sums: Map<number, number>, id: number, images: number) =>
    sums.set(id, (sums.get(id) ?? 0) + images);
  const all = table.label.flatMap((label, index) => {
    const [prediction, images] = [table.prediction[index] ?? 0, table.images[index] ?? 0];
    add(labelled, label, images);
    return row.has(label) ? [{ label, prediction, images }] : [];
  });
  const shared = (cell: Omit<Cell, 'share'>): Cell => ({
    ...cell,
    share: cell.images / Math.max(1, labelled.get(cell.label) ?? 0),
  });

  const outside = new Map<number, number>();
  for (const { prediction, images } of all)
    if (!row.has(prediction)) add(outside, prediction, images);
  const named = [...outside]
    .filter(([, images]) => images >= LEAST_IMAGES)
    .sort((l, r) => r[1] - l[1] || l[0] - r[0])
    .slice(0, Math.max(0, Math.min(MOST_OUTSIDE, MOST_COLUMNS - classes.length)))
    .map(([id]) => id);
  const columns = [...classes, ...named, ...(outside.size > named.length ? [OTHERS] : [])];
  const column = places(columns);

  const cells: Cell[] = [];
  const others = new Map<number, number>();
  for (const cell of all) {
    if (column.has(cell.prediction)) cells.push(shared(cell));
    else add(others, cell.label, cell.images);
  }
  for (const [label, images] of others) cells.push(shared({ label, prediction: OTHERS, images }));
  const pairs = all.filter(({ label, prediction }) => label !== prediction).map(shared);
  pairs.sort((l, r) => r.images - l.images || r.share - l.share || l.label - r.label);
  return { classes, columns, row, column, cells, pairs };
}

const places = (ids: number[]) => new Map(ids.map((id, place) => [id, place]));

/** Whether an image so labelled and predicted belongs to a cell. */
export function inCell([label, wanted]: readonly [number, number], of: number, matrix: Matrix) {
  if (wanted === WRONG) return of !== label;
  return wanted === OTHERS ? !matrix.column.has(of) : of === wanted;
}

/** What the images of a cell are. */
export function cellName(dataset: Dataset, [label, prediction]: readonly [number, number]): string {
  if (prediction === WRONG) return 'predicted wrong';
  if (prediction === OTHERS) return 'taken for other classes';
  return label === prediction ? 'predicted right' : `taken for ${dataset.nameOf(prediction)}`;
}
