// The map as files: SVG as seen, CSV and JSON as numbers.
import { csv, escape } from '../../components/download';
import type { Label } from './labels';
import { type LabelLook, type Link, trimmed } from './looks';
import { type Frame, type Point, type PointStyle, RING, place } from './points';

export interface MapDrawing {
  title: string;
  points: readonly Point[];
  frame: Frame;
  styleOf: (point: Point) => PointStyle;
  /** Drawn last. */
  front: ReadonlyMap<Point, PointStyle>;
  links: readonly Link[];
  labels: readonly Label[];
  lookOf: (id: number) => LabelLook;
  page: string;
  /** Of links. */
  line: string;
}

/** The part of the map in view. */
export function mapSvg(drawing: MapDrawing): string {
  const { points, frame, front, styleOf } = drawing;
  const { width, height } = frame;
  const disc = (point: Point, { colour, radius, ring }: PointStyle) => {
    const [x, y] = place(point, frame);
    if (x < 0 || y < 0 || x > width || y > height) return [];
    const circle = (r: number, look: string) =>
      `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${r.toFixed(1)}" ${look}/>`;
    const rings = ring
      ? [circle(radius + RING.away, `fill="none" stroke="${ring}" stroke-width="${RING.width}"`)]
      : [];
    return [circle(radius, `fill="${colour}"`), ...rings];
  };
  const line = ({ from, to }: Link) => {
    const ends = trimmed(place(from, frame), place(to, frame));
    if (!ends) return [];
    const [x1, y1, x2, y2] = ends.map((value) => value.toFixed(1));
    return [`<path d="M${x1},${y1}L${x2},${y2}" stroke="${drawing.line}" stroke-opacity="0.45"/>`];
  };
  const label = ({ id, x, y, anchor, text }: Label) => {
    const { fill, weight } = drawing.lookOf(id);
    return `<text x="${x.toFixed(1)}" y="${(y + 4).toFixed(1)}" text-anchor="${anchor}" fill="${fill}" font-weight="${weight}" stroke="${drawing.page}" stroke-width="3" stroke-linejoin="round" paint-order="stroke">${escape(text)}</text>`;
  };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Inter, Helvetica, Arial, sans-serif" font-size="12">`,
    `<title>${escape(drawing.title)}</title>`,
    `<rect width="${width}" height="${height}" fill="${drawing.page}"/>`,
    ...drawing.links.flatMap(line),
    '<g fill-opacity="0.8">',
    ...points.filter((point) => !front.has(point)).flatMap((point) => disc(point, styleOf(point))),
    '</g>',
    ...[...front].flatMap(([point, style]) => disc(point, style)),
    ...drawing.labels.map(label),
    '</svg>',
    '',
  ].join('\n');
}

export type Named = (point: Point) => string;

export const mapCsv = (points: readonly Point[], name: Named) =>
  csv([
    ['id', 'name', 'x', 'y'],
    ...points.map((point) => [point.id, name(point), point.x.toFixed(5), (1 - point.y).toFixed(5)]),
  ]);

export const mapJson = (layer: string, points: readonly Point[], name: Named) =>
  JSON.stringify(
    {
      layer,
      points: points.map((point) => ({
        id: point.id,
        name: name(point),
        x: point.x,
        y: 1 - point.y,
      })),
    },
    null,
    1,
  );
