// The photograph dropped into the page, and what the network says of it. Not part of the address: it is
// on nobody else's disk.
import type { Dataset } from '../data/dataset';
import type { PhotoFile } from '../data/generated/schema';
import type { Selection } from './selection.svelte';

export interface Photo {
  name: string;
  /** Of the picture, for as long as it is shown. */
  address: string;
  file: PhotoFile;
}

export class PhotoState {
  current: Photo | null = $state.raw(null);
  looking = $state(false);
  /** Said of the last photograph that could not be looked at. */
  #complaint = '';
  /** `layer:channel` of what carries its prediction; where that is not known, of its top channels. */
  readonly way: ReadonlySet<string> = $derived.by(() => {
    const file = this.current?.file;
    const channels = file?.path ?? file;
    return new Set(channels?.layer.map((layer, place) => `${layer}:${channels.channel[place]}`));
  });

  constructor(
    readonly dataset: Dataset,
    readonly selection: Selection,
  ) {}

  /** Sends a photograph to the server and selects the class it is taken for. */
  async look(picture: File) {
    this.looking = true;
    // What was wrong with the one before.
    if (this.selection.notice === this.#complaint) this.selection.notice = '';
    try {
      const file = await this.dataset.bundle.photo(picture);
      this.close();
      this.current = { name: picture.name, address: URL.createObjectURL(picture), file };
      const [first] = file.class;
      const seen = file.class.find((id) => this.dataset.byId.has(id));
      if (seen !== undefined) this.selection.selectClass(seen);
      this.selection.pin(null);
      if (first !== undefined) this.selection.said = `Taken for ${this.dataset.nameOf(first)}`;
    } catch (error) {
      this.#complaint = error instanceof Error ? error.message : String(error);
      this.selection.notice = this.#complaint;
    } finally {
      this.looking = false;
    }
  }

  close() {
    if (this.current) URL.revokeObjectURL(this.current.address);
    this.current = null;
  }
}
