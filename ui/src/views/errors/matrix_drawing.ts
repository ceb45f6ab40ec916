// Draws the confusion matrix: the cells in view, numbers where there is room, what is marked.
import type { Matrix } from './matrix';

/** Where the cells are, CSS pixels; columns and rows begin at `x`, `y`. */
export interface Grid {
  left: number;
  top: number;
  right: number;
  bottom: number;
  x: number;
  y: number;
  cellWidth: number;
  cellHeight: number;
}

export interface Marks {
  /** Of the selected class. */
  row: number | undefined;
  /** Row and column; column -1 is the whole row. */
  chosen: [number, number] | null;
  pointed: [number, number] | null;
}

type Read = (name: string) => string;

/** Cells smaller than this are drawn without gaps and empty ones. */
const PLAIN = 8;

export function drawMatrix(
  context: CanvasRenderingContext2D,
  matrix: Matrix,
  grid: Grid,
  marks: Marks,
  read: Read,
) {
  const { left, top, right, bottom, x, y, cellWidth, cellHeight } = grid;
  const small = Math.min(cellWidth, cellHeight) <= PLAIN;
  const gap = small ? 0 : 1;
  // Sub-pixel cells are widened, or single errors among a thousand classes would not be seen.
  const [wide, high] = [Math.max(1, cellWidth - gap), Math.max(1, cellHeight - gap)];
  const square = (row: number, column: number) =>
    context.fillRect(x + column * cellWidth, y + row * cellHeight, wide, high);
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  if (!small) {
    context.fillStyle = read('--sunken');
    const range = (from: number, to: number, start: number, step: number, length: number) => [
      Math.max(0, Math.floor((from - start) / step)),
      Math.min(length, Math.ceil((to - start) / step)),
    ];
    const [r0 = 0, r1 = 0] = range(top, bottom, y, cellHeight, matrix.classes.length);
    const [c0 = 0, c1 = 0] = range(left, right, x, cellWidth, matrix.columns.length);
    for (let row = r0; row < r1; row++)
      for (let column = c0; column < c1; column++) square(row, column);
  }
  if (marks.row !== undefined) {
    context.fillStyle = read('--accent-soft');
    context.fillRect(
      x,
      y + marks.row * cellHeight - 1,
      matrix.columns.length * cellWidth,
      high + 2,
    );
  }
  drawCells(context, matrix, grid, read, square);
  const outline = ([row, column]: [number, number], colour: string) => {
    context.strokeStyle = colour;
    context.lineWidth = 2;
    const whole = column < 0;
    const width = whole ? matrix.columns.length * cellWidth : wide;
    const from = whole ? 0 : column;
    context.strokeRect(x + from * cellWidth, y + row * cellHeight, width, high);
  };
  if (marks.row !== undefined) outline([marks.row, -1], read('--accent'));
  if (marks.pointed) outline(marks.pointed, read('--ink'));
  if (marks.chosen) outline(marks.chosen, read('--focus'));
  context.restore();
}

function drawCells(
  context: CanvasRenderingContext2D,
  matrix: Matrix,
  grid: Grid,
  read: Read,
  square: (row: number, column: number) => void,
) {
  const { left, top, right, bottom, x, y, cellWidth, cellHeight } = grid;
  const [good, bad, under] = [read('--side-a'), read('--side-b'), read('--surface')];
  const [ink, light] = [read('--ink'), read('--page')];
  const written = cellWidth >= 20 && cellHeight >= 16;
  context.font = `${Math.min(12, cellHeight / 1.7, cellWidth / 2)}px Inter, sans-serif`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  for (const { label, prediction, images, share } of matrix.cells) {
    const [row, column] = [matrix.row.get(label) ?? 0, matrix.column.get(prediction) ?? 0];
    const [cx, cy] = [x + (column + 0.5) * cellWidth, y + (row + 0.5) * cellHeight];
    if (cx < left - cellWidth || cy < top - cellHeight) continue;
    if (cx > right + cellWidth || cy > bottom + cellHeight) continue;
    // Square roots: a few wrong images must not vanish beside the many right ones.
    const strength = 0.12 + 0.88 * Math.sqrt(share);
    context.fillStyle = under;
    square(row, column);
    context.globalAlpha = strength;
    context.fillStyle = label === prediction ? good : bad;
    square(row, column);
    context.globalAlpha = 1;
    if (!written) continue;
    context.fillStyle = strength > 0.6 ? light : ink;
    context.fillText(String(images), cx, cy);
  }
}
