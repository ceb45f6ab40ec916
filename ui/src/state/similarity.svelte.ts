// How alike every class is to the selected one in the selected layer.
import type { Dataset } from '../data/dataset';
import type { SimilarityFile } from '../data/generated/schema';
import type { Selection } from './selection.svelte';

export interface Similarity {
  /** Cosine of rows of A in [0, 1] by class; empty until it is there. */
  readonly of: ReadonlyMap<number, number>;
  /** The same, but of the class before while that of the next is under way: an order that does not jump. */
  readonly lastKnown: ReadonlyMap<number, number>;
  /** The most alike other classes, most alike first. */
  readonly neighbours: readonly number[];
  /** It cannot be had. */
  readonly problem: boolean;
  /** That of the selected class is still to come: the list and the map will move. */
  readonly pending: boolean;
}

const NEIGHBOURS = 5;
const NONE: ReadonlyMap<number, number> = new Map();

export function similarityOf(dataset: Dataset, selection: Selection): Similarity {
  let file = $state.raw<SimilarityFile | null>(null);
  /** The class that the file is of. */
  let holder = $state<number | null>(null);
  let problem = $state(false);
  const lastKnown = $derived.by(() => {
    const row = file?.permille[selection.layer];
    return new Map(
      file && row ? file.class.map((id, place) => [id, (row[place] ?? 0) / 1000]) : [],
    );
  });
  const of = $derived(holder === selection.class ? lastKnown : NONE);
  const neighbours = $derived(
    [...of]
      .filter(([id]) => id !== selection.class)
      .sort((l, r) => r[1] - l[1] || l[0] - r[0])
      .slice(0, Math.min(NEIGHBOURS, Math.ceil(of.size / 3)))
      .map(([id]) => id),
  );
  /** The graph comes first. */
  const waiting = $derived(selection.view === 'graph' && selection.painted !== selection.class);
  $effect(() => {
    const id = selection.class;
    problem = false;
    if (id === null) file = null;
    if (id === null || waiting) return;
    const gone = new AbortController();
    // Without it the views lack neighbours and one order, and say so.
    dataset.bundle.similarity(id, gone.signal).then(
      (loaded) => {
        if (!gone.signal.aborted) [file, holder] = [loaded, id];
      },
      () => {
        if (gone.signal.aborted) return;
        file = null;
        problem = true;
      },
    );
    return () => gone.abort();
  });
  return {
    get of() {
      return of;
    },
    get lastKnown() {
      return lastKnown;
    },
    get neighbours() {
      return neighbours;
    },
    get problem() {
      return problem;
    },
    get pending() {
      return selection.class !== null && holder !== selection.class && !problem;
    },
  };
}
