// How long a user waits for graphs of a real run: from the start of `summit serve` to its address, from there to
// the first graph painted, and from class to class. Every start is a new server and a new page; the median counts.
// `node scripts/first-graph.mjs SUMMIT RUN [STARTS]`; docs/interface.md, Size.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { chromium } from '@playwright/test';

const [summit, run, starts = '5'] = process.argv.slice(2);
if (!summit || !run) throw new Error('usage: node scripts/first-graph.mjs SUMMIT RUN [STARTS]');
/** Class switches a start. */
const SWITCHES = 20;

const median = (times) => times.toSorted((l, r) => l - r)[Math.floor(times.length / 2)];

/** Starts the server; its address, and after how many milliseconds it said it. */
async function serve() {
  const began = performance.now();
  const child = spawn(summit, ['serve', run, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout }))
    if (line.startsWith('http://'))
      return { child, address: line.trim(), after: performance.now() - began };
  throw new Error('the server said no address');
}

/** When the newest graph of more than `before` was painted, in milliseconds of the page. */
const painted = (page, before) =>
  page.evaluate(async (before) => {
    const marks = () => performance.getEntriesByName('summit:graph');
    while (marks().length <= before) await new Promise((resolve) => setTimeout(resolve, 2));
    return marks().at(-1).startTime;
  }, before);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-3d-apis'],
});
const [addresses, firsts, switches, longest] = [[], [], [], []];
for (let start = 0; start < Number(starts); start++) {
  const { child, address, after } = await serve();
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const classes = await (await fetch(new URL('bundle/classes.json', address))).json();
  const present = classes.labelled.flatMap((images, id) => (images > 0 ? [id] : []));
  const key = (id) => classes.external_id[id] || String(id);
  await page.goto(`${address}#class=${key(present[0])}`);
  const first = await painted(page, 0);
  const times = [];
  // Classes no earlier switch has asked for, where there are enough.
  for (let turn = 1; turn <= Math.min(SWITCHES, present.length - 1); turn++) {
    const step = Math.max(1, present.length / (SWITCHES + 1));
    const id = key(present[Math.floor(turn * step)]);
    const before = await page.evaluate((id) => {
      const marks = performance.getEntriesByName('summit:graph').length;
      globalThis.asked = performance.now();
      location.hash = `#class=${id}`;
      return marks;
    }, id);
    times.push((await painted(page, before)) - (await page.evaluate(() => globalThis.asked)));
    await page.waitForTimeout(300);
  }
  addresses.push(after);
  firsts.push(first);
  switches.push(median(times));
  longest.push(Math.max(...times));
  console.log(
    `start ${start + 1}: address after ${after.toFixed(0)} ms, graph painted ${first.toFixed(0)} ms later; ` +
      `class switch: median ${median(times).toFixed(0)} ms, longest ${Math.max(...times).toFixed(0)} ms, of ${times.length}`,
  );
  await context.close();
  child.kill('SIGINT');
  await new Promise((resolve) => child.on('exit', resolve));
}
await browser.close();
console.log(
  `median of ${starts} starts: address ${median(addresses).toFixed(0)} ms, first graph ${median(firsts).toFixed(0)} ms, ` +
    `class switch ${median(switches).toFixed(0)} ms, longest class switch ${Math.max(...longest).toFixed(0)} ms`,
);
