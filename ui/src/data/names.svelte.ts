// Names people gave to channels.
import type { Bundle } from './bundle';
import type { Annotation, LayerFacts } from './generated/schema';

export interface NamedChannel {
  layer: number;
  channel: number;
  text: string;
}

export class Names {
  /** New names are taken. */
  writable = $state(false);
  all: NamedChannel[] = $state.raw([]);
  readonly #of = $derived(
    new Map(this.all.map(({ layer, channel, text }) => [`${layer}:${channel}`, text])),
  );

  /** Every name once, in alphabetical order. */
  readonly texts = $derived(
    [...new Set(this.all.map(({ text }) => text))].sort((l, r) => l.localeCompare(r, 'en')),
  );

  constructor(
    readonly bundle: Bundle,
    readonly layers: readonly LayerFacts[],
  ) {}

  /** The name of a channel; empty where it has none. */
  of(layer: number, channel: number): string {
    return this.#of.get(`${layer}:${channel}`) ?? '';
  }

  /** Channels whose name has every word of a search in it. */
  search(query: string): NamedChannel[] {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) return [];
    return this.all.filter(({ text }) => words.every((word) => text.toLowerCase().includes(word)));
  }

  /** Without them the views lack names, no more. */
  async load() {
    const file = await this.bundle.annotations().catch(() => null);
    if (!file) return;
    this.writable = file.writable;
    this.all = file.annotations.flatMap(({ layer, channel, text }: Annotation) => {
      const index = this.layers.findIndex(({ name }) => name === layer);
      return index >= 0 ? [{ layer: index, channel, text }] : [];
    });
  }

  /** Names a channel; an empty text takes its name away. */
  async set(layer: number, channel: number, text: string) {
    const name = this.layers[layer]?.name;
    if (name === undefined) return;
    await this.bundle.annotate({ layer: name, channel, text: text.trim() });
    await this.load();
  }
}
