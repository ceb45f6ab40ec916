// What colour and size of a point tell.
import type { Dataset } from '../../data/dataset';
import { CATEGORIES, cividis } from '../../theme/palette';
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

/** The colour of each point; null leaves it plain. `use`: of channels, the share of the class's images. */
export function colouring(
  dataset: Dataset,
  points: Point[],
  colour: Colour,
  use: ReadonlyMap<number, number> = new Map(),
): (point: Point) => string | null {
  const most = dataset.classes.reduce((most, info) => Math.max(most, info.images), 1);
  const info = (point: Point) => dataset.byId.get(point.group);
  const category = (index: number) => CATEGORIES[index % CATEGORIES.length] ?? null;
  if (colour === 'class') {
    const places = new Map(dataset.classes.map(({ id }, place) => [id, place]));
    return (point) => category(places.get(point.group) ?? 0);
  }
  if (colour === 'cluster') {
    const of = new Map(clusters(points).map((cluster, place) => [points[place]?.id, cluster]));
    return (point) => category(of.get(point.id) ?? 0);
  }
  if (colour === 'accuracy') return (point) => cividis(info(point)?.accuracy ?? 0);
  if (colour === 'images') return (point) => cividis((info(point)?.images ?? 0) / most);
  if (colour === 'use') return (point) => cividis(use.get(point.id) ?? 0);
  return () => null;
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
