import { describe, expect, it } from 'vitest';
import { AT_FIRST, type LinkState, OTHERS, WRONG, format, parse } from '../../src/state/url';
import { dataset } from './helpers';

const data = dataset();
const start: LinkState = {
  class: 0,
  part: 'all',
  layer: 1,
  node: null,
  compare: null,
  comparePart: 'all',
  view: 'graph',
  cell: null,
  group: [],
  points: 'classes',
  colour: 'plain',
  sized: false,
  features: false,
  measure: null,
  opposing: true,
  amounts: AT_FIRST,
  hidden: [],
  asTable: false,
};

describe('links', () => {
  it('come back as they were', () => {
    const states: LinkState[] = [
      start,
      { ...start, class: 2, layer: 0 },
      { ...start, group: [0, 3] },
      { ...start, node: { layer: 1, channel: 3, to: 2 } },
      { ...start, class: 1, compare: 3, node: { layer: 1, channel: 15 } },
      { ...start, view: 'errors', cell: [1, 4] },
      { ...start, view: 'errors', cell: [1, WRONG] },
      { ...start, view: 'errors', cell: [1, OTHERS] },
      { ...start, points: 'images' },
      { ...start, colour: 'accuracy', sized: true },
      { ...start, measure: 'conv-max', opposing: false },
      { ...start, amounts: { channels: 0.05, edges: 0, width: 2.5, height: 0.51 } },
      { ...start, hidden: [0, 1], asTable: true },
      { ...start, part: 4 },
      { ...start, compare: 0, part: 'right', comparePart: 'wrong' },
    ];
    for (const state of states) {
      for (const withBundle of [false, true]) {
        const fragment = format(state, data, withBundle);
        expect(parse(`#${fragment}`, data), fragment).toEqual({ state, ignored: [] });
      }
    }
  });

  it('name what they do not understand', () => {
    const bad: [string, string][] = [
      ['class=n05', 'class “n05”'],
      ['class=<script>', 'class “<script>”'],
      ['layer=c/relu', 'layer “c/relu”'],
      ['node=b/relu:16', 'node “b/relu:16”'],
      ['node=b/relu:-1', 'node “b/relu:-1”'],
      ['view=admin', 'view “admin”'],
      ['cell=n01', 'cell “n01”'],
      ['bundle=other', 'the link was made for other data'],
      ['cell=n01,most', 'cell “n01,most”'],
      ['colour=red', 'colour “red”'],
      ['colour=toString', 'colour “toString”'],
      ['size=names', 'size “names”'],
      ['shape=round', 'shape'],
      ['channels=0', 'channels “0”'],
      ['channels=', 'channels “”'],
      ['edges=many', 'edges “many”'],
      ['width=1e9', 'width “1e9”'],
      ['height=-1', 'height “-1”'],
      ['hide=c/relu', 'hide “c/relu”'],
      ['as=list', 'as “list”'],
    ];
    for (const [fragment, message] of bad) {
      const { state, ignored } = parse(fragment, data);
      expect(ignored, fragment).toEqual([message]);
      expect(state).toEqual(start);
    }
  });

  it('never compare a class with itself', () => {
    expect(parse('class=n02&compare=n02', data).state.compare).toBeNull();
  });
});
