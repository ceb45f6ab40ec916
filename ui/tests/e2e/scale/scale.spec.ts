// The interface at sizes nothing real has yet (scripts/synthetic.mjs), in milliseconds and bytes. What is
// measured is printed. Others may use the machine, so a time counts when one of a few tries keeps to it.
import { type Page, expect, test } from '../site';
import { computing, median, traced } from './trace';

const TRIES = 4;

function say(what: string) {
  console.log(`scale: ${what}`);
}

/** Pans and zooms about a view, a step a frame. */
async function panAndZoom(page: Page, selector: string) {
  const box = await page.locator(selector).boundingBox();
  if (!box) throw new Error('no box');
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  for (let step = 0; step < 12; step++) await page.mouse.wheel(0, step < 6 ? -120 : 120);
  // A press on a node would move the node.
  await page.mouse.move(box.x + box.width - 20, box.y + 20);
  await page.mouse.down();
  for (let step = 0; step < 30; step++) await page.mouse.move(x + 8 * step - 120, y + step);
  await page.mouse.up();
}

for (const [what, fragment, selector] of [
  [
    'a graph of 5,000 channels and 30,000 edges',
    'class=n00000000',
    '[aria-label="Attribution graph"] .stage',
  ],
  ['a map of 1,000 classes', 'class=n00000007', '[aria-label="Map of classes"] .stage'],
  [
    'a map of 50,000 images',
    'class=n00000007&points=images',
    '[aria-label="Map of classes"] .stage',
  ],
  ['a confusion matrix of 1,000 classes', 'view=errors', '[aria-label="Errors"] .stage'],
] as const) {
  test(`${what} pans without a task over 200 ms`, async ({ site, page }) => {
    test.setTimeout(120_000);
    await site.open(fragment);
    const longest: number[] = [];
    for (let turn = 0; turn < TRIES; turn++) {
      const busy = await traced(page, () => panAndZoom(page, selector));
      say(
        `${what}: longest task ${busy.longest.toFixed(0)} ms, ${busy.long} over 50 ms, a frame every ${busy.frame.toFixed(0)} ms`,
      );
      longest.push(busy.longest);
      if (busy.longest <= 200) break;
    }
    expect(Math.min(...longest)).toBeLessThanOrEqual(200);
  });
}

test('the first graph is there within a second', async ({ site, page }) => {
  const times: number[] = [];
  for (let turn = 0; turn < TRIES; turn++) {
    await page.goto('about:blank');
    await site.open('class=n00000007');
    const painted = await page.evaluate(
      () => performance.getEntriesByName('summit:graph')[0]?.startTime ?? Infinity,
    );
    say(`first graph painted after ${painted.toFixed(0)} ms`);
    times.push(painted);
    if (painted <= 1000) break;
  }
  expect(Math.min(...times)).toBeLessThanOrEqual(1000);
});

test('the page computes 150 ms for a class switch in the median; the clock is printed', async ({
  site,
  page,
}) => {
  test.setTimeout(120_000);
  await site.open('class=n00000007');
  const medians: number[] = [];
  for (let turn = 0; turn < TRIES; turn++) {
    const times: number[] = [];
    const busy: number[] = [];
    for (let place = 0; place < 20; place++) {
      const id = String(100 + 20 * turn + place).padStart(8, '0');
      const { cpu, result } = await computing(page, () =>
        page.evaluate(async (id) => {
          const start = performance.now();
          const marks = () => performance.getEntriesByName('summit:graph');
          const before = marks().length;
          location.hash = `#class=n${id}`;
          while (marks().length === before) await new Promise((resolve) => setTimeout(resolve, 5));
          return (marks().at(-1)?.startTime ?? Infinity) - start;
        }, id),
      );
      times.push(result);
      busy.push(cpu);
    }
    say(
      `class switch: median ${median(times).toFixed(0)} ms, of them ${median(busy).toFixed(0)} ms computing in the page, of ${times.length}; longest ${Math.max(...times).toFixed(0)} ms`,
    );
    medians.push(median(busy));
    if (median(times) <= 150) break;
  }
  // The clock depends on what else the machine does; docs/interface.md has it from a quiet one.
  expect(Math.min(...medians)).toBeLessThanOrEqual(150);
});

test('bytes: the first view 400 KB, pictures of a class switch 300 KB', async ({ site, page }) => {
  // The document's, and what it asked for, as sent.
  const bytes = () =>
    page.evaluate(() => {
      const entries = [
        ...performance.getEntriesByType('navigation'),
        ...performance.getEntriesByType('resource'),
      ] as PerformanceResourceTiming[];
      const sum = (wanted: (entry: PerformanceResourceTiming) => boolean) =>
        entries.filter(wanted).reduce((total, entry) => total + entry.encodedBodySize, 0);
      const isPicture = ({ name }: PerformanceResourceTiming) => name.endsWith('.jpg');
      return { pictures: sum(isPicture), rest: sum((entry) => !isPicture(entry)) };
    });
  // Until nothing has come for half a second.
  const settled = async () => {
    for (let last = await bytes(); ;) {
      await page.waitForTimeout(500);
      const now = await bytes();
      if (now.pictures === last.pictures && now.rest === last.rest) return now;
      last = now;
    }
  };
  const graphs = () => page.evaluate(() => performance.getEntriesByName('summit:graph').length);
  await site.open('class=n00000007');
  const first = await settled();
  const drawn = await graphs();
  say(
    `first view: ${(first.rest / 1000).toFixed(0)} KB and ${(first.pictures / 1000).toFixed(0)} KB of pictures`,
  );
  await page.evaluate(() => (location.hash = '#class=n00000500'));
  await expect.poll(graphs).toBeGreaterThan(drawn);
  const second = await settled();
  say(
    `class switch: ${((second.rest - first.rest) / 1000).toFixed(0)} KB and ${((second.pictures - first.pictures) / 1000).toFixed(0)} KB of pictures`,
  );
  expect(first.rest + first.pictures).toBeLessThanOrEqual(400_000);
  expect(second.pictures).toBeGreaterThan(first.pictures);
  expect(second.pictures - first.pictures).toBeLessThanOrEqual(300_000);
});
