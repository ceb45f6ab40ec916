// Search and order of the class list.
import type { ClassInfo } from '../../data/dataset';

export const SORTS = {
  similarity: 'Most alike',
  accuracyDown: 'Accuracy, high first',
  accuracyUp: 'Accuracy, low first',
  confused: 'Most confused',
  images: 'Images',
  name: 'Name',
} as const;
export type Sort = keyof typeof SORTS;

const plain = (text: string) =>
  text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().replace(/[_-]+/g, ' ');

/** How well a class fits a search: 0 best, null not at all. Every word must begin a word of it. */
export function matchOf(info: ClassInfo, query: string): number | null {
  const wanted = plain(query).trim();
  if (wanted === '') return 0;
  if (info.externalId.toLowerCase() === query.trim().toLowerCase()) return 0;
  const names = [info.name, ...info.synonyms].map(plain);
  const id = info.externalId.toLowerCase();
  const words = wanted.split(/\s+/);
  const fits = (text: string) => words.every((word) => ` ${text}`.includes(` ${word}`));
  if (names[0]?.startsWith(wanted)) return 1;
  if (names[0] && fits(names[0])) return 2;
  if (names.some(fits)) return 3;
  if (id.startsWith(wanted)) return 4;
  return names.some((name) => name.includes(wanted)) ? 5 : null;
}

/** The classes to list: those that fit, best fit first, then in the chosen order. */
export function listed(
  classes: readonly ClassInfo[],
  query: string,
  sort: Sort,
  similarity: ReadonlyMap<number, number>,
): ClassInfo[] {
  const matches = new Map<number, number>();
  for (const info of classes) {
    const match = matchOf(info, query);
    if (match !== null) matches.set(info.id, match);
  }
  const byName = (l: ClassInfo, r: ClassInfo) => l.name.localeCompare(r.name, 'en') || l.id - r.id;
  const number = (of: (info: ClassInfo) => number) => (l: ClassInfo, r: ClassInfo) =>
    of(r) - of(l) || byName(l, r);
  const orders: Record<Sort, (l: ClassInfo, r: ClassInfo) => number> = {
    similarity: number((info) => similarity.get(info.id) ?? -1),
    accuracyDown: number((info) => info.accuracy ?? -1),
    accuracyUp: number((info) => -(info.accuracy ?? 2)),
    confused: number((info) => (info.confusions[0]?.images ?? 0) / Math.max(1, info.images)),
    images: number((info) => info.images),
    name: byName,
  };
  const order = orders[sort];
  return classes
    .filter((info) => matches.has(info.id))
    .sort((l, r) => (matches.get(l.id) ?? 0) - (matches.get(r.id) ?? 0) || order(l, r));
}

/** The next row whose name starts with a letter, from the top again after the last. */
export function nextStarting(rows: readonly ClassInfo[], from: number, key: string): number | null {
  const start = key.toLowerCase();
  for (let step = 1; step <= rows.length; step++) {
    const place = (from + step) % rows.length;
    if (rows[place]?.name.toLowerCase().startsWith(start)) return place;
  }
  return null;
}
