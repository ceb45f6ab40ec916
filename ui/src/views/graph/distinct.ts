// Which channels tell two classes apart (docs/method.md section 4), from their rows of A.
import type { Dataset } from '../../data/dataset';
import type { ActivationFile } from '../../data/generated/schema';
import { csv } from '../../components/download';

export interface DistinctChannel {
  layer: number;
  channel: number;
  /** Share of each class's images in which it is a top channel. */
  share: [number, number];
  /** The first share minus the second, in [-1, 1]: above 0 it speaks for the first class. */
  distinctness: number;
}

/**
 * The channels of each layer with the largest distinctness either way, at most `most`, largest first;
 * ties: lower channel. Channels alike in both are left out.
 */
export function distinguishing(
  a: ActivationFile,
  b: ActivationFile,
  most: number,
): DistinctChannel[][] {
  return a.layers.map((own, layer) => {
    const shares = new Map<number, [number, number]>();
    [own, b.layers[layer]].forEach((row, slot) => {
      const images = Math.max(1, slot === 0 ? a.images : b.images);
      row?.channel.forEach((channel, place) => {
        const share = shares.get(channel) ?? [0, 0];
        share[slot] = (row.images[place] ?? 0) / images;
        shares.set(channel, share);
      });
    });
    return [...shares]
      .map(([channel, share]) => ({ layer, channel, share, distinctness: share[0] - share[1] }))
      .filter(({ distinctness }) => distinctness !== 0)
      .sort((l, r) => Math.abs(r.distinctness) - Math.abs(l.distinctness) || l.channel - r.channel)
      .slice(0, most);
  });
}

/** Its bar, in per cent of a line from -1 to 1: from the middle the way of the sign. */
export function barOf(distinctness: number): { left: number; width: number } {
  return { left: 50 + 50 * Math.min(0, distinctness), width: 50 * Math.abs(distinctness) };
}

/** The channels as a table, one a line. */
export function distinctCsv(dataset: Dataset, rows: DistinctChannel[], names: string[]): string {
  return csv([
    ['layer', 'channel', 'name', ...names.map((name) => `share ${name}`), 'distinctness'],
    ...rows.map(({ layer, channel, share, distinctness }) => [
      dataset.layer(layer)?.name,
      channel,
      dataset.names.of(layer, channel),
      share[0].toFixed(4),
      share[1].toFixed(4),
      distinctness.toFixed(4),
    ]),
  ]);
}
