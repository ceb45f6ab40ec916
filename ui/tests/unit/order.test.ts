import { describe, expect, it } from 'vitest';
import { type Column, ordered, pressed } from '../../src/components/order';

interface Row {
  name: string;
  size: number;
}
const columns: Column<Row>[] = [
  { name: 'Name', by: (row) => row.name },
  { name: 'Size', number: true, by: (row) => row.size },
  { name: 'Remark' },
];
const rows = [
  { name: 'b10', size: 1 },
  { name: 'b9', size: 3 },
  { name: 'a', size: 1 },
];
const names = (order: Parameters<typeof ordered>[2]) =>
  ordered(rows, columns, order).map(({ name }) => name);

describe('the order of a table', () => {
  it('goes from the one way to the other and to none', () => {
    const first = pressed(columns, null, 1);
    const second = pressed(columns, first, 1);
    expect([first, second]).toEqual([
      { column: 1, down: true },
      { column: 1, down: false },
    ]);
    expect(pressed(columns, second, 1)).toBeNull();
    expect(pressed(columns, first, 0)).toEqual({ column: 0, down: false });
  });

  it('keeps equal rows as they were', () => {
    expect(names({ column: 1, down: true })).toEqual(['b9', 'b10', 'a']);
    expect(names({ column: 1, down: false })).toEqual(['b10', 'a', 'b9']);
  });

  it('sorts words as people do', () => {
    expect(names({ column: 0, down: false })).toEqual(['a', 'b9', 'b10']);
  });

  it('is that of the rows where a column has none', () => {
    expect(names({ column: 2, down: true })).toEqual(['b10', 'b9', 'a']);
    expect(names(null)).toEqual(['b10', 'b9', 'a']);
  });
});
