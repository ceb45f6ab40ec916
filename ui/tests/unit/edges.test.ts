import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  type EdgeColours,
  DASHES,
  drawActiveEdges,
  edgeColours,
  edgeWidth,
  restOpacity,
  widthAt,
} from '../../src/views/graph/edge_layer';
import { type Scene, spacingOf } from '../../src/views/graph/geometry';
import { type ViewGraph, viewGraph } from '../../src/views/graph/model';
import { visible } from '../../src/views/graph/visible';
import { graph } from './helpers';

const everything = { nodes: 1, edges: 1, hidden: new Set<number>(), opposing: true };

describe('edges', () => {
  const unsigned = viewGraph(graph(0, [5, 6, 7]));
  const signed: ViewGraph = {
    ...unsigned,
    measure: 'lrp',
    edges: unsigned.edges.map((edge, place) => ({
      ...edge,
      kind: place % 2 === 0 ? 'supports' : 'opposes',
    })),
  };
  const scene = (of: ViewGraph): Scene => ({
    graph: of,
    shown: visible(of, everything),
    spacing: spacingOf(of, new Set(), { column: 100, row: 100 }),
    transform: { x: 400, y: 100, k: 0.5 },
    width: 1000,
    height: 600,
  });

  it('are wider for more influence, and never a hair while there are few', () => {
    for (const of of [unsigned, signed]) {
      const widths = [0, 0.01, 0.1, 0.5, 1].map((weight) => edgeWidth(of, 60, weight));
      expect(widths).toEqual([...widths].sort((l, r) => l - r));
      expect(new Set(widths).size).toBe(widths.length);
      expect((widths[0] ?? 0) * widthAt(0.3, 60)).toBeGreaterThanOrEqual(1.5);
    }
    // One far above the rest does not make them all alike.
    const [low = 0, high = 0] = [0.02, 0.2].map((weight) => edgeWidth(signed, 60, weight));
    expect(high / low).toBeGreaterThan(1.5);
  });

  it('are thinner and fainter where there are thousands', () => {
    expect(edgeWidth(unsigned, 30_000, 1)).toBeLessThan(edgeWidth(unsigned, 100, 1) / 4);
    expect(restOpacity(0.75, 400)).toBe(0.75);
    expect(restOpacity(0.75, 30_000)).toBeLessThan(0.2);
  });

  it('stand out from the page at rest in every theme', () => {
    const css = readFileSync('src/theme/tokens.css', 'utf8');
    const [light = '', dark = ''] = css.split("[data-theme='dark']");
    const [, , more = '', moreDark = ''] = css.split(/:root(?:\[data-theme='dark'\])? \{/).slice(1);
    const value = (name: string, ...sheets: string[]) => {
      for (const sheet of sheets) {
        const found = new RegExp(`${name}: ([^;]+);`).exec(sheet)?.[1];
        if (found) return found;
      }
      throw new Error(name);
    };
    const channels = (hex: string) =>
      [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
    const luminance = (rgb: number[]) => {
      const [r = 0, g = 0, b = 0] = rgb.map((c) =>
        c < 0.04 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4,
      );
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (name: string, least: number, ...sheets: string[]) => {
      const opacity = Number(value('--edge-opacity', ...sheets));
      const page = channels(value('--page', ...sheets));
      const over = channels(value(name, ...sheets)).map(
        (c, place) => opacity * c + (1 - opacity) * (page[place] ?? 0),
      );
      const [high = 0, low = 0] = [luminance(over), luminance(page)].sort((l, r) => r - l);
      expect((high + 0.05) / (low + 0.05), name).toBeGreaterThanOrEqual(least);
    };
    for (const name of ['--edge', '--supports', '--opposes', '--side-a', '--side-b']) {
      contrast(name, 3, light);
      contrast(name, 3, dark);
    }
    contrast('--edge', 7, more, light);
    contrast('--edge', 7, moreDark, dark);
    expect(edgeColours((name) => (name === '--edge-opacity' ? '0.4' : name))).toMatchObject({
      plain: '--edge',
      opacity: 0.4,
    });
  });

  it('have one meaning of dashes: opposing; what flows is beads', () => {
    const drawn: { dash: number[]; offset: number; width: number }[] = [];
    const context = {
      dash: [] as number[],
      lineDashOffset: 0,
      lineWidth: 0,
      setLineDash(dash: number[]) {
        this.dash = dash;
      },
      beginPath: () => undefined,
      moveTo: () => undefined,
      bezierCurveTo: () => undefined,
      stroke() {
        drawn.push({ dash: this.dash, offset: this.lineDashOffset, width: this.lineWidth });
      },
    };
    const draw = (phase: number | null) => {
      drawn.length = 0;
      const active = { node: null, edge: null, among: new Set(signed.nodes.keys()) };
      drawActiveEdges(
        context as unknown as CanvasRenderingContext2D,
        scene(signed),
        {} as EdgeColours,
        active,
        phase,
      );
      return drawn;
    };
    const still = draw(null);
    expect(still.map(({ dash }) => dash)).toEqual(signed.edges.map(({ kind }) => DASHES[kind]));
    const moving = draw(7);
    expect(moving).toHaveLength(2 * signed.edges.length);
    expect(moving.filter((_, place) => place % 2 === 0).every(({ offset }) => offset === 0)).toBe(
      true,
    );
    const beads = moving.filter((_, place) => place % 2 === 1);
    expect(beads.every(({ dash, offset }) => dash[0] === 0 && offset === -7)).toBe(true);
  });
});
