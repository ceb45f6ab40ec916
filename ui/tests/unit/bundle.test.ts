import { afterEach, describe, expect, it, vi } from 'vitest';
import { Bundle, graphProblem } from '../../src/data/bundle';
import { graph, manifest, table } from './helpers';

function answer(...responses: (Response | Error)[]) {
  const fetch = vi.fn(async () => {
    const next = responses.length > 1 ? responses.shift() : responses[0];
    if (next instanceof Error || !next) throw next ?? new Error('nothing');
    return next.clone();
  });
  vi.stubGlobal('fetch', fetch);
  return fetch;
}

afterEach(() => vi.unstubAllGlobals());

describe('the bundle', () => {
  it('hands out what is good, once', async () => {
    const fetch = answer(Response.json(manifest));
    const bundle = new Bundle('http://host/sub/bundle/');
    expect(await bundle.manifest()).toEqual(manifest);
    expect(await bundle.manifest()).toEqual(manifest);
    expect(fetch).toHaveBeenCalledTimes(1);
    expect(fetch).toHaveBeenCalledWith('http://host/sub/bundle/manifest.json', expect.anything());
  });

  it('says what is wrong', async () => {
    const cases: [string, Response | Error, RegExp][] = [
      ['gone', new TypeError('network'), /^The server does not answer \(classes.json\)$/],
      ['absent', new Response('', { status: 404 }), /no such file/],
      ['failing', new Response('the disk is on fire', { status: 500 }), /the disk is on fire/],
      ['silent', new Response('', { status: 502 }), /The server answered 502/],
      ['truncated', new Response('{"schema_version": 1,'), /no complete JSON/],
      ['a list', Response.json([]), /it is no object/],
      ['newer', Response.json({ ...table, schema_version: 2 }), /newer version of Summit/],
      ['older', Response.json({ ...table, schema_version: 0 }), /version 0 of the data/],
      ['unversioned', Response.json({}), /does not say which version/],
      ['ragged', Response.json({ ...table, name: ['one'] }), /columns .* do not fit together/],
    ];
    for (const [name, response, message] of cases) {
      answer(response);
      await expect(new Bundle('http://host/').classes(), name).rejects.toThrow(message);
    }
  });

  it('tries again after a failure', async () => {
    const fetch = answer(new TypeError('network'), Response.json(table));
    const bundle = new Bundle('http://host/');
    await expect(bundle.classes()).rejects.toThrow();
    expect(await bundle.classes()).toEqual(table);
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it('looks through a graph', () => {
    const problem = (change: (g: ReturnType<typeof graph>) => void) => {
      const made = graph(0, [5, 6]);
      change(made);
      return graphProblem(made as unknown as Record<string, unknown>);
    };
    const edge = (g: ReturnType<typeof graph>) => g.edges[0] ?? { from: 0, to: 0 };
    const node = (g: ReturnType<typeof graph>) => g.nodes[0] ?? { layer: 0, x: 0 };
    expect(problem(() => undefined)).toBeNull();
    expect(problem((g) => (edge(g).to = 99))).toMatch(/leads nowhere/);
    expect(problem((g) => (edge(g).from = -1))).toMatch(/leads nowhere/);
    expect(problem((g) => (node(g).layer = 2))).toMatch(/in no layer/);
    expect(problem((g) => (node(g).x = NaN))).toMatch(/in no layer/);
    expect(problem((g) => (g.classes = []))).toMatch(/leads nowhere/);
    expect(graphProblem({ schema_version: 1 })).toMatch(/missing/);
  });
});
