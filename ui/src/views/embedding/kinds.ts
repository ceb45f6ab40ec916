// What the points of a map are, and what is said of them.
import type { Dataset } from '../../data/dataset';
import type { Selection } from '../../state/selection.svelte';
import type { PointKind } from '../../state/url';
import type { Point } from './points';

export const KINDS: Record<PointKind, { name: string; one: string; many: string }> = {
  classes: { name: 'Classes', one: 'class', many: 'classes' },
  channels: { name: 'Channels of the layer', one: 'channel', many: 'channels' },
  images: { name: 'Images', one: 'image', many: 'images' },
};

export function nameOf(dataset: Dataset, kind: PointKind, layer: number, point: Point): string {
  if (kind === 'classes') return dataset.nameOf(point.id);
  if (kind === 'channels') return `Channel ${dataset.channelLabel(layer, point.id)}`;
  return `Image ${point.id}, ${dataset.nameOf(point.group)}`;
}

/** What a click on a point does: its class is selected, a channel pinned. */
export function choose(selection: Selection, kind: PointKind, point: Point) {
  if (kind === 'channels') selection.pin({ layer: selection.layer, channel: point.id });
  else selection.selectHere(point.group);
}
