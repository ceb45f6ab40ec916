// The pictures of a list, and how large they are shown.
import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, describe, expect, it } from 'vitest';
import Gallery from '../../src/components/Gallery.svelte';
import { enlarged, imagesOf } from '../../src/components/pictures';
import { dataset } from './helpers';

afterEach(cleanup);

const pictures = {
  overview_tile: 32,
  overview_columns: 32,
  top_side: 96,
  detail_tile: 96,
  sheet_tile: 64,
  sheet_columns: 2,
  sheet_images: 3,
  features: false,
  masks: false,
};
const file = {
  schema_version: 1,
  image: [7, 8, 9, 10],
  path: ['n01/a.png', 'n01/b.png', 'n01/c.png', 'n01/d.png'],
  prediction: [1, 0, 0, 0],
  probability: [0.625, 0.5, 0.7, 0.9],
  margin: [-1.5, 0.25, 2, 3],
};

describe('images of a class', () => {
  const data = dataset();
  data.manifest.pictures = pictures;

  it('are tiles of its sheet, with the number they are sorted by', () => {
    const [third, first] = imagesOf(data, 0, file, [2, 0]);
    expect(third).toMatchObject({ column: 0, row: 1, caption: '+2.00' });
    expect(third?.sheet).toEqual({
      address: 'http://host/bundle/media/sheet/0.jpg',
      columns: 2,
      rows: 2,
      side: 64,
    });
    expect(first?.facts).toEqual([
      ['Class', 'tench'],
      ['Taken for', 'white shark, 62.5 %'],
      ['Margin', '−1.50 logits'],
      ['File', 'n01/a.png'],
    ]);
  });

  it('beyond the sheet have a name only', () => {
    expect(imagesOf(data, 0, file, [3])[0]).toMatchObject({ sheet: null, name: 'n01/d.png' });
  });

  it('without pictures have names only', () => {
    expect(imagesOf(dataset(), 0, file, [0])[0]?.sheet).toBeNull();
  });

  it('are enlarged as far as they are worth it and the window has room', () => {
    const [picture] = imagesOf(data, 0, file, [0]);
    const sheet = picture?.sheet ?? null;
    expect(enlarged(sheet, { width: 1440, height: 900 })).toBe(320);
    expect(enlarged(sheet, { width: 1440, height: 500 })).toBe(220);
    expect(enlarged(null, { width: 1440, height: 900 })).toBe(120);
  });
});

describe('a list of pictures', () => {
  const data = dataset();
  data.manifest.pictures = pictures;
  const props = { label: 'Images', pictures: imagesOf(data, 0, file, [0, 1, 2]), tile: 64 };

  it('is one stop for Tab, and its pictures are buttons', async () => {
    render(Gallery, props);
    const buttons = screen.getAllByRole('button');
    expect(buttons.map((button) => button.tabIndex)).toEqual([0, -1, -1]);
    buttons[0]?.focus();
    await fireEvent.keyDown(buttons[0] as HTMLElement, { key: 'ArrowRight' });
    expect(document.activeElement).toBe(buttons[1]);
    expect(buttons.map((button) => button.tabIndex)).toEqual([-1, 0, -1]);
  });

  it('has no buttons where it is only to be looked at', () => {
    render(Gallery, { ...props, still: true });
    expect(screen.queryAllByRole('button')).toEqual([]);
    expect(screen.getAllByRole('img')).toHaveLength(3);
  });
});
