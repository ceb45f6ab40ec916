// Feature visualisations: which channels have one, and whether they are shown in place of crops.
import type { Bundle } from './bundle';

/** `features/<layer>.json`: channels with a feature visualisation. */
export interface FeatureFile {
  schema_version: number;
  channel: number[];
  /** Largest activation on the picture in units of that of the best image. */
  relative: (number | null)[];
  naturalness: (number | null)[];
  /** Not processed like natural images: to be trusted less. */
  unnatural: boolean[];
  /** There is a strip of further pictures. */
  detail: boolean[];
}

export interface Feature {
  relative: number | null;
  unnatural: boolean;
  detail: boolean;
}

export class Features {
  /** They are shown wherever there are any. */
  shown = $state(false);
  #files: ReadonlyMap<number, FeatureFile> = $state.raw(new Map());
  readonly #places = $derived(
    new Map(
      [...this.#files].map(([layer, file]) => [
        layer,
        new Map(file.channel.map((channel, place) => [channel, place])),
      ]),
    ),
  );

  constructor(
    readonly bundle: Bundle,
    readonly layers: number,
  ) {}

  async show(shown: boolean) {
    this.shown = shown;
    if (shown)
      await Promise.all(Array.from({ length: this.layers }, (_, layer) => this.load(layer)));
  }

  /** Without its file a layer has none. */
  async load(layer: number) {
    const file = await this.bundle.features(layer).catch(() => null);
    if (file) this.#files = new Map([...this.#files, [layer, file]]);
  }

  of(layer: number, channel: number): Feature | null {
    const place = this.#places.get(layer)?.get(channel);
    const file = this.#files.get(layer);
    if (place === undefined || !file) return null;
    return {
      relative: file.relative[place] ?? null,
      unnatural: file.unnatural[place] ?? false,
      detail: file.detail[place] ?? false,
    };
  }
}
