// Points of the class map: their places on screen, picking, labels without overlap, drawing.
import { quadtree } from 'd3-quadtree';
import type { EmbeddingFile } from '../../data/generated/schema';
import type { Transform } from '../graph/geometry';

export interface Point {
  id: number;
  /** In the unit square of the map, y down. */
  x: number;
  y: number;
}

/** Fits the coordinates into the unit square, one scale for both axes. */
export function unitPoints(file: EmbeddingFile): Point[] {
  const span = (values: number[]): [number, number] => {
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [low, high];
  };
  const [left, right] = span(file.x);
  const [bottom, top] = span(file.y);
  const extent = Math.max(right - left, top - bottom) || 1;
  return file.class.map((id, place) => ({
    id,
    x: 0.5 + ((file.x[place] ?? 0) - (left + right) / 2) / extent,
    y: 0.5 - ((file.y[place] ?? 0) - (bottom + top) / 2) / extent,
  }));
}

/** Points on the way from one layer to another, `share` in [0, 1]. */
export function between(from: Point[], to: Point[], share: number): Point[] {
  const start = new Map(from.map((point) => [point.id, point]));
  const eased = share * share * (3 - 2 * share);
  return to.map((point) => {
    const old = start.get(point.id) ?? point;
    return {
      id: point.id,
      x: old.x + eased * (point.x - old.x),
      y: old.y + eased * (point.y - old.y),
    };
  });
}

export interface Frame {
  width: number;
  height: number;
  transform: Transform;
}

const MARGIN = 26;

export function place(point: Point, { width, height, transform }: Frame): [number, number] {
  const extent = Math.max(20, Math.min(width, height) - 2 * MARGIN);
  const x = (width - extent) / 2 + point.x * extent;
  const y = (height - extent) / 2 + point.y * extent;
  return [transform.x + transform.k * x, transform.y + transform.k * y];
}

export type Picker = (x: number, y: number, reach: number) => Point | null;

/** Finds the point nearest to a place on screen. */
export function picker(points: Point[], frame: Frame): Picker {
  const tree = quadtree<Point>(
    points,
    (point) => place(point, frame)[0],
    (point) => place(point, frame)[1],
  );
  return (x, y, reach) => tree.find(x, y, reach) ?? null;
}

/** The nearest point in the direction of an arrow key: within 45 degrees of it. */
export function towards(points: Point[], from: Point, key: string): Point | null {
  const [dx, dy] =
    { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key] ?? [];
  if (dx === undefined || dy === undefined) return null;
  let best: Point | null = null;
  let distance = Infinity;
  for (const point of points) {
    const [x, y] = [point.x - from.x, point.y - from.y];
    const along = x * dx + y * dy;
    const across = Math.abs(x * dy - y * dx);
    const away = Math.hypot(x, y);
    if (point.id !== from.id && along > 0 && across <= along && away < distance) {
      best = point;
      distance = away;
    }
  }
  return best;
}

/** Room between a point and its label. */
const LABEL_GAP = 10;

export interface Label {
  id: number;
  x: number;
  y: number;
  text: string;
  anchor: 'start' | 'end';
}

const LABEL_HEIGHT = 16;
const POINT_ROOM = 5;

/**
 * Labels in order of importance, each left out when it would cover another one, an important point,
 * or leave the frame. The first `certain` are placed whatever they cover.
 */
export function labels(
  wanted: { point: Point; text: string }[],
  certain: number,
  frame: Frame,
  textWidth: (text: string) => number,
): Label[] {
  const taken: [number, number, number, number][] = wanted.slice(0, 40).map(({ point }) => {
    const [x, y] = place(point, frame);
    return [x - POINT_ROOM, y - POINT_ROOM, x + POINT_ROOM, y + POINT_ROOM];
  });
  const placed: Label[] = [];
  for (const [order, { point, text }] of wanted.entries()) {
    const [x, y] = place(point, frame);
    if (x < 0 || y < 0 || x > frame.width || y > frame.height) continue;
    const width = textWidth(text);
    const options: ('start' | 'end')[] =
      x + width + 10 > frame.width ? ['end', 'start'] : ['start', 'end'];
    const rows = [0, -11, 11];
    let done = false;
    for (const anchor of options) {
      for (const shift of rows) {
        if (done) break;
        const left = anchor === 'start' ? x + LABEL_GAP : x - LABEL_GAP - width;
        const top = y + shift - LABEL_HEIGHT / 2;
        const box: [number, number, number, number] = [left, top, left + width, top + LABEL_HEIGHT];
        const inside = left >= 2 && left + width <= frame.width - 2;
        const free = taken.every(
          ([l, t, r, b]) => box[0] >= r || box[2] <= l || box[1] >= b || box[3] <= t,
        );
        const last = anchor === options[1] && shift === 11;
        if ((inside && free) || (order < certain && last)) {
          taken.push(box);
          const fallback = !(inside && free);
          const side = fallback ? (options[0] ?? 'start') : anchor;
          const dy = fallback ? 0 : shift;
          placed.push({
            id: point.id,
            x: x + (side === 'start' ? LABEL_GAP : -LABEL_GAP),
            y: y + dy,
            text,
            anchor: side,
          });
          done = true;
        }
      }
    }
  }
  return placed;
}

export interface PointStyle {
  colour: string;
  radius: number;
}

/** Draws all points; those in `front` last, on top. */
export function drawPoints(
  canvas: HTMLCanvasElement,
  points: Point[],
  frame: Frame,
  styleOf: (id: number) => PointStyle,
  front: ReadonlySet<number>,
) {
  const context = canvas.getContext('2d');
  if (!context) return;
  const ratio = frame.width > 0 ? canvas.width / frame.width : 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, frame.width, frame.height);
  // Beyond this, squares: several times faster to fill, and alike at such sizes.
  const many = points.length > 4000;
  const draw = (point: Point) => {
    const [x, y] = place(point, frame);
    if (x < -20 || y < -20 || x > frame.width + 20 || y > frame.height + 20) return;
    const { colour, radius } = styleOf(point.id);
    context.fillStyle = colour;
    if (many && !front.has(point.id)) {
      context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
      return;
    }
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
  };
  context.globalAlpha = points.length > 200 ? 0.65 : 0.9;
  for (const point of points) if (!front.has(point.id)) draw(point);
  context.globalAlpha = 1;
  for (const point of points) if (front.has(point.id)) draw(point);
}
