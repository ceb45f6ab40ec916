// A run while it is made: its newest state, as the server tells it.
import { type Bundle, isLive } from './bundle';
import type { LiveFile } from './generated/schema';

/** After which time a page whose server listens to no more pages asks what is there now. */
const AGAIN_MS = 3000;

export class LiveRun {
  file: LiveFile;
  /** The server answers. */
  connected = $state(true);
  readonly #events: EventSource;

  /**
   * @param first what was there when the page was opened
   * @param ended told once there is something else to show
   */
  constructor(bundle: Bundle, first: LiveFile, ended: () => void) {
    this.file = $state.raw(first);
    this.#events = new EventSource(new URL('../events', bundle.base));
    this.#events.onmessage = ({ data }: MessageEvent<string>) => {
      const file: unknown = JSON.parse(data);
      if (!isLive(file)) return;
      this.connected = true;
      this.file = file;
      if (file.phase === 'complete') {
        this.close();
        ended();
      }
    };
    this.#events.onerror = () => {
      // The end of the last event's answer is no loss.
      this.connected = this.file.phase === 'stopped';
      // Else the browser tries again by itself.
      if (this.#events.readyState === EventSource.CLOSED) setTimeout(ended, AGAIN_MS);
    };
  }

  close() {
    this.#events.close();
  }
}
