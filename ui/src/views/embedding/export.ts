// The map as files: SVG as seen, CSV and JSON as numbers.
import { csv, escape } from '../../components/download';
import type { Label } from './labels';
import { type Frame, type Point, type PointStyle, place } from './points';

export interface MapDrawing {
  title: string;
  points: readonly Point[];
  frame: Frame;
  styleOf: (point: Point) => PointStyle;
  /** Drawn last. */
  front: ReadonlyMap<Point, PointStyle>;
  labels: readonly Label[];
  page: string;
  ink: string;
}

/** The part of the map in view. */
export function mapSvg(drawing: MapDrawing): string {
  const { points, frame, front, styleOf } = drawing;
  const { width, height } = frame;
  const disc = (point: Point, { colour, radius }: PointStyle) => {
    const [x, y] = place(point, frame);
    if (x < 0 || y < 0 || x > width || y > height) return [];
    return [
      `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${radius.toFixed(1)}" fill="${colour}"/>`,
    ];
  };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Inter, Helvetica, Arial, sans-serif" font-size="12">`,
    `<title>${escape(drawing.title)}</title>`,
    `<rect width="${width}" height="${height}" fill="${drawing.page}"/>`,
    '<g fill-opacity="0.8">',
    ...points.filter((point) => !front.has(point)).flatMap((point) => disc(point, styleOf(point))),
    '</g>',
    ...[...front].flatMap(([point, style]) => disc(point, style)),
    ...drawing.labels.map(
      ({ x, y, anchor, text }) =>
        `<text x="${x.toFixed(1)}" y="${(y + 4).toFixed(1)}" text-anchor="${anchor}" fill="${drawing.ink}">${escape(text)}</text>`,
    ),
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
