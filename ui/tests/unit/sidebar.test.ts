import { describe, expect, it } from 'vitest';
import { listed, matchOf } from '../../src/views/sidebar/sort';
import { dataset } from './helpers';

const { classes } = dataset();
const names = (query: string, sort: Parameters<typeof listed>[2], similarity = new Map()) =>
  listed(classes, query, sort, similarity).map((info) => info.name);

describe('the class list', () => {
  it('leaves out classes without images', () => {
    expect(classes.map((info) => info.name)).not.toContain('empty');
  });

  it('sorts', () => {
    expect(names('', 'accuracyDown')).toEqual([
      'gold-fish',
      'tench',
      'Électric ray',
      'white shark',
    ]);
    expect(names('', 'accuracyUp')).toEqual(['white shark', 'Électric ray', 'tench', 'gold-fish']);
    expect(names('', 'confused')).toEqual(['white shark', 'Électric ray', 'tench', 'gold-fish']);
    expect(names('', 'images')).toEqual(['white shark', 'Électric ray', 'tench', 'gold-fish']);
    expect(names('', 'name')).toEqual(['Électric ray', 'gold-fish', 'tench', 'white shark']);
    const similarity = new Map([
      [0, 1],
      [2, 0.5],
      [1, 0.9],
      [3, 0.1],
    ]);
    expect(names('', 'similarity', similarity)).toEqual([
      'tench',
      'white shark',
      'gold-fish',
      'Électric ray',
    ]);
  });

  it('finds by name, synonym, id, without accents and in any case', () => {
    expect(names('TINCA', 'name')).toEqual(['tench']);
    expect(names('n02', 'name')).toEqual(['white shark']);
    expect(names('electric', 'name')).toEqual(['Électric ray']);
    expect(names('gold fish', 'name')).toEqual(['gold-fish']);
    expect(names('shark wh', 'name')).toEqual(['white shark']);
    expect(names('zebra', 'name')).toEqual([]);
  });

  it('puts the better fit first', () => {
    const [tench, shark] = classes;
    if (!tench || !shark) throw new Error('no classes');
    expect(matchOf(tench, 'ten')).toBe(1);
    expect(matchOf(shark, 'shark')).toBe(2);
    expect(matchOf(shark, 'man')).toBe(3);
    expect(matchOf(shark, 'eater')).toBe(3);
    expect(matchOf(shark, 'hark')).toBe(5);
  });
});
