// By what graphs are drawn, and requests that are given up.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Bundle, isAbort } from '../../src/data/bundle';
import { Dataset } from '../../src/data/dataset';
import type { AttributionGraph } from '../../src/data/generated/schema';
import { NoGraph, loadGraphs, measureChange } from '../../src/views/graph/load';
import { viewGraph } from '../../src/views/graph/model';
import { visible } from '../../src/views/graph/visible';
import { dataset, graph, manifest, table } from './helpers';

/** A graph of effects, one of them below 0. */
function signedGraph(): AttributionGraph {
  const made = graph(0, [5, 6]);
  return {
    ...made,
    measure: 'flow',
    signed: { images: 8, bias_share: 0.3 },
    edges: made.edges.map((edge, place) => ({
      from: edge.from,
      to: edge.to,
      kind: place === 0 ? ('opposes' as const) : ('supports' as const),
      effect: { mean: place === 0 ? -2 : 1, interval: [-3, 3] as [number, number] },
      top_images: 3,
    })),
  };
}

describe('a measure that changes with the graph', () => {
  const data = new Dataset(
    new Bundle('http://host/bundle/'),
    { ...manifest, measures: ['lrp', 'conv-max'] },
    { ...table, measures: [['lrp', 'conv-max'], ['conv-max'], ['conv-max'], ['conv-max'], []] },
  );
  const group = (id: number) => ({ id, part: 'all' as const });

  it('is said, with its reason', () => {
    const change = (
      ids: number[],
      before: 'lrp' | 'conv-max' | undefined,
      now: 'lrp' | 'conv-max',
    ) => measureChange(data, ids.map(group), before, now);
    expect(change([1], 'lrp', 'conv-max')).toBe('no lrp graph of white shark');
    expect(change([0, 1], 'lrp', 'conv-max')).toBe('no lrp graph of white shark');
    expect(change([0], 'conv-max', 'lrp')).toBe('was conv-max');
    expect(change([1], 'conv-max', 'conv-max')).toBe('');
    expect(change([1], undefined, 'conv-max')).toBe('');
  });
});

afterEach(() => vi.unstubAllGlobals());

describe('signed graphs', () => {
  it('are weighed by the size of the effect, and lose what opposes on request', () => {
    const view = viewGraph(signedGraph());
    expect(view.byWeight[0]).toMatchObject({ kind: 'opposes', weight: 1 });
    const all = { nodes: 1, edges: 1, hidden: new Set<number>(), opposing: true };
    const without = visible(view, { ...all, opposing: false });
    expect(visible(view, all).edgeCount - without.edgeCount).toBe(1);
  });

  it('keep the figures of both when compared', () => {
    const [a, b] = [signedGraph(), signedGraph()];
    const [first] = b.edges;
    if (first) first.effect = { mean: 3, interval: [2, 4] };
    const edge = viewGraph(a, b).edges[0];
    expect(edge?.effect.map((effect) => effect?.mean)).toEqual([-2, 3]);
  });
});

describe('the measure of what is shown', () => {
  const asked: string[] = [];
  const data = () => {
    asked.length = 0;
    vi.stubGlobal('fetch', (address: string) => {
      const file = address.slice('http://host/bundle/'.length);
      asked.push(file);
      const named = /graphs\/([a-z-]+)\//.exec(file)?.[1];
      const best = { 'graphs/0.json': 'flow', 'graphs/1.json': 'lrp' }[file] ?? 'conv-max';
      return Promise.resolve(
        new Response(JSON.stringify({ ...graph(0, [5]), measure: named ?? best })),
      );
    });
    return new Dataset(
      new Bundle('http://host/bundle/'),
      { ...manifest, measures: ['lrp', 'flow', 'conv-max'] },
      {
        ...table,
        measures: [['flow', 'conv-max'], ['lrp', 'flow', 'conv-max'], ['conv-max'], [], []],
      },
    );
  };
  const measures = async (groups: Parameters<typeof loadGraphs>[1], wanted: 'lrp' | null) => {
    const graphs = await loadGraphs(data(), groups, wanted, new AbortController().signal);
    return graphs.map(({ measure }) => measure);
  };

  it('is the best of a class, or the one asked for where there is one', async () => {
    expect(await measures([{ id: 0, part: 'all' }], null)).toEqual(['flow']);
    expect(asked).toEqual(['graphs/0.json']);
    expect(await measures([{ id: 0, part: 'all' }], 'lrp')).toEqual(['flow']);
    expect(await measures([{ id: 1, part: 'all' }], 'lrp')).toEqual(['lrp']);
  });

  it('is one that both have when two are compared', async () => {
    const whole = (id: number) => ({ id, part: 'all' as const });
    expect(await measures([whole(0), whole(1)], null)).toEqual(['flow', 'flow']);
    expect(asked).toEqual(['graphs/0.json', 'graphs/flow/1.json']);
    expect(await measures([whole(1), whole(2)], 'lrp')).toEqual(['conv-max', 'conv-max']);
    expect(await measures([whole(0), { id: 0, part: 'wrong' }], null)).toEqual([
      'conv-max',
      'conv-max',
    ]);
  });
});

describe('a part without a graph', () => {
  const said = async (part: 'right' | 'wrong' | number) => {
    vi.stubGlobal('fetch', (address: string) =>
      Promise.resolve(
        address.endsWith('/confusion.json')
          ? new Response(
              JSON.stringify({
                schema_version: 1,
                label: [0, 0, 1],
                prediction: [0, 1, 2],
                images: [9, 1, 5],
              }),
            )
          : new Response('', { status: 404 }),
      ),
    );
    const graphs = loadGraphs(dataset(), [{ id: 0, part }], null, new AbortController().signal);
    return (await graphs.catch((error: unknown) => error)) as Error;
  };

  it('says so in words where it has no images', async () => {
    expect((await said(2)).message).toBe(
      'No image of tench was taken for gold-fish, so there is no graph.',
    );
    expect(await said(2)).toBeInstanceOf(NoGraph);
  });

  it('says where the graph could be had if it has', async () => {
    expect((await said('wrong')).message).toMatch(
      /graph of 1 image of tench predicted wrong; summit serve/,
    );
    expect((await said('right')).message).toMatch(/graph of 9 images of tench predicted right/);
  });
});

describe('requests', () => {
  /** Answers nothing until it is given up. */
  function silent() {
    const ended: string[] = [];
    vi.stubGlobal(
      'fetch',
      (address: string, { signal }: RequestInit) =>
        new Promise((_, reject) => {
          signal?.addEventListener('abort', () => {
            ended.push(address);
            reject(new DOMException('given up', 'AbortError'));
          });
        }),
    );
    return ended;
  }

  it('end when nobody wants them any more, and can be made again', async () => {
    const ended = silent();
    const bundle = new Bundle('http://host/bundle/');
    const [first, second] = [new AbortController(), new AbortController()];
    const one = bundle.graph(3, 'all', null, first.signal);
    const other = bundle.graph(3, 'all', null, second.signal);
    expect(other).toBe(one);
    first.abort();
    expect(ended).toEqual([]);
    second.abort();
    expect(ended).toEqual(['http://host/bundle/graphs/3.json']);
    expect(bundle.graph(3, 'all', null)).not.toBe(one);
    expect(isAbort(await one.catch((error: unknown) => error))).toBe(true);
  });
});
