// What the pointer is at in the drawing, and what pressing there does.
import { type Scene, inDrawing, nearest, nearestEdge } from './geometry';

/** Pixels the pointer may be off. */
const NODE_REACH = 6;
const EDGE_REACH = 5;
/** A press that goes further than this many pixels drags. */
const DRAG_START = 4;

export interface PointingActions {
  scene: () => Scene;
  stage: () => HTMLElement | undefined;
  /** Whether edges can be told apart at all. */
  edges: () => boolean;
  chooseNode: (index: number | null) => void;
  chooseEdge: (index: number) => void;
  /** Moves a node, in units of the drawing. */
  move: (index: number, dx: number, dy: number) => void;
}

export class Pointing {
  node = $state<number | null>(null);
  edge = $state<number | null>(null);
  #drag: { index: number; x: number; y: number; far: boolean } | null = null;

  constructor(readonly actions: PointingActions) {}

  /** The place of the pointer in units of the drawing. */
  #place(event: PointerEvent): [number, number] {
    const box = this.actions.stage()?.getBoundingClientRect();
    const [left, top] = box ? [box.left, box.top] : [0, 0];
    return inDrawing(this.actions.scene(), event.clientX - left, event.clientY - top);
  }

  clear() {
    this.node = null;
    this.edge = null;
  }

  pointermove = (event: PointerEvent) => {
    const scene = this.actions.scene();
    const { k } = scene.transform;
    const [x, y] = this.#place(event);
    if (this.#drag && event.buttons === 1) {
      const [dx, dy] = [x - this.#drag.x, y - this.#drag.y];
      if (!this.#drag.far && Math.hypot(dx, dy) * k < DRAG_START) return;
      this.actions.move(this.#drag.index, dx, dy);
      this.#drag = { ...this.#drag, x, y, far: true };
    }
    if (event.buttons !== 0) return;
    this.node = nearest(scene, x, y, NODE_REACH / k)?.index ?? null;
    const edge = this.node === null && this.actions.edges();
    this.edge = edge ? (nearestEdge(scene, x, y, EDGE_REACH / k)?.index ?? null) : null;
  };

  pointerdown = (event: PointerEvent) => {
    if (this.node === null || event.button !== 0) return;
    const [x, y] = this.#place(event);
    this.#drag = { index: this.node, x, y, far: false };
    this.actions.stage()?.setPointerCapture(event.pointerId);
  };

  click = () => {
    const dragged = this.#drag?.far;
    this.#drag = null;
    if (dragged) return;
    if (this.node === null && this.edge !== null) this.actions.chooseEdge(this.edge);
    else this.actions.chooseNode(this.node);
  };
}
