// The order of a table's rows by one of its columns.

export interface Column<Row> {
  name: string;
  number?: boolean;
  /** What the rows can be sorted by; numbers and words do not mix. */
  by?: (row: Row) => number | string;
}

export interface Order {
  /** Place of the column. */
  column: number;
  down: boolean;
}

/** The next order when a column's head is pressed: numbers fall first, words rise; then the other way; then none. */
export function pressed<Row>(
  columns: readonly Column<Row>[],
  order: Order | null,
  column: number,
): Order | null {
  const first = columns[column]?.number ?? false;
  if (order?.column !== column) return { column, down: first };
  return order.down === first ? { column, down: !first } : null;
}

/** The rows in that order; equal ones stay as they were. */
export function ordered<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  order: Order | null,
): readonly Row[] {
  const by = order && columns[order.column]?.by;
  if (!by) return rows;
  const sign = order.down ? -1 : 1;
  const compare = (l: number | string, r: number | string) =>
    typeof l === 'number' && typeof r === 'number'
      ? l - r
      : String(l).localeCompare(String(r), 'en', { numeric: true });
  return [...rows].sort((l, r) => sign * compare(by(l), by(r)));
}
