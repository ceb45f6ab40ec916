import { describe, expect, it } from 'vitest';
import { OTHERS, WRONG } from '../../src/state/url';
import { cellName, inCell, matrixOf } from '../../src/views/errors/matrix';
import { dataset } from './helpers';

const data = dataset();
/** Class 4 has no images of its own; 7 and 8 are named nowhere. */
const confusion = {
  schema_version: 1,
  label: [0, 0, 0, 1, 1, 2, 3, 3],
  prediction: [0, 4, 7, 1, 0, 2, 4, 8],
  images: [6, 3, 1, 6, 6, 8, 1, 1],
};

describe('the confusion matrix', () => {
  const matrix = matrixOf(data, confusion);

  it('gives frequent predictions outside the data set columns of their own', () => {
    expect(matrix.classes).toEqual([0, 1, 2, 3]);
    expect(matrix.columns).toEqual([0, 1, 2, 3, 4, OTHERS]);
    const cell = (label: number, prediction: number) =>
      matrix.cells.find((cell) => cell.label === label && cell.prediction === prediction);
    expect(cell(0, 4)).toMatchObject({ images: 3, share: 0.3 });
    expect(cell(0, OTHERS)).toMatchObject({ images: 1, share: 0.1 });
    expect(cell(3, OTHERS)).toMatchObject({ images: 1 });
    expect(matrix.cells.reduce((sum, { images }) => sum + images, 0)).toBe(32);
    expect(matrix.pairs[0]).toMatchObject({ label: 1, prediction: 0, images: 6 });
    expect(matrix.pairs).toHaveLength(5);
  });

  it('has no column of others where there are none', () => {
    const inside = { ...confusion, prediction: [0, 1, 2, 1, 0, 2, 3, 3] };
    expect(matrixOf(data, inside).columns).toEqual([0, 1, 2, 3]);
  });

  it('knows the images of every cell', () => {
    const of = (label: number, prediction: number) =>
      confusion.prediction.filter(
        (found, place) =>
          confusion.label[place] === label && inCell([label, prediction], found, matrix),
      );
    expect(of(0, WRONG)).toEqual([4, 7]);
    expect(of(0, OTHERS)).toEqual([7]);
    expect(of(0, 4)).toEqual([4]);
    expect(cellName(data, [0, WRONG])).toBe('predicted wrong');
    expect(cellName(data, [0, OTHERS])).toBe('taken for other classes');
    expect(cellName(data, [0, 0])).toBe('predicted right');
    expect(cellName(data, [0, 4])).toBe('taken for empty');
  });
});
