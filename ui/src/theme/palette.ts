// Colours for magnitudes: cividis, readable with every kind of colour vision.
const CIVIDIS: [number, number, number][] = [
  [0, 34, 78],
  [33, 59, 110],
  [76, 85, 108],
  [108, 110, 114],
  [141, 136, 120],
  [178, 165, 109],
  [217, 196, 87],
  [254, 232, 56],
];

/** `share` in [0, 1]. */
export function cividis(share: number): string {
  const place = Math.min(1, Math.max(0, share)) * (CIVIDIS.length - 1);
  const below = Math.floor(place);
  const low = CIVIDIS[below] ?? [0, 0, 0];
  const high = CIVIDIS[below + 1] ?? low;
  const mixed = low.map((value, channel) =>
    Math.round(value + (place - below) * ((high[channel] ?? value) - value)),
  );
  return `rgb(${mixed.join(' ')})`;
}
