import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import Histogram from '../../src/components/Histogram.svelte';
import Slider from '../../src/components/Slider.svelte';
import ClassRow from '../../src/views/sidebar/ClassRow.svelte';
import { dataset } from './helpers';

afterEach(cleanup);

describe('a row of the class list', () => {
  const data = dataset();
  const info = data.byId.get(1);
  if (!info) throw new Error('no class');
  const props = { dataset: data, info, selected: false, compared: false, similarity: 0.25 };

  it('says how often and for what the class is taken', () => {
    render(ClassRow, { ...props, choose: vi.fn() });
    expect(screen.getByText('12 images')).toBeTruthy();
    expect(screen.getByText('4 taken for tench')).toBeTruthy();
    expect(screen.getByText('alike 0.25')).toBeTruthy();
    expect(screen.getByText('50.0 %')).toBeTruthy();
  });

  it('chooses and compares', async () => {
    const [choose, compare] = [vi.fn(), vi.fn()];
    render(ClassRow, { ...props, choose, compare });
    await fireEvent.click(screen.getByRole('button', { name: /^white shark/ }));
    await fireEvent.click(screen.getByRole('button', { name: 'Compare with white shark' }));
    expect(choose).toHaveBeenCalledOnce();
    expect(compare).toHaveBeenCalledOnce();
  });
});

describe('small parts', () => {
  it('a histogram draws a bar for every bin with images', () => {
    const { container } = render(Histogram, { bins: [0, 4, 0, 1] });
    expect(container.querySelector('.bars')?.getAttribute('d')?.match(/M/g)).toHaveLength(2);
  });

  it('a slider says its value in words', () => {
    render(Slider, { label: 'Edges', value: 0.5, shown: '5 of 10', onchange: () => {} });
    expect(screen.getByRole('slider').getAttribute('aria-valuetext')).toBe('5 of 10');
  });
});
