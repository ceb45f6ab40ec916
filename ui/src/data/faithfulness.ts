// How far a ranking of channels can be trusted, from the run's evaluation.
import type { FaithfulnessFacts } from './generated/schema';

/** F at a share of the channels, between the sizes it was measured at; null outside of them. */
export function keptAt({ sizes, kept }: FaithfulnessFacts, share: number): number | null {
  const points: [number, number][] = [
    [0, 0],
    ...sizes.map((size, at): [number, number] => [size, kept[at] ?? 0]),
  ];
  for (const [place, [right, high]] of points.entries()) {
    const [left, low] = points[place - 1] ?? [right, high];
    if (share <= right && place > 0)
      return low + ((high - low) * (share - left)) / (right - left || 1);
  }
  return null;
}
