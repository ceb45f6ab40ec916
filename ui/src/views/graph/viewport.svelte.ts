// Pan and zoom of the drawing: fitted until the user moves it, and again at another graph.
import { untrack } from 'svelte';
import { type Transform, type Zoomable, zoomable } from '../../components/zoomable';
import { type Ground, bounds } from './geometry';
import { fit, held, sameMiddle } from './viewport';

/** How far below fitting it can be zoomed out, and how far in at least. */
const FURTHEST = 0.8;
const NEAREST = 4;

export class Viewport {
  transform: Transform = $state.raw({ x: 0, y: 0, k: 1 });
  #zoom: Zoomable | undefined = $state.raw();
  /** The user has moved the drawing, so it is not fitted again. */
  #moved = false;
  /** As it was drawn last. */
  #before: Ground | null = null;

  constructor(
    readonly ground: () => Ground,
    /** Whether a pressed pointer moves the drawing. */
    readonly mayPan: () => boolean,
  ) {}

  start(stage: HTMLElement): () => void {
    const made = zoomable(
      stage,
      [FURTHEST, NEAREST],
      (next, byUser) => {
        this.transform = next;
        if (byUser) this.#moved = true;
      },
      this.mayPan,
      (wanted) => held(this.ground(), wanted),
    );
    this.#zoom = made;
    return () => made.stop();
  }

  /** Called when the graph, its spacing or the stage has changed. */
  follow() {
    const now = this.ground();
    const zoom = this.#zoom;
    if (!zoom || now.width === 0) return;
    untrack(() => {
      const home = this.#home();
      zoom.limit([home.k * FURTHEST, Math.max(NEAREST, home.k)]);
      const before = this.#before;
      this.#before = now;
      if (!before || !this.#moved || before.graph.groups !== now.graph.groups) this.fit();
      else zoom.set(held(now, sameMiddle(before, now, this.transform)));
    });
  }

  #home(): Transform {
    const { spacing, width, height } = this.ground();
    return fit(bounds(spacing), { width, height });
  }

  fit() {
    this.#moved = false;
    this.#zoom?.set(this.#home());
  }

  by(factor: number) {
    this.#moved = true;
    this.#zoom?.by(factor);
  }

  /** Pixels. */
  pan(x: number, y: number) {
    const { k } = this.transform;
    if (x !== 0 || y !== 0) this.#zoom?.pan(x / k, y / k);
  }

  go(wanted: Transform) {
    this.#moved = true;
    this.#zoom?.set(held(this.ground(), wanted));
  }
}
