// A small run for unit tests.
import { Bundle } from '../../src/data/bundle';
import { Dataset } from '../../src/data/dataset';
import type { Point } from '../../src/views/embedding/points';
import type { AttributionGraph, ClassTable, SiteManifest } from '../../src/data/generated/schema';

export const manifest: SiteManifest = {
  schema_version: 1,
  bundle_id: '0123456789abcdef',
  data_set: 'things',
  model: { name: 'net.onnx', sha256: 'f'.repeat(64), input_shape: [3, 48, 48], classes: 5 },
  images: { listed: 41, done: 40, skipped: 1, labelled: 40, correct: 30 },
  groups: 4,
  measures: ['conv-max'],
  top_rule: { mass: 0.03 },
  faithfulness: [],
  network: false,
  draws: false,
  layers: [
    {
      name: 'a/relu',
      short: 'a',
      channels: 8,
      size: [24, 24],
      signed: false,
      receptive_size: [3, 3],
    },
    {
      name: 'b/relu',
      short: 'b',
      channels: 16,
      size: [12, 12],
      signed: false,
      receptive_size: [8, 8],
    },
  ],
  skipped: [{ path: 'x.png', reason: 'it is no image' }],
};

export const table: ClassTable = {
  schema_version: 1,
  external_id: ['n01', 'n02', '', 'n04', 'n05'],
  name: ['tench', 'white shark', 'gold-fish', 'Électric ray', 'empty'],
  synonyms: [['Tinca tinca'], ['man-eater'], ['Carassius'], [], []],
  images: [10, 12, 8, 10, 0],
  labelled: [10, 12, 8, 10, 0],
  correct: [9, 6, 8, 7, 0],
  predicted: [10, 10, 10, 10, 0],
  histogram: [[1, 9], [6, 6], [0, 8], [3, 7], []],
  confused_with: [
    [[1, 1]],
    [
      [0, 4],
      [3, 2],
    ],
    [],
    [[1, 3]],
    [],
  ],
  measures: [['conv-max'], ['conv-max'], ['conv-max'], ['conv-max'], []],
};

export const dataset = () =>
  new Dataset(new Bundle('http://host/bundle/'), structuredClone(manifest), structuredClone(table));

/** Two layers; channels 1 and 2 below, `upper` above; every pair joined. */
export function graph(classId: number, upper: number[], images = 10): AttributionGraph {
  const lower = [1, 2];
  const node = (layer: number, channel: number, x: number, count: number) => ({
    layer,
    channel,
    count,
    pagerank: count / 100,
    in_edges: 0,
    out_edges: 0,
    x,
  });
  return {
    schema_version: 1,
    group: { name: table.name[classId] ?? '', images },
    measure: 'conv-max',
    parameters: {
      top_rule: { mass: 0.03 },
      start_threshold: 0.075,
      relaxation_rounds: 0,
    },
    layers: manifest.layers.map(({ name, channels }) => ({ name, channels, threshold: 0.075 })),
    nodes: [
      ...lower.map((channel, place) => node(0, channel, place, 5 - place)),
      ...upper.map((channel, place) => node(1, channel, place, 9 - place)),
    ],
    edges: lower.flatMap((_, from) =>
      upper.map((_, to) => ({
        from,
        to: lower.length + to,
        influence: 1 + from + 2 * to,
        kind: 'unsigned' as const,
      })),
    ),
    classes: [{ class: classId, name: table.name[classId] ?? '', x: 0.5 }],
    logit_edges: upper.map((_, place) => ({
      from: lower.length + place,
      to: 0,
      influence: 7,
      kind: 'unsigned' as const,
    })),
  };
}

/** A linear congruential generator, so that every run sees the same points. */
export function random(seed: number) {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
}

export const point = (id: number, x: number, y: number): Point => ({ id, group: id, x, y });
