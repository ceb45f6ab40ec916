// Colours readable with every kind of colour vision.

/** Categories: Okabe and Ito's, without black and with a darker yellow. */
export const CATEGORIES = [
  '#0072b2',
  '#e69f00',
  '#009e73',
  '#cc79a7',
  '#d55e00',
  '#56b4e9',
  '#b3a200',
];

/** Magnitudes: cividis. */
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
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

/** As much of cividis as stands out from the page, `share` in [0, 1]. */
export const magnitudeColour = (share: number, dark: boolean): string =>
  cividis(dark ? 0.25 + 0.75 * share : 0.92 * share);
