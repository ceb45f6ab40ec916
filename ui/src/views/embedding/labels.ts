// Labels of points without overlap, inside the stage.
import { type Frame, type Point, place } from './points';

/** Room between a point and its label. */
const LABEL_GAP = 10;
/** Where the point is larger, or has a ring. */
const IMPORTANT_GAP = 13;

export interface Label {
  id: number;
  x: number;
  y: number;
  text: string;
  anchor: 'start' | 'middle' | 'end';
}

/** Left, top, right, bottom. */
export type Box = [number, number, number, number];

const LABEL_HEIGHT = 16;
const POINT_ROOM = 5;
/** Room between label and stage. */
const EDGE = 2;
/** A label takes at most this share of the stage's width. */
const WIDEST = 0.6;
/** Points looked at when labels that must stand are placed. */
const CROWD = 2000;

/** What covering something costs a label that must stand. */
const COST = { label: 100, important: 10, point: 1 };

const apart = (a: Box, b: Box) => a[0] >= b[2] || a[2] <= b[0] || a[1] >= b[3] || a[3] <= b[1];
const covered = (box: Box, others: readonly Box[]) =>
  others.reduce((sum, other) => sum + (apart(box, other) ? 0 : 1), 0);

/** As much of a text as fits, with an ellipsis where it was cut. */
export function shortened(text: string, most: number, textWidth: (text: string) => number): string {
  if (textWidth(text) <= most) return text;
  let length = text.length - 1;
  while (length > 1 && textWidth(`${text.slice(0, length)}…`) > most) length--;
  return `${text.slice(0, length).trimEnd()}…`;
}

/**
 * Labels in order of importance, each left out when it would cover another one, an important point,
 * or leave the frame. The first `certain` are always placed, where they cover least of `all` points.
 */
export function labels(
  wanted: { point: Point; text: string }[],
  certain: number,
  frame: Frame,
  textWidth: (text: string) => number,
  all: readonly Point[] = [],
): Label[] {
  const boxOf = (point: Point, room: number): Box => {
    const [x, y] = place(point, frame);
    return [x - room, y - room, x + room, y + room];
  };
  const important = wanted.slice(0, 40).map(({ point }) => boxOf(point, POINT_ROOM));
  const crowd = certain > 0 && all.length <= CROWD ? all.map((point) => boxOf(point, 2)) : [];
  const labels: Box[] = [];
  const placed: Label[] = [];
  const most = WIDEST * frame.width;
  for (const [order, { point, text: whole }] of wanted.entries()) {
    const [x, y] = place(point, frame);
    if (x < 0 || y < 0 || x > frame.width || y > frame.height) continue;
    const text = shortened(whole, most, textWidth);
    const must = order < certain;
    let best: Place | null = null;
    let least = Infinity;
    for (const at of candidates(x, y, textWidth(text), frame, must)) {
      const cost =
        COST.label * covered(at.box, labels) +
        COST.important * covered(at.box, important) +
        (must ? COST.point * covered(at.box, crowd) : 0);
      if (cost < least) [best, least] = [at, cost];
      if (least === 0) break;
    }
    if (!best || (least > 0 && !must)) continue;
    labels.push(best.box);
    placed.push({ id: point.id, x: best.x, y: best.y, text, anchor: best.anchor });
  }
  return placed;
}

type Place = { x: number; y: number; anchor: Label['anchor']; box: Box };

/** Where a label may stand, the best first: beside its point, above and below; one that must stand also farther away. */
function candidates(x: number, y: number, width: number, frame: Frame, must: boolean): Place[] {
  const at = (left: number, top: number): Box => [left, top, left + width, top + LABEL_HEIGHT];
  const inside = ([left, top, right, bottom]: Box) =>
    left >= EDGE && right <= frame.width - EDGE && (!must || (top >= 0 && bottom <= frame.height));
  const places: Place[] = [];
  const gap = must ? IMPORTANT_GAP : LABEL_GAP;
  const anchors: ('start' | 'end')[] =
    x + width + gap > frame.width ? ['end', 'start'] : ['start', 'end'];
  for (const anchor of anchors)
    for (const shift of [0, -11, 11]) {
      const shifted = anchor === 'start' ? x + gap : x - gap;
      const box = at(anchor === 'start' ? shifted : shifted - width, y + shift - LABEL_HEIGHT / 2);
      if (inside(box)) places.push({ x: shifted, y: y + shift, anchor, box });
    }
  const clamp = (value: number, least: number, most: number) =>
    Math.max(least, Math.min(value, most));
  const left = clamp(x - width / 2, EDGE, frame.width - EDGE - width);
  for (const shift of must ? [-20, 20, -34, 34] : [-18, 18]) {
    const top = clamp(y + shift - LABEL_HEIGHT / 2, 0, frame.height - LABEL_HEIGHT);
    places.push({
      x: left + width / 2,
      y: top + LABEL_HEIGHT / 2,
      anchor: 'middle',
      box: at(left, top),
    });
  }
  return places;
}

/** Where a card of a point stands: by it, not on it nor on its label, inside the stage. */
export function cardPlace(
  [x, y]: readonly [number, number],
  label: Label | undefined,
  [width, height]: readonly [number, number],
  frame: Frame,
): [number, number] {
  const [gap, edge] = [14, 4];
  const clamp = (value: number, most: number) => Math.max(edge, Math.min(value, most - edge));
  const left = clamp(x - width / 2, frame.width - width);
  const below = Math.max(y + gap, label ? label.y + LABEL_HEIGHT / 2 + 2 : 0);
  if (below + height <= frame.height - edge) return [left, below];
  const above = Math.min(y - gap, label ? label.y - LABEL_HEIGHT / 2 - 2 : Infinity) - height;
  if (above >= edge) return [left, above];
  // Beside the point, on the side its label leaves free.
  const right = label?.anchor === 'end' ? x + gap : x - gap - width;
  const fits = right >= edge && right + width <= frame.width - edge;
  const other = label?.anchor === 'end' ? x - gap - width : x + gap;
  return [
    clamp(fits ? right : other, frame.width - width),
    clamp(y - height / 2, frame.height - height),
  ];
}

const canvas = document.createElement('canvas').getContext('2d');

/** Width of a label, pixels. */
export function textWidth(text: string): number {
  if (!canvas) return text.length * 7;
  canvas.font = '700 12px Inter, sans-serif';
  return canvas.measureText(text).width + 4;
}
