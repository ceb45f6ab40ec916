// Numbers as people read them.
const whole = new Intl.NumberFormat('en');

export const count = (value: number) => whole.format(value);

export const percent = (share: number, digits = 1) => `${(100 * share).toFixed(digits)} %`;

/** About three digits, whatever the magnitude. */
export function short(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 100 || value === 0) return value.toFixed(0);
  if (magnitude >= 10) return value.toFixed(1);
  return magnitude >= 0.01 ? value.toFixed(magnitude >= 1 ? 2 : 3) : value.toExponential(1);
}

export const plural = (value: number, one: string, many = `${one}s`) =>
  `${count(value)} ${value === 1 ? one : many}`;
