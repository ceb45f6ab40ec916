// Labels of points without overlap.
import { type Frame, type Point, place } from './points';

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

const canvas = document.createElement('canvas').getContext('2d');

/** Width of a label, pixels. */
export function textWidth(text: string): number {
  if (!canvas) return text.length * 7;
  canvas.font = '600 12px Inter, sans-serif';
  return canvas.measureText(text).width + 4;
}
