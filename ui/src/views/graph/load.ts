// The graphs of the groups that are shown, all by the same measure.
import { BundleError, MISSING } from '../../data/bundle';
import type { Dataset } from '../../data/dataset';
import type { AttributionGraph, ConfusionTable, Measure } from '../../data/generated/schema';
import { plural } from '../../data/numbers';
import type { Part } from '../../state/url';

/** There is nothing to draw, and trying again would not help. */
export class NoGraph extends Error {}

interface Group {
  id: number;
  part: Part;
}

/** How many images are in a part of a class, and what became of them. */
function partOf(dataset: Dataset, { id, part }: Group, table: ConfusionTable): [number, string] {
  const taken = (fits: (prediction: number) => boolean) =>
    table.images.reduce((sum, images, place) => {
      const prediction = table.prediction[place] ?? -1;
      return table.label[place] === id && fits(prediction) ? sum + images : sum;
    }, 0);
  if (part === 'right') return [taken((prediction) => prediction === id), 'predicted right'];
  if (part === 'wrong') return [taken((prediction) => prediction !== id), 'predicted wrong'];
  const other = typeof part === 'number' ? dataset.nameOf(part) : part;
  return [taken((prediction) => prediction === part), `taken for ${other}`];
}

/** The graph of a group; where there is none of a part, an error that says why in words. */
async function graphOf(
  dataset: Dataset,
  group: Group,
  measure: Measure | null,
  signal: AbortSignal,
): Promise<AttributionGraph> {
  try {
    return await dataset.bundle.graph(group.id, group.part, measure, signal);
  } catch (error) {
    if (group.part === 'all' || !(error instanceof BundleError) || error.status !== MISSING)
      throw error;
    const table = await dataset.bundle.confusion().catch(() => {
      throw error;
    });
    const [images, what] = partOf(dataset, group, table);
    const own = dataset.nameOf(group.id);
    throw new NoGraph(
      images === 0
        ? `No image of ${own} was ${what}, so there is no graph.`
        : `This site has no graph of ${plural(images, 'image')} of ${own} ${what}; summit serve makes it.`,
    );
  }
}

/**
 * By the wanted measure where all groups have it, else by the best they share: weights of different
 * measures do not compare.
 */
export async function loadGraphs(
  dataset: Dataset,
  groups: readonly Group[],
  wanted: Measure | null,
  signal: AbortSignal,
): Promise<AttributionGraph[]> {
  const { bundle } = dataset;
  const held = await Promise.all(
    groups.map(async ({ id, part }): Promise<Measure[]> => {
      if (part === 'all') return dataset.byId.get(id)?.measures ?? [];
      // Of a part it is known once its best graph is there.
      const { measure } = await graphOf(dataset, { id, part }, null, signal);
      return dataset.manifest.measures.filter((each) => each === measure || each === 'conv-max');
    }),
  );
  const shared = (held[0] ?? []).filter((each) => held.every((list) => list.includes(each)));
  const measure = shared.find((each) => each === wanted) ?? shared[0];
  if (measure === undefined) {
    // Without any graph the server says why.
    const [only] = groups;
    if (groups.length === 1 && only) return [await bundle.graph(only.id, only.part, null, signal)];
    throw new BundleError('graphs', 'The two were not measured in the same way');
  }
  return Promise.all(
    groups.map(({ id, part }, place) =>
      bundle.graph(id, part, measure === held[place]?.[0] ? null : measure, signal),
    ),
  );
}

/**
 * Why the measure is another than that of the graph shown before, where nobody chose it; empty where
 * it is not. Whether a part of a class has a graph by a measure is not known here.
 */
export function measureChange(
  dataset: Dataset,
  groups: readonly Group[],
  before: Measure | undefined,
  now: Measure,
): string {
  if (before === undefined || before === now) return '';
  const lacking = groups.flatMap(({ id }) => {
    const info = dataset.byId.get(id);
    return info && !info.measures.includes(before) ? [info.name] : [];
  });
  return lacking.length > 0
    ? `no ${before} graph of ${[...new Set(lacking)].join(' and ')}`
    : `was ${before}`;
}
