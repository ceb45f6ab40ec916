// With a graphics card, here one made of software, and after it was taken away.
import { expect, test } from '../site';

test('50,000 points outlive the graphics card', async ({ site, page }) => {
  await site.open('class=n00000007&points=images');
  const card = page.locator('[aria-label="Map of classes"] canvas.card');
  await expect(card).toHaveCount(1);
  const inked = () =>
    page.evaluate(() => {
      const canvas = document.querySelector<HTMLCanvasElement>(
        '[aria-label="Map of classes"] canvas:not(.card)',
      );
      const context = canvas?.getContext('2d');
      if (!canvas || !context) return -1;
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
      let inked = 0;
      for (let place = 3; place < data.length; place += 4) if (data[place]) inked++;
      return inked;
    });
  site.expected = [/willReadFrequently/, /CONTEXT_LOST/, /GPU stall due to ReadPixels/];
  // Only the class's own images stand on the canvas above.
  const before = await inked();
  await card.evaluate((canvas: HTMLCanvasElement) =>
    canvas.getContext('webgl2')?.getExtension('WEBGL_lose_context')?.loseContext(),
  );
  await expect(card).toHaveCount(0);
  await expect.poll(inked).toBeGreaterThan(10 * before);
  await page.getByRole('button', { name: 'Fit the map' }).click();
  await site.map.getByRole('application').focus();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await expect(site.title).not.toHaveText('class 7');
});
