// What the view of a run that is being made says, from the state the server tells.
import type { LiveFile, LivePhase } from '../../data/generated/schema';

/** A class with stored images. */
export interface LiveClass {
  id: number;
  name: string;
  images: number;
  /** Share of labelled images predicted right; null without labels. */
  right: number | null;
}

export const SORTS = {
  newest: 'Newest first',
  low: 'Accuracy, low first',
  high: 'Accuracy, high first',
  name: 'Name',
} as const;
export type Sort = keyof typeof SORTS;

/** Rows beyond these are left out: a table of all classes of a large network would keep the page busy. */
export const MOST_ROWS = 1000;

export const PHASES: Record<LivePhase, string> = {
  preparing: 'Reading the network and listing the images …',
  images: 'The network looks at the images',
  tables: 'Writing the tables …',
  influence: 'Measuring signed influence, class by class …',
  complete: 'The run is complete',
  stopped: 'Stopped',
};

export function classesOf(file: LiveFile, sort: Sort): LiveClass[] {
  const classes = file.class.map((id, place): LiveClass => {
    const labelled = file.labelled[place] ?? 0;
    return {
      id,
      name: file.name[place] ?? `class ${id}`,
      images: file.images[place] ?? 0,
      right: labelled > 0 ? (file.correct[place] ?? 0) / labelled : null,
    };
  });
  const byName = (l: LiveClass, r: LiveClass) => l.name.localeCompare(r.name, 'en') || l.id - r.id;
  switch (sort) {
    case 'newest':
      return classes.reverse();
    case 'low':
      return classes.sort((l, r) => (l.right ?? 2) - (r.right ?? 2) || byName(l, r));
    case 'high':
      return classes.sort((l, r) => (r.right ?? -1) - (l.right ?? -1) || byName(l, r));
    case 'name':
      return classes.sort(byName);
  }
}

const sum = (column: readonly number[]) => column.reduce((total, value) => total + value, 0);

/** Share of all labelled images that were stored; null without any. */
export function rightOf(file: LiveFile): number | null {
  const labelled = sum(file.labelled);
  return labelled > 0 ? sum(file.correct) / labelled : null;
}

/** Images a second since the run was started; null before there is a figure. */
export function rateOf(file: LiveFile): number | null {
  const seen = file.done + file.skipped - file.before;
  return file.seconds > 0 && seen > 0 ? seen / file.seconds : null;
}

/** How long the rest takes at this rate, for people. */
export function timeLeft(file: LiveFile): string | null {
  const rate = rateOf(file);
  if (rate === null || file.phase !== 'images') return null;
  return duration((file.listed - file.done - file.skipped) / rate);
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
