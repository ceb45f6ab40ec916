// What colour and size of a point tell.
import type { Dataset } from '../../data/dataset';
import { CATEGORIES, magnitudeColour } from '../../theme/palette';
import type { Colour, PointKind } from '../../state/url';
import type { Point } from './points';

/** The colours that tell something of such points. */
export function coloursOf(kind: PointKind): Colour[] {
  if (kind === 'classes') return ['plain', 'cluster', 'accuracy', 'images'];
  if (kind === 'images') return ['plain', 'class', 'cluster', 'accuracy'];
  return ['plain', 'use', 'cluster'];
}

/** Clusters told apart; more colours could not be. */
export const CLUSTERS = 7;
const ROUNDS = 12;

export interface Scale {
  low: number;
  high: number;
}

/** The magnitude a colour tells of a point; null where it is not known. */
function magnitude(
  dataset: Dataset,
  colour: Colour,
  use: ReadonlyMap<number, number>,
): ((point: Point) => number | null) | null {
  if (colour === 'accuracy') return (point) => dataset.byId.get(point.group)?.accuracy ?? null;
  if (colour === 'images') return (point) => dataset.byId.get(point.group)?.images ?? null;
  return colour === 'use' ? (point) => use.get(point.id) ?? 0 : null;
}

/** The values present, which the colours are spread over; null for colours that are no magnitudes. */
export function scaleOf(
  dataset: Dataset,
  points: readonly Point[],
  colour: Colour,
  use: ReadonlyMap<number, number>,
): Scale | null {
  const value = magnitude(dataset, colour, use);
  if (!value) return null;
  let [low, high] = [Infinity, -Infinity];
  for (const point of points) {
    const of = value(point);
    if (of === null) continue;
    low = Math.min(low, of);
    high = Math.max(high, of);
  }
  return low <= high ? { low, high } : null;
}

/** The colour of each point; null leaves it plain. `use`: of channels, the share of the class's images. */
export function colouring(
  dataset: Dataset,
  points: Point[],
  colour: Colour,
  use: ReadonlyMap<number, number> = new Map(),
  dark = false,
): (point: Point) => string | null {
  const category = (index: number) => CATEGORIES[index % CATEGORIES.length] ?? null;
  if (colour === 'class') {
    const places = new Map(dataset.classes.map(({ id }, place) => [id, place]));
    return (point) => category(places.get(point.group) ?? 0);
  }
  if (colour === 'cluster') {
    const of = new Map(clusters(points).map((cluster, place) => [points[place]?.id, cluster]));
    return (point) => category(of.get(point.id) ?? 0);
  }
  const value = magnitude(dataset, colour, use);
  const scale = scaleOf(dataset, points, colour, use);
  if (!value || !scale) return () => null;
  const span = scale.high - scale.low || 1;
  return (point) => {
    const of = value(point);
    return of === null ? null : magnitudeColour((of - scale.low) / span, dark);
  };
}

/**
 * k-means of the map's places, started from points far apart, so that the same map always gives the
 * same clusters. Time: `O(rounds x clusters x points)`.
 */
export function clusters(points: Point[], wanted = CLUSTERS): number[] {
  const of = points.map(() => 0);
  const away = points.map(() => Infinity);
  const centres: { x: number; y: number }[] = [];
  let farthest = 0;
  while (centres.length < Math.min(wanted, points.length)) {
    const centre = points[farthest];
    if (!centre || away[farthest] === 0) break;
    centres.push({ x: centre.x, y: centre.y });
    points.forEach((point, place) => {
      away[place] = Math.min(away[place] ?? 0, square(point, centre));
      if ((away[place] ?? 0) > (away[farthest] ?? 0) || place === 0) farthest = place;
    });
  }
  for (let round = 0; round < ROUNDS; round++) {
    const sums = centres.map(() => ({ x: 0, y: 0, points: 0 }));
    points.forEach((point, place) => {
      let best = 0;
      centres.forEach((centre, index) => {
        const current = centres[best];
        if (current && square(point, centre) < square(point, current)) best = index;
      });
      of[place] = best;
      const sum = sums[best];
      if (!sum) return;
      sum.x += point.x;
      sum.y += point.y;
      sum.points++;
    });
    sums.forEach(({ x, y, points }, index) => {
      if (points > 0) centres[index] = { x: x / points, y: y / points };
    });
  }
  return of;
}

const square = (a: { x: number; y: number }, b: { x: number; y: number }) =>
  (a.x - b.x) ** 2 + (a.y - b.y) ** 2;
