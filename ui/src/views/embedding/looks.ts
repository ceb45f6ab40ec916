// How points and labels look, and which stand out.
import type { Dataset } from '../../data/dataset';
import type { Selection } from '../../state/selection.svelte';
import type { Similarity } from '../../state/similarity.svelte';
import type { Colour, PointKind } from '../../state/url';
import { colouring } from './colours';
import type { Point, PointStyle } from './points';

export interface Shown {
  dataset: Dataset;
  points: Point[];
  kind: PointKind;
  colour: Colour;
  /** Of channels, the share of the selected class's images. */
  use: ReadonlyMap<number, number>;
  /** Areas tell the number of images. */
  sized: boolean;
  dark: boolean;
}

export interface Chosen {
  selection: Selection;
  similarity: Similarity;
  hovered: Point | null;
}

type StyleOf = (point: Point) => PointStyle;
type Read = (name: string) => string;

/** The points that are always labelled, the selected one first. */
export function importantPoints(
  selection: Selection,
  kind: PointKind,
  hovered: Point | null,
): number[] {
  if (kind === 'images') return [];
  const { node, layer } = selection;
  const chosen =
    kind === 'classes'
      ? [selection.class, selection.compare]
      : [node?.layer === layer ? node.channel : null];
  const ids = [...chosen, hovered?.id ?? null].filter((id) => id !== null);
  return [...new Set(ids)];
}

/** Radius of a class, in those of one without a size, by its share of the most images of a class. */
export const sizeOf = (share: number) => Math.sqrt(0.5 + 2 * share);

export const mostImages = (dataset: Dataset) =>
  dataset.classes.reduce((most, info) => Math.max(most, info.images), 1);

/** How each point looks, whatever is chosen. */
export function styling(
  { dataset, points, kind, colour, use, sized, dark }: Shown,
  read: Read,
): StyleOf {
  const plain = read('--point');
  const most = mostImages(dataset);
  const small = radiusAmong(points.length);
  const colourOf = colouring(dataset, points, colour, use, dark);
  return (point) => {
    const own = colourOf(point);
    const images = dataset.byId.get(point.group)?.images ?? 0;
    const factor = sized && kind === 'classes' ? sizeOf(images / most) : 1;
    return { colour: own ?? plain, radius: small * factor + (own === null ? 0 : 0.6) };
  };
}

/** Radius of one of so many points. */
export const radiusAmong = (points: number) => (points > 20_000 ? 1.6 : points > 400 ? 2.6 : 4);

/** What is drawn on top, and how: coloured points keep their colour and are marked by a ring. */
export function standing(
  { points, kind, colour }: Shown,
  chosen: Chosen,
  styleOf: StyleOf,
  read: Read,
): ReadonlyMap<Point, PointStyle> {
  const colours = { chosen: read('--accent'), compared: read('--side-b'), near: read('--accent') };
  const ink = read('--ink');
  const manner = standingOut(kind, chosen);
  const front = new Map<Point, PointStyle>();
  for (const point of points) {
    const pointed = point === chosen.hovered;
    const how = manner(point) ?? (pointed ? 'near' : null);
    if (how === null) continue;
    const { colour: own, radius } = styleOf(point);
    const style: PointStyle = {
      colour: colour === 'plain' ? colours[how] : own,
      radius: radius + (how === 'near' ? 1.5 : kind === 'images' ? 1 : 3),
    };
    if (pointed) style.ring = ink;
    else if (colour !== 'plain' && how !== 'near') style.ring = colours[how];
    front.set(point, style);
  }
  return front;
}

function standingOut(kind: PointKind, { selection, similarity }: Chosen) {
  const { class: chosen, compare, group, hovered, node, layer } = selection;
  const near = new Set([...similarity.neighbours, ...group]);
  return ({ id, group: of }: Point): 'chosen' | 'compared' | 'near' | null => {
    if (kind === 'channels') return node?.layer === layer && node.channel === id ? 'chosen' : null;
    if (of === chosen) return 'chosen';
    if (of === compare) return 'compared';
    if (of === hovered) return 'near';
    return kind === 'classes' && near.has(of) ? 'near' : null;
  };
}

export interface LabelLook {
  fill: string;
  weight: number;
}

/** How labels look, on the page and in what is saved of it. */
export function labelling(kind: PointKind, chosen: Chosen, read: Read): (id: number) => LabelLook {
  const { selection, similarity, hovered } = chosen;
  const [first] = importantPoints(selection, kind, hovered);
  return (id) => {
    if (kind === 'classes' && id === selection.compare && id !== selection.class)
      return { fill: read('--side-b'), weight: 700 };
    if (id === first) return { fill: read('--accent'), weight: 700 };
    if (id === hovered?.id) return { fill: read('--ink'), weight: 700 };
    const near = kind === 'classes' && similarity.neighbours.includes(id);
    return { fill: read(near ? '--accent' : '--ink-2'), weight: 400 };
  };
}

/** Where a line between points on screen begins and ends: not on them. */
export function trimmed(
  [x1, y1]: readonly [number, number],
  [x2, y2]: readonly [number, number],
): [number, number, number, number] | null {
  const length = Math.hypot(x2 - x1, y2 - y1);
  if (length <= 2 * AWAY) return null;
  const [dx, dy] = [((x2 - x1) / length) * AWAY, ((y2 - y1) / length) * AWAY];
  return [x1 + dx, y1 + dy, x2 - dx, y2 - dy];
}

const AWAY = 9;

/** A line from the selected class to one most like it. */
export interface Link {
  to: Point;
  from: Point;
  similarity: number;
}

export function links(
  { selection, similarity }: Pick<Chosen, 'selection' | 'similarity'>,
  kind: PointKind,
  byId: ReadonlyMap<number, Point>,
): Link[] {
  const from = byId.get(selection.class ?? -1);
  if (kind !== 'classes' || !from) return [];
  return similarity.neighbours.flatMap((id) => {
    const to = byId.get(id);
    return to ? [{ from, to, similarity: similarity.of.get(id) ?? 0 }] : [];
  });
}
