// Numbers as people read them.
import type { Estimate } from './generated/schema';

const whole = new Intl.NumberFormat('en');

export const count = (value: number) => whole.format(value);

/** What is there but rounds to nothing is less than the smallest number shown. */
export function percent(share: number, digits = 1): string {
  const smallest = 10 ** -digits;
  if (share > 0 && 100 * share < smallest / 2) return `<${smallest} %`;
  return `${(100 * share).toFixed(digits)} %`;
}

/** About three digits, whatever the magnitude. */
export function short(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 100 || value === 0) return value.toFixed(0);
  if (magnitude >= 10) return value.toFixed(1);
  if (magnitude >= 0.01) return value.toFixed(magnitude >= 1 ? 2 : 3);
  return magnitude >= 0.0001 ? String(Number(value.toPrecision(2))) : value.toExponential(1);
}

/** With its sign. */
export const signed = (value: number) => `${value < 0 ? '−' : '+'}${short(Math.abs(value))}`;

/** The 95 % interval of a mean, in one piece; empty where there is none. */
export const intervalOf = ({ interval }: Estimate) =>
  interval ? `[${signed(interval[0])},\u00a0${signed(interval[1])}]` : '';

/** A mean in logits with its 95 % interval. */
export const estimate = (value: Estimate) => `${signed(value.mean)} ${intervalOf(value)}`.trim();

export const plural = (value: number, one: string, many = `${one}s`) =>
  `${count(value)} ${value === 1 ? one : many}`;
