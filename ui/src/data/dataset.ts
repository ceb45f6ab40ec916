// What is known of the run as a whole, in the shape the views want.
import type { Bundle } from './bundle';
import type { ClassTable, LayerFacts, Measure, SiteManifest } from './generated/schema';
import { Features } from './features.svelte';
import { Names } from './names.svelte';

/** A class with images. */
export interface ClassInfo {
  id: number;
  externalId: string;
  name: string;
  synonyms: string[];
  images: number;
  /** Share of labelled images predicted right; null without labels. */
  accuracy: number | null;
  histogram: number[];
  /** Wrong predictions, most frequent first. */
  confusions: { id: number; images: number }[];
  /** What its graph can be drawn by, the best first. */
  measures: Measure[];
}

export class Dataset {
  readonly classes: ClassInfo[];
  readonly byId: Map<number, ClassInfo>;
  readonly names: Names;
  readonly features: Features;
  readonly #byKey = new Map<string, number>();

  constructor(
    readonly bundle: Bundle,
    readonly manifest: SiteManifest,
    readonly table: ClassTable,
  ) {
    this.names = new Names(bundle, manifest.layers);
    this.features = new Features(bundle, manifest.layers.length);
    const all = table.name.map((name, id): ClassInfo => {
      const labelled = table.labelled[id] ?? 0;
      return {
        id,
        externalId: table.external_id[id] ?? '',
        name,
        synonyms: table.synonyms[id] ?? [],
        images: table.images[id] ?? 0,
        accuracy: labelled > 0 ? (table.correct[id] ?? 0) / labelled : null,
        histogram: table.histogram[id] ?? [],
        confusions: (table.confused_with[id] ?? []).map(([id, images]) => ({ id, images })),
        measures: table.measures[id] ?? [],
      };
    });
    this.classes = all.filter((info) => info.images > 0);
    this.byId = new Map(this.classes.map((info) => [info.id, info]));
    for (const info of all) {
      this.#byKey.set(String(info.id), info.id);
    }
    for (const info of all) {
      if (info.externalId) this.#byKey.set(info.externalId, info.id);
    }
  }

  /** Name of any class of the network, with or without images. */
  nameOf(id: number): string {
    return this.table.name[id] ?? `class ${id}`;
  }

  /** What stands for a class in an address. */
  keyOf(id: number): string {
    return this.table.external_id[id] || String(id);
  }

  classOfKey(key: string): number | null {
    return this.#byKey.get(key) ?? null;
  }

  layer(index: number): LayerFacts | undefined {
    return this.manifest.layers[index];
  }

  layerOfKey(key: string): number | null {
    const index = this.manifest.layers.findIndex((layer) => layer.name === key);
    return index >= 0 ? index : null;
  }

  /** A channel in a drawing: its number, and its name as far as there is room. */
  channelLabel(layer: number, channel: number): string {
    const name = this.names.of(layer, channel);
    const short = name.length > 14 ? `${name.slice(0, 13)}…` : name;
    return short ? `${channel} ${short}` : String(channel);
  }

  /** Picture of a channel; null where there are none. */
  channelPicture(layer: number, channel: number): string | null {
    if (this.features.shown && this.features.of(layer, channel))
      return this.bundle.picture(`feature/${layer}/${channel}`);
    return this.manifest.pictures ? this.bundle.picture(`top/${layer}/${channel}`) : null;
  }
}

export async function loadDataset(bundle: Bundle): Promise<Dataset> {
  const [manifest, table] = await Promise.all([bundle.manifest(), bundle.classes()]);
  const dataset = new Dataset(bundle, manifest, table);
  void dataset.names.load();
  return dataset;
}
