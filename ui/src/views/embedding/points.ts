// Points of the map: their places on screen, picking, drawing.
import { quadtree } from 'd3-quadtree';
import type { EmbeddingFile } from '../../data/generated/schema';
import type { Transform } from '../../components/zoomable';

export interface Point {
  id: number;
  /** In the unit square of the map, y down. */
  x: number;
  y: number;
  /** The class it belongs to; of a class, itself. */
  group: number;
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
  return file.id.map((id, place) => ({
    id,
    group: file.group?.[place] ?? id,
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
      ...point,
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

/** The unit square on screen: `[scale, left, top]`. */
export function affine({ width, height, transform: { x, y, k } }: Frame): [number, number, number] {
  const extent = Math.max(20, Math.min(width, height) - 2 * MARGIN);
  return [k * extent, x + (k * (width - extent)) / 2, y + (k * (height - extent)) / 2];
}

export function place(point: { x: number; y: number }, frame: Frame): [number, number] {
  const [scale, left, top] = affine(frame);
  return [left + scale * point.x, top + scale * point.y];
}

export function inFrame(point: Point, frame: Frame): boolean {
  const [x, y] = place(point, frame);
  return x >= 0 && y >= 0 && x <= frame.width && y <= frame.height;
}

/** The place of the unit square under a place on screen. */
export function unplace(x: number, y: number, frame: Frame): [number, number] {
  const [scale, left, top] = affine(frame);
  return [(x - left) / scale, (y - top) / scale];
}

export type Picker = (x: number, y: number, reach: number, frame: Frame) => Point | null;

/** Finds the point nearest to a place on screen; the search tree does not depend on the zoom. */
export function picker(points: Point[]): Picker {
  const tree = quadtree<Point>(
    points,
    (point) => point.x,
    (point) => point.y,
  );
  return (x, y, reach, frame) => {
    const [u, v] = unplace(x, y, frame);
    return tree.find(u, v, reach / affine(frame)[0]) ?? null;
  };
}

/** The points inside an outline on screen (even-odd rule). */
export function enclosed(points: Point[], outline: [number, number][], frame: Frame): Point[] {
  const corners = outline.map(([x, y]) => unplace(x, y, frame));
  return points.filter(({ x, y }) => {
    let inside = false;
    let [px, py] = corners.at(-1) ?? [0, 0];
    for (const [cx, cy] of corners) {
      if (cy > y !== py > y && x < ((px - cx) * (y - cy)) / (py - cy) + cx) inside = !inside;
      [px, py] = [cx, cy];
    }
    return inside;
  });
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

export interface PointStyle {
  colour: string;
  radius: number;
  /** Colour of a ring round it. */
  ring?: string;
}

/** From the centre of a point to that of its ring, beyond its radius, and the width of the ring. */
export const RING = { away: 2.5, width: 1.8 };

/** Beyond this many, discs would take too long: the graphics card draws, or pixels are written. */
export const MOST_SHAPES = 4000;

/** Draws points as discs, in their order. */
export function drawShapes(
  context: CanvasRenderingContext2D,
  points: readonly Point[],
  frame: Frame,
  styleOf: (point: Point) => PointStyle,
  alpha: number,
) {
  const [scale, left, top] = affine(frame);
  context.globalAlpha = alpha;
  for (const point of points) {
    const [x, y] = [left + scale * point.x, top + scale * point.y];
    if (x < -20 || y < -20 || x > frame.width + 20 || y > frame.height + 20) continue;
    const { colour, radius, ring } = styleOf(point);
    context.fillStyle = colour;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    if (!ring) continue;
    context.strokeStyle = ring;
    context.lineWidth = RING.width;
    context.beginPath();
    context.arc(x, y, radius + RING.away, 0, 2 * Math.PI);
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** Draws points as squares of pixels, written directly: many times faster than discs. */
export function drawPixels(
  context: CanvasRenderingContext2D,
  points: Point[],
  frame: Frame,
  styleOf: (point: Point) => PointStyle,
) {
  const { width, height } = context.canvas;
  const ratio = frame.width > 0 ? width / frame.width : 1;
  const [scale, left, top] = affine(frame).map((value) => value * ratio) as [
    number,
    number,
    number,
  ];
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = new Map<string, number>();
  for (const point of points) {
    const { colour, radius } = styleOf(point);
    const reach = Math.round(radius * ratio * 0.8);
    const [x, y] = [Math.round(left + scale * point.x), Math.round(top + scale * point.y)];
    if (x < -reach || y < -reach || x >= width + reach || y >= height + reach) continue;
    let value = colours.get(colour);
    if (value === undefined) colours.set(colour, (value = pixelOf(colour)));
    const [x0, x1] = [Math.max(0, x - reach), Math.min(width, x + reach)];
    const y1 = Math.min(height, y + reach);
    for (let row = Math.max(0, y - reach); row < y1; row++)
      pixels.fill(value, row * width + x0, row * width + x1);
  }
  context.putImageData(image, 0, 0);
}

/** A colour `#rrggbb` as bytes: red, green, blue, opaque. Others come out grey. */
export function bytesOf(colour: string): [number, number, number, number] {
  const digits = /^#([0-9a-f]{6})$/i.exec(colour)?.[1] ?? '808080';
  const [red = 0, green = 0, blue = 0] = [0, 2, 4].map((at) =>
    parseInt(digits.slice(at, at + 2), 16),
  );
  return [red, green, blue, 255];
}

const pixelOf = (colour: string): number =>
  new Uint32Array(new Uint8Array(bytesOf(colour)).buffer)[0] ?? 0;

/** What the graphics card is given of each point: place in the unit square, colour, radius. */
export interface PointArrays {
  places: Float32Array;
  /** Red, green, blue, alpha, 0 to 255. */
  colours: Uint8Array;
  /** CSS pixels. */
  radii: Float32Array;
}

export function arraysOf(
  points: readonly Point[],
  styleOf: (point: Point) => PointStyle,
): PointArrays {
  const places = new Float32Array(2 * points.length);
  const colours = new Uint8Array(4 * points.length);
  const radii = new Float32Array(points.length);
  const known = new Map<string, number[]>();
  points.forEach((point, index) => {
    const { colour, radius } = styleOf(point);
    let bytes = known.get(colour);
    if (!bytes) known.set(colour, (bytes = bytesOf(colour)));
    places.set([point.x, point.y], 2 * index);
    colours.set(bytes, 4 * index);
    radii[index] = radius;
  });
  return { places, colours, radii };
}
