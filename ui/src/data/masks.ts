// Where channels are active in the pictures of their examples.
import type { MaskFile } from './generated/schema';

/** Cells along one side of a tile. */
export const MASK_SIDE = 8;
const DIGITS = 16;
const LONGEST = 64 * DIGITS;

/** The masks of a channel, in the order of its tiles; none where the file is not understood. */
export function masksOf(file: MaskFile, over: 'best' | 'range', channel: number): bigint[] {
  const text = (over === 'range' ? file.range : file.examples)[channel] ?? '';
  if (text.length > LONGEST || text.length % DIGITS !== 0 || !/^[0-9a-f]*$/.test(text)) return [];
  return Array.from({ length: text.length / DIGITS }, (_, place) =>
    BigInt(`0x${text.slice(place * DIGITS, (place + 1) * DIGITS)}`),
  );
}

/** Outline of the cells where the channel is silent, in units of a cell. */
export function silentCells(mask: bigint): string {
  let path = '';
  for (let cell = 0; cell < MASK_SIDE * MASK_SIDE; cell++) {
    if ((mask >> BigInt(cell)) & 1n) continue;
    path += `M${cell % MASK_SIDE} ${Math.floor(cell / MASK_SIDE)}h1v1h-1z`;
  }
  return path;
}
