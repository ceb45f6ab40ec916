// The graph as files.
import { describe, expect, it } from 'vitest';
import { csvText, jsonText } from '../../src/views/graph/export';
import { svgText } from '../../src/views/graph/export_svg';
import { spacingOf } from '../../src/views/graph/geometry';
import { type ViewGraph, viewGraph } from '../../src/views/graph/model';
import { visible } from '../../src/views/graph/visible';
import { dataset, graph } from './helpers';

const everything = { nodes: 1, edges: 1, hidden: new Set<number>(), opposing: true };

describe('files', () => {
  const data = dataset();
  const view = viewGraph(graph(0, [5, 6]));
  const shown = visible(view, everything);

  const style = {
    edges: {
      plain: '#111',
      incoming: '#222',
      outgoing: '#333',
      supports: '#444',
      opposes: '#555',
      sideA: '#666',
      sideB: '#777',
      opacity: 0.8,
    },
    page: '#fff',
    ink: '#000',
    faint: '#999',
    line: '#888',
    accent: '#00f',
    onAccent: '#fff',
    both: '#aaa',
    font: '"Inter", sans-serif',
    fontStyle: '<style>@font-face{}</style>',
  };
  const drawn = (of: ViewGraph, hidden: ReadonlySet<number>) =>
    svgText({
      dataset: data,
      graph: of,
      shown: visible(of, { ...everything, hidden }),
      spacing: spacingOf(of, hidden, { column: 100, row: 100 }),
      style,
      pictures: new Map(),
    });

  it('CSV has one line an edge', () => {
    const lines = csvText(data, view, shown).trim().split('\r\n');
    expect(lines).toHaveLength(1 + view.edges.length);
    expect(lines[1]).toBe('a/relu,1,,b/relu,5,,,1,,,,,,,');
    expect(lines.at(-1)).toBe('b/relu,6,,output,tench,,,7,,,,,,,');
  });

  it('SVG escapes names and is well formed', () => {
    const named = viewGraph({
      ...graph(0, [5]),
      group: { name: '<b>&"', images: 10 },
      classes: [{ class: 0, name: '<b>&"', x: 0 }],
    });
    const text = drawn(named, new Set());
    expect(text).not.toContain('<b>');
    expect(text).toContain('&lt;b&gt;&amp;&quot;');
    const parsed = new DOMParser().parseFromString(text, 'image/svg+xml');
    expect(parsed.querySelector('parsererror')).toBeNull();
    // Two more show widths in the key.
    expect(text.match(/<path /g)).toHaveLength(named.edges.length + 2);
  });

  it('SVG says what it is of, by what, and what its marks mean', () => {
    const texts = (of: ViewGraph, hidden = new Set<number>()) => {
      const parsed = new DOMParser().parseFromString(drawn(of, hidden), 'image/svg+xml');
      expect(parsed.documentElement.getAttribute('font-family')).toBe(style.font);
      expect(parsed.querySelector('style')).not.toBeNull();
      return [...parsed.querySelectorAll('text')].map((element) => element.textContent);
    };
    const said = texts(view);
    for (const text of ['tench', 'a', '2 of 8', '2 of 16', '10 %', 'of the images', 'PageRank'])
      expect(said).toContain(text);
    expect(said).toContain(
      'Measure conv-max · 10 images · 4 channels · 6 edges · net.onnx · things',
    );
    // Nothing is highlighted in a file.
    expect(said).not.toContain('from below');
    const two = texts(viewGraph(graph(0, [5, 6]), graph(1, [6, 7], 12)), new Set([0]));
    expect(two).toContain('only tench');
    expect(two).toContain('3 of 16');
    expect(two).not.toContain('a');
  });

  it('JSON holds what is shown', () => {
    const few = visible(view, { ...everything, hidden: new Set([0]) });
    const value = JSON.parse(jsonText(data, view, few));
    expect(value.nodes).toHaveLength(3);
    expect(value.edges).toHaveLength(2);
    expect(value.groups).toEqual([{ name: 'tench', images: 10 }]);
  });
});
