// In which images of a class channels are top channels.
import type { CarrierFile, ImageFile } from '../../data/generated/schema';
import type { ChannelKey, Part } from '../../state/url';

/** Whether an image with this prediction is in a part of a class. */
function inPart(part: Part, id: number, prediction: number | undefined): boolean {
  if (part === 'all') return true;
  if (part === 'right') return prediction === id;
  return part === 'wrong' ? prediction !== id : prediction === part;
}

/** Places of the images in which all of the channels are top channels, the surest first. */
export function carrying(
  carriers: CarrierFile,
  images: ImageFile,
  of: { class: number; part: Part },
  channels: readonly ChannelKey[],
): number[] {
  const lists = channels.map(({ layer, channel }) => {
    const index = carriers.layer.findIndex(
      (found, place) => found === layer && carriers.channel[place] === channel,
    );
    return new Set(carriers.images[index] ?? []);
  });
  const [first = new Set<number>(), ...others] = lists;
  return [...first]
    .filter((place) => others.every((list) => list.has(place)))
    .filter((place) => inPart(of.part, of.class, images.prediction[place]))
    .sort((l, r) => r - l);
}
