// The state of the page in the fragment of its address, so that any file host can serve deep links.
import type { Dataset } from '../data/dataset';
import type { Measure } from '../data/generated/schema';

export type View = 'graph' | 'errors';

/** What the points of the map are. */
export type PointKind = 'classes' | 'channels' | 'images';

/** In place of a prediction: every wrong one; those of classes outside the matrix. */
export const WRONG = -1;
export const OTHERS = -2;
const PREDICTIONS = new Map([
  ['wrong', WRONG],
  ['others', OTHERS],
]);

/** What the colour of a point of the map tells. */
export const COLOURS = {
  plain: 'No colour',
  class: 'Class',
  cluster: 'Cluster',
  accuracy: 'Accuracy',
  images: 'Number of images',
  use: 'Use by the selected class',
} as const;
export type Colour = keyof typeof COLOURS;

/** What the sliders of a graph set: shares shown and factors of distances, each 1 at first. */
export const AMOUNTS = {
  channels: [0.05, 1],
  edges: [0, 1],
  width: [0.6, 2.5],
  height: [0.5, 2.5],
} as const;
export type Amounts = Record<keyof typeof AMOUNTS, number>;
export const AT_FIRST: Readonly<Amounts> = { channels: 1, edges: 1, width: 1, height: 1 };

export interface ChannelKey {
  layer: number;
  channel: number;
  /** An edge of it: the channel of the layer above, or the class, it leads to. */
  to?: number | undefined;
}

/** Which images of a class: all, those predicted right or wrong, those taken for another class. */
export type Part = 'all' | 'right' | 'wrong' | number;

/** All that a link restores. */
export interface LinkState {
  class: number | null;
  part: Part;
  layer: number;
  node: ChannelKey | null;
  compare: number | null;
  comparePart: Part;
  view: View;
  /** Cell of the confusion matrix: label, prediction (or `WRONG`, `OTHERS`). */
  cell: [number, number] | null;
  /** Classes listed; empty: all. */
  group: readonly number[];
  points: PointKind;
  colour: Colour;
  /** Areas of points tell the number of images. */
  sized: boolean;
  /** Feature visualisations in place of crops. */
  features: boolean;
  /** What graphs are drawn by; null: the best there is. */
  measure: Measure | null;
  /** Edges that lower the score are shown. */
  opposing: boolean;
  amounts: Amounts;
  /** Layers left out of graphs, ascending. */
  hidden: readonly number[];
  /** Graphs are tables. */
  asTable: boolean;
}

export interface Parsed {
  state: LinkState;
  /** What in the address was not understood, for the user. */
  ignored: string[];
}

/** Without a word in the link: the last layer, where classes differ most. */
export const startLayer = (dataset: Dataset) => Math.max(0, dataset.manifest.layers.length - 1);

export function format(state: LinkState, dataset: Dataset, withBundle = false): string {
  const fields: [string, string][] = [];
  const part = (name: string, of: Part) => {
    if (of !== 'all') fields.push([name, typeof of === 'number' ? dataset.keyOf(of) : of]);
  };
  if (state.class !== null) fields.push(['class', dataset.keyOf(state.class)]);
  part('part', state.part);
  if (state.compare !== null) {
    fields.push(['compare', dataset.keyOf(state.compare)]);
    part('comparepart', state.comparePart);
  }
  const layer = dataset.layer(state.layer);
  if (layer && state.layer !== startLayer(dataset)) fields.push(['layer', layer.name]);
  const nodeLayer = state.node && dataset.layer(state.node.layer);
  if (state.node && nodeLayer) {
    const { channel, to } = state.node;
    fields.push(['node', `${nodeLayer.name}:${channel}${to === undefined ? '' : `:to:${to}`}`]);
  }
  if (state.view !== 'graph') fields.push(['view', state.view]);
  if (state.cell) {
    const [label, prediction] = state.cell;
    const word = [...PREDICTIONS].find(([, id]) => id === prediction)?.[0];
    fields.push(['cell', `${dataset.keyOf(label)},${word ?? dataset.keyOf(prediction)}`]);
  }
  if (state.group.length > 0)
    fields.push(['group', state.group.map((id) => dataset.keyOf(id)).join(',')]);
  if (state.points !== 'classes') fields.push(['points', state.points]);
  if (state.colour !== 'plain') fields.push(['colour', state.colour]);
  if (state.sized) fields.push(['size', 'images']);
  if (state.features) fields.push(['pictures', 'features']);
  if (state.measure) fields.push(['measure', state.measure]);
  if (!state.opposing) fields.push(['opposing', 'hidden']);
  for (const [name, amount] of Object.entries(state.amounts))
    if (amount !== 1) fields.push([name, amount.toFixed(2)]);
  // One field each: names of layers may hold commas.
  for (const hidden of state.hidden) fields.push(['hide', dataset.layer(hidden)?.name ?? '']);
  if (state.asTable) fields.push(['as', 'table']);
  if (withBundle) fields.push(['bundle', dataset.manifest.bundle_id]);
  return fields
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll('%3A', ':')}`)
    .join('&');
}

export function parse(fragment: string, dataset: Dataset): Parsed {
  const fields = new URLSearchParams(fragment.replace(/^#/, ''));
  const ignored: string[] = [];
  const state: LinkState = {
    class: null,
    part: 'all',
    layer: startLayer(dataset),
    node: null,
    compare: null,
    comparePart: 'all',
    view: 'graph',
    cell: null,
    group: [],
    points: 'classes',
    colour: 'plain',
    sized: false,
    features: false,
    measure: null,
    opposing: true,
    amounts: { ...AT_FIRST },
    hidden: [],
    asTable: false,
  };
  const withImages = (key: string) => {
    const id = dataset.classOfKey(key);
    return id !== null && dataset.byId.has(id) ? id : null;
  };
  const part = (value: string, take: (part: Part) => void) => {
    const known = value === 'right' || value === 'wrong' ? value : dataset.classOfKey(value);
    if (known !== null) take(known);
    return known !== null;
  };
  const readers: Record<string, (value: string) => boolean> = {
    class: (value) => (state.class = withImages(value)) !== null,
    part: (value) => part(value, (part) => (state.part = part)),
    comparepart: (value) => part(value, (part) => (state.comparePart = part)),
    compare: (value) => (state.compare = withImages(value)) !== null,
    layer: (value) => {
      const layer = dataset.layerOfKey(value);
      if (layer !== null) state.layer = layer;
      return layer !== null;
    },
    node: (value) => {
      const [, name = '', digits = '', to] = /^(.*?):(\d+)(?::to:(\d+))?$/.exec(value) ?? [];
      const layer = dataset.layerOfKey(name);
      const channel = Number(digits);
      const known = layer !== null && channel < (dataset.layer(layer)?.channels ?? 0);
      if (known) state.node = { layer, channel, ...(to ? { to: Number(to) } : {}) };
      return known;
    },
    view: (value) => {
      if (value === 'graph' || value === 'errors') state.view = value;
      return value === state.view;
    },
    cell: (value) => {
      const [first = '', second = '', ...more] = value.split(',');
      const label = dataset.classOfKey(first);
      const prediction = PREDICTIONS.get(second) ?? dataset.classOfKey(second);
      const known = more.length === 0 && label !== null && prediction !== null;
      if (known) state.cell = [label, prediction];
      return known;
    },
    group: (value) => {
      const ids = value.split(',').map(withImages);
      const known = ids.filter((id) => id !== null);
      state.group = known;
      return known.length === ids.length;
    },
    points: (value) => {
      if (value === 'channels' || value === 'images') state.points = value;
      return value === state.points;
    },
    colour: (value) => {
      if (Object.hasOwn(COLOURS, value)) state.colour = value as Colour;
      return value === state.colour;
    },
    size: (value) => (state.sized = value === 'images'),
    pictures: (value) =>
      (state.features = value === 'features' && (dataset.manifest.pictures?.features ?? false)),
    measure: (value) => {
      state.measure = dataset.manifest.measures.find((measure) => measure === value) ?? null;
      return state.measure !== null;
    },
    opposing: (value) => {
      state.opposing = value !== 'hidden';
      return !state.opposing;
    },
    hide: (value) => {
      const layer = dataset.layerOfKey(value);
      if (layer !== null)
        state.hidden = [...new Set([...state.hidden, layer])].sort((l, r) => l - r);
      return layer !== null;
    },
    as: (value) => (state.asTable = value === 'table'),
    bundle: (value) => value === dataset.manifest.bundle_id,
  };
  for (const [name, [least, most]] of Object.entries(AMOUNTS))
    readers[name] = (value) => {
      const amount = value === '' ? NaN : Number(value);
      const known = amount >= least && amount <= most;
      if (known) state.amounts[name as keyof Amounts] = amount;
      return known;
    };
  for (const [name, value] of fields) {
    const reader = readers[name];
    if (!reader) ignored.push(name);
    else if (!reader(value))
      ignored.push(name === 'bundle' ? 'the link was made for other data' : `${name} “${value}”`);
  }
  // There is always something to look at.
  state.class ??= dataset.classes[0]?.id ?? null;
  if (state.compare === state.class && state.comparePart === state.part) state.compare = null;
  if (state.compare === null) state.comparePart = 'all';
  return { state, ignored };
}
