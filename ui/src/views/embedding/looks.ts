// How points look, and which stand out.
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

/** How each point looks, whatever is chosen. */
export function styling({ dataset, points, kind, colour, use, sized }: Shown, read: Read): StyleOf {
  const plain = read('--point');
  const most = dataset.classes.reduce((most, info) => Math.max(most, info.images), 1);
  const small = points.length > 20_000 ? 1.6 : points.length > 400 ? 2.6 : 4;
  const colourOf = colouring(dataset, points, colour, use);
  return (point) => {
    const own = colourOf(point);
    const images = dataset.byId.get(point.group)?.images ?? 0;
    const factor = sized && kind === 'classes' ? Math.sqrt(0.5 + (2 * images) / most) : 1;
    return { colour: own ?? plain, radius: small * factor + (own === null ? 0 : 0.6) };
  };
}

/** What is drawn on top, and how. */
export function standing(
  { points, kind, colour }: Shown,
  chosen: Chosen,
  styleOf: StyleOf,
  read: Read,
): ReadonlyMap<Point, PointStyle> {
  const [accent, other] = [read('--accent'), read('--side-b')];
  const manner = standingOut(kind, chosen);
  const front = new Map<Point, PointStyle>();
  for (const point of points) {
    const how = manner(point) ?? (point === chosen.hovered ? 'near' : null);
    if (how === null) continue;
    const { colour: own, radius } = styleOf(point);
    const near = colour === 'plain' ? accent : own;
    const larger = kind === 'images' ? 1 : 3;
    front.set(point, {
      colour: how === 'chosen' ? accent : how === 'compared' ? other : near,
      radius: radius + (how === 'near' ? 1.5 : larger),
    });
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
