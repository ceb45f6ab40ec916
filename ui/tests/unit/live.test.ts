import { describe, expect, it } from 'vitest';
import { isLive } from '../../src/data/bundle';
import type { LiveFile } from '../../src/data/generated/schema';
import { classesOf, duration, rateOf, rightOf, timeLeft } from '../../src/views/live/live';

const file: LiveFile = {
  schema_version: 1,
  phase: 'images',
  model: 'net.onnx',
  data_set: 'photos',
  listed: 1000,
  before: 100,
  done: 190,
  skipped: 10,
  seconds: 4,
  class: [7, 2, 5],
  name: ['tench', 'church', 'beacon'],
  images: [60, 40, 30],
  labelled: [60, 40, 0],
  correct: [30, 40, 0],
};

const names = (sort: Parameters<typeof classesOf>[1]) =>
  classesOf(file, sort).map(({ name }) => name);

describe('a run while it is made', () => {
  it('has a rate and a time left from what this start has done', () => {
    expect(rateOf(file)).toBe(25);
    expect(timeLeft(file)).toBe('32 s');
    expect(rateOf({ ...file, done: 90 })).toBeNull();
    expect(timeLeft({ ...file, phase: 'tables' })).toBeNull();
  });

  it('is right on a share of the labelled images', () => {
    expect(rightOf(file)).toBe(0.7);
    expect(rightOf({ ...file, labelled: [0, 0, 0], correct: [0, 0, 0] })).toBeNull();
  });

  it('lists its classes in the order wanted', () => {
    expect(names('newest')).toEqual(['beacon', 'church', 'tench']);
    expect(names('low')).toEqual(['tench', 'church', 'beacon']);
    expect(names('high')).toEqual(['church', 'tench', 'beacon']);
    expect(names('name')).toEqual(['beacon', 'church', 'tench']);
    expect(classesOf(file, 'low')[0]).toEqual({ id: 7, name: 'tench', images: 60, right: 0.5 });
  });

  it('says times as people do', () => {
    expect([0.2, 59.9, 61, 3599, 3601, 7260].map(duration)).toEqual([
      '1 s',
      '60 s',
      '2 min',
      '1 h 00 min',
      '1 h 01 min',
      '2 h 01 min',
    ]);
  });

  it('is refused where its columns do not fit', () => {
    expect(isLive(file)).toBe(true);
    expect(isLive({ ...file, images: [1] })).toBe(false);
    expect(isLive({ ...file, schema_version: 2 })).toBe(false);
    expect(isLive('complete')).toBe(false);
  });
});
