// The one selection that drives all views. A view never reaches into another.
import type { Section } from '../components/guide';
import type { Dataset } from '../data/dataset';
import type { Measure } from '../data/generated/schema';
import {
  AT_FIRST,
  type Amounts,
  type ChannelKey,
  type Colour,
  type LinkState,
  type Part,
  type PointKind,
  type View,
  WRONG,
  format,
  parse,
  startLayer,
} from './url';

export class Selection {
  class = $state<number | null>(null);
  /** Which of the class's images. */
  part = $state.raw<Part>('all');
  compare = $state<number | null>(null);
  comparePart = $state.raw<Part>('all');
  layer = $state(0);
  /** The pinned channel. */
  node = $state.raw<ChannelKey | null>(null);
  view = $state<View>('graph');
  cell = $state.raw<[number, number] | null>(null);
  /** Classes chosen by an outline; empty: all. */
  group = $state.raw<readonly number[]>([]);
  /** Of images chosen by an outline, how many of each class, most first. */
  outlined = $state.raw<readonly [number, number][]>([]);
  points = $state<PointKind>('classes');
  colour = $state<Colour>('plain');
  /** Areas of points tell the number of images. */
  sized = $state(false);
  /** What graphs are drawn by; null: the best there is. */
  measure = $state<Measure | null>(null);
  /** Edges that lower the score are shown. */
  opposing = $state(true);
  /** Of the graph's sliders. */
  amounts = $state<Amounts>({ ...AT_FIRST });
  /** Layers left out of graphs, ascending. */
  hidden = $state.raw<readonly number[]>([]);
  /** Graphs are tables. */
  asTable = $state(false);
  /** The class under the pointer, in any view. */
  hovered = $state<number | null>(null);
  /** The class whose graph has been painted, or cannot be: what the graph need not wait for waits for it. */
  painted = $state<number | null>(null);
  /** The view about which an explanation is wanted. */
  explained = $state<Section['id'] | null>(null);
  /** Said to screen readers. */
  said = $state('');
  /** Shown once, for example about a link that was not understood. */
  notice = $state('');

  readonly #dataset: Dataset;

  constructor(dataset: Dataset) {
    this.#dataset = dataset;
    this.layer = startLayer(dataset);
  }

  /** Feature visualisations are shown in place of crops. */
  get features(): boolean {
    return this.#dataset.features.shown;
  }

  set features(shown: boolean) {
    void this.#dataset.features.show(shown);
  }

  showFeatures(shown: boolean) {
    this.features = shown;
    this.#record();
  }

  /** What the graph is of: the class, and what it is compared with. */
  get groups(): { id: number; part: Part }[] {
    const { class: id, part, compare, comparePart } = this;
    if (id === null) return [];
    const other = compare === null ? [] : [{ id: compare, part: comparePart }];
    return [{ id, part }, ...other];
  }

  get link(): LinkState {
    const { class: id, part, compare, comparePart, layer, node, view, cell, group } = this;
    const { points, colour, sized, features, measure, opposing, amounts, hidden, asTable } = this;
    return {
      class: id,
      part,
      compare,
      comparePart,
      layer,
      node,
      view,
      cell,
      group,
      points,
      colour,
      sized,
      features,
      measure,
      opposing,
      amounts,
      hidden,
      asTable,
    };
  }

  /** The whole address, for the clipboard. */
  permalink(): string {
    const address = new URL(location.href);
    address.hash = format(this.link, this.#dataset, true);
    return address.href;
  }

  /** @param node stays or becomes pinned */
  selectClass(id: number | null, part: Part = 'all', node: ChannelKey | null = null) {
    if (id === this.class && part === this.part && this.view === 'graph' && !node) return;
    this.class = id;
    this.part = part;
    this.view = 'graph';
    this.node = node;
    if (this.compare === id && this.comparePart === part) this.compare = null;
    this.#say(id === null ? 'No class selected' : this.#dataset.nameOf(id));
    this.#record();
  }

  /** Selects a class without leaving the view: among the errors, its own are shown. */
  selectHere(id: number) {
    if (this.view !== 'errors') return this.selectClass(id);
    this.class = id;
    this.part = 'all';
    this.node = null;
    if (this.compare === id) this.compare = null;
    this.cell = [id, WRONG];
    this.#say(`Errors of ${this.#dataset.nameOf(id)}`);
    this.#record();
  }

  compareWith(id: number | null, part: Part = 'all') {
    if (id !== null && id === this.class && part === this.part) return;
    this.compare = id;
    this.comparePart = part;
    this.view = 'graph';
    this.node = null;
    this.#say(id === null ? 'Comparison ended' : `Compared with ${this.#dataset.nameOf(id)}`);
    this.#record();
  }

  /** Compares images of a class predicted right with others of them. */
  compareParts(id: number, part: Part) {
    this.class = id;
    this.part = 'right';
    this.compareWith(id, part);
  }

  /** Swaps the compared classes. */
  swap() {
    [this.class, this.compare] = [this.compare, this.class];
    [this.part, this.comparePart] = [this.comparePart, this.part];
    this.#record();
  }

  /** Pins a channel, or with `to` its edge to a channel of the layer above or to a class. */
  pin(node: ChannelKey | null) {
    this.node = node;
    this.#record();
  }

  /** Lists only these classes; none means all. Of images, a class may be named more than once. */
  choose(ids: Iterable<number>, images = false) {
    const counts = new Map<number, number>();
    for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
    this.group = [...counts.keys()].sort((l, r) => l - r);
    this.outlined = images ? [...counts].sort((l, r) => r[1] - l[1] || l[0] - r[0]) : [];
    this.#say(this.group.length === 0 ? 'All classes' : `${this.group.length} classes chosen`);
    this.#record();
  }

  selectLayer(layer: number) {
    if (layer === this.layer) return;
    this.layer = layer;
    this.#record(true);
  }

  show(view: View) {
    this.view = view;
    this.#record();
  }

  mapOf(points: PointKind) {
    this.points = points;
    this.#record();
  }

  colourBy(colour: Colour) {
    this.colour = colour;
    this.#record(true);
  }

  sizeByImages(sized: boolean) {
    this.sized = sized;
    this.#record(true);
  }

  drawBy(measure: Measure | null) {
    this.measure = measure;
    this.#record();
  }

  showOpposing(shown: boolean) {
    this.opposing = shown;
    this.#record();
  }

  /** A slider stands still again: the address takes it in. */
  keepAmounts() {
    this.#record(true);
  }

  hide(layers: Iterable<number>) {
    this.hidden = [...layers].sort((l, r) => l - r);
    this.#record();
  }

  showTable(shown: boolean) {
    this.asTable = shown;
    this.#record();
  }

  selectCell(cell: [number, number] | null) {
    this.cell = cell;
    this.#record();
  }

  /** Takes the state from the address, now and on back and forward. */
  listen(): () => void {
    const restore = () => {
      const { state, ignored } = parse(location.hash, this.#dataset);
      const { amounts, hidden, ...rest } = state;
      Object.assign(this, rest, { outlined: [] });
      // What stays the same is not drawn anew.
      Object.assign(this.amounts, amounts);
      if (String(hidden) !== String(this.hidden)) this.hidden = hidden;
      this.notice = ignored.length > 0 ? `Not understood in this link: ${ignored.join('; ')}` : '';
    };
    restore();
    addEventListener('popstate', restore);
    addEventListener('hashchange', restore);
    return () => {
      removeEventListener('popstate', restore);
      removeEventListener('hashchange', restore);
    };
  }

  #say(text: string) {
    this.said = text;
  }

  /** Steps are kept in the history; what slides replaces the last one. */
  #record(replace = false) {
    const fragment = format(this.link, this.#dataset);
    const address = `${location.pathname}${location.search}${fragment ? `#${fragment}` : ''}`;
    if (address === `${location.pathname}${location.search}${location.hash}`) return;
    history[replace ? 'replaceState' : 'pushState'](null, '', address);
  }
}
