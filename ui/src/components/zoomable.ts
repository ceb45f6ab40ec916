// Pan and zoom of an element by d3-zoom, the same in every view.
import { select } from 'd3-selection';
import { type D3ZoomEvent, type ZoomBehavior, zoom, zoomIdentity } from 'd3-zoom';

/** Drawing to screen is `k * p + (x, y)`. */
export interface Transform {
  x: number;
  y: number;
  k: number;
}

export interface Zoomable {
  /** Sets how far it can be zoomed. */
  limit(extent: [number, number]): void;
  set(transform: Transform): void;
  by(factor: number): void;
  pan(x: number, y: number): void;
  stop(): void;
}

export function zoomable(
  element: HTMLElement,
  extent: [number, number],
  changed: (transform: Transform, byUser: boolean) => void,
  /** Whether a pressed pointer moves the drawing. */
  mayPan: () => boolean = () => true,
  /** Brings a transform the user asks for to one that may be. */
  hold: (wanted: Transform) => Transform = (wanted) => wanted,
): Zoomable {
  let size: [[number, number], [number, number]] = [
    [0, 0],
    [element.clientWidth, element.clientHeight],
  ];
  const observer = new ResizeObserver(([entry]) => {
    if (entry)
      size = [
        [0, 0],
        [entry.contentRect.width, entry.contentRect.height],
      ];
  });
  observer.observe(element);
  const behaviour: ZoomBehavior<HTMLElement, unknown> = zoom<HTMLElement, unknown>()
    .scaleExtent(extent)
    .constrain((wanted) => {
      const { x, y, k } = hold(wanted);
      return zoomIdentity.translate(x, y).scale(k);
    })
    // The default would make the browser lay out the page at every step.
    .extent(() => size)
    .filter(
      (event: MouseEvent) =>
        event.type === 'wheel' || (!event.ctrlKey && !event.button && mayPan()),
    )
    .on('zoom', (event: D3ZoomEvent<HTMLElement, unknown>) => {
      const { x, y, k } = event.transform;
      changed({ x, y, k }, event.sourceEvent !== null);
    });
  const selection = select(element);
  selection.call(behaviour).on('dblclick.zoom', null);
  return {
    limit: (extent) => behaviour.scaleExtent(extent),
    set: ({ x, y, k }) =>
      selection.call(behaviour.transform, zoomIdentity.translate(x, y).scale(k)),
    by: (factor) => selection.call(behaviour.scaleBy, factor),
    pan: (x, y) => selection.call(behaviour.translateBy, x, y),
    stop: () => {
      observer.disconnect();
      selection.on('.zoom', null);
    },
  };
}

export const reducedMotion = () => matchMedia('(prefers-reduced-motion: reduce)').matches;
