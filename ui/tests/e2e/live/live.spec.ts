// A run while it is made: `summit run --serve` on images that a server here lets out class by class.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import AxeBuilder from '@axe-core/playwright';
import { expect, test as base } from '../site';

const FIXTURE = process.env.SUMMIT_FIXTURE ?? '../target/ui-fixture';
const SUMMIT = process.env.SUMMIT_BIN ?? '../target/debug/summit';
/** Where pictures of the page go, if anywhere. */
const PICTURES = process.env.LIVE_PICTURES;
const CLASSES = ['s01', 's02', 's03', 's04', 's05', 's06', 's07', 's08'];
const PER_CLASS = 12;

/** The images over HTTP; those of classes not let out are waited for. */
class Images {
  readonly #held: { index: number; answer: () => void }[] = [];
  #out = 0;
  readonly server: Server = createServer((request, response) => {
    const [, id = '', name = ''] = (request.url ?? '').split('/');
    const file = join(FIXTURE, 'images', id, name);
    const answer = () => response.end(readFileSync(file));
    const index = CLASSES.indexOf(id);
    if (index < this.#out) answer();
    else this.#held.push({ index, answer });
  });

  letOut(classes: number) {
    this.#out = classes;
    const ready = this.#held.filter(({ index }) => index < classes);
    for (const held of ready) {
      this.#held.splice(this.#held.indexOf(held), 1);
      held.answer();
    }
  }
}

/** A run in a folder of its own, and its page. */
class LiveRun {
  readonly images = new Images();
  readonly #folder = mkdtempSync(join(tmpdir(), 'summit-live-'));
  #child: ChildProcess | null = null;
  address = '';

  async begin() {
    this.images.server.listen(0, '127.0.0.1');
    await once(this.images.server, 'listening');
    const { port } = this.images.server.address() as AddressInfo;
    const rows = CLASSES.flatMap((id) =>
      readdirSync(join(FIXTURE, 'images', id))
        .filter((name) => /^\d/.test(name))
        .map((name) => `${id}/${name},http://127.0.0.1:${port}/${id}/${name},${id}`),
    );
    writeFileSync(join(this.#folder, 'list.csv'), ['name,url,label', ...rows, ''].join('\n'));
    await this.start('0');
  }

  /** Starts the program, or continues with it. */
  async start(port: string) {
    const path = (name: string) => join(this.#folder, name);
    this.#child = spawn(
      SUMMIT,
      [
        ...['run', '--model', join(FIXTURE, 'net.onnx'), '--images', path('list.csv')],
        ...['--labels', join(FIXTURE, 'images/labels.tsv'), '--out', path('run')],
        ...['--mass', '0.2', '--no-check', '--shard-images', String(PER_CLASS)],
        ...['--threads', '1', '--io-timeout', '60', '--serve', '--port', port],
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const { stdout } = this.#child;
    if (!stdout) throw new Error('no output');
    for await (const line of createInterface(stdout)) {
      this.address = line;
      break;
    }
  }

  /** Takes away what is stored, so that nothing more can be. */
  breakStore() {
    rmSync(join(this.#folder, 'run/shards'), { recursive: true });
  }

  async kill() {
    const child = this.#child;
    if (child?.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }

  async end() {
    await this.kill();
    this.images.server.closeAllConnections();
    this.images.server.close();
    rmSync(this.#folder, { recursive: true });
  }
}

const test = base.extend<{ run: LiveRun }>({
  // eslint-disable-next-line no-empty-pattern -- it needs nothing, and Playwright a pattern
  run: async ({}, use) => {
    const run = new LiveRun();
    await run.begin();
    await use(run);
    await run.end();
  },
  baseURL: async ({ run }, use) => use(run.address),
});

test('classes appear, counts grow, and the page becomes that of the run', async ({
  site,
  page,
  run,
}) => {
  await page.goto('./#class=s03');
  const rows = page.getByRole('region', { name: 'Classes so far' }).getByRole('row');
  const progress = page.getByRole('progressbar');
  await expect(page.getByRole('status')).toHaveText('The network looks at the images');
  await expect(progress).toHaveAttribute('aria-valuetext', '0 of 96 images');
  await expect(rows).toHaveCount(1);

  run.images.letOut(2);
  await expect(rows).toHaveCount(3);
  await expect(progress).toHaveAttribute('aria-valuetext', '24 of 96 images');
  // The newest first, with the images that are stored and those predicted right.
  await expect(rows.nth(1)).toHaveText(/^square\s*12\s*\d+\.\d %/);
  await expect(rows.nth(2)).toHaveText(/^disc\s*12\s*\d+\.\d %/);

  run.images.letOut(6);
  await expect(rows).toHaveCount(7);
  await page.getByRole('combobox', { name: 'Order of classes' }).selectOption('name');
  await expect(rows.nth(1)).toHaveText(/^columns/);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const results = await new AxeBuilder({ page })
      .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'])
      .analyze();
    expect(results.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
    for (const [width, height] of PICTURES ? [[1440, 900] as const, [1024, 700] as const] : []) {
      await page.setViewportSize({ width, height });
      await page.screenshot({ path: `${PICTURES}/live-${colorScheme}-${width}.png` });
    }
  }

  run.images.letOut(8);
  await site.ready();
  await expect(site.title).toHaveText(/ring/);
  await expect(page.getByRole('progressbar')).toHaveCount(0);
});

test('a program that is gone is said, and comes back by itself', async ({ site, page, run }) => {
  site.expected = [/ERR_CONNECTION|ERR_INCOMPLETE_CHUNKED/];
  run.images.letOut(3);
  await page.goto('./');
  const rows = page.getByRole('region', { name: 'Classes so far' }).getByRole('row');
  await expect(rows).toHaveCount(4);
  await run.kill();
  await expect(page.getByRole('alert')).toContainText('The program does not answer');
  run.images.letOut(4);
  await run.start(new URL(run.address).port);
  await expect(rows).toHaveCount(5, { timeout: 20_000 });
  await expect(page.getByRole('alert')).toHaveCount(0);
  await expect(page.getByText('36 images had been stored by an earlier start.')).toBeVisible();
  run.images.letOut(8);
  await site.ready();
});

test('a run that fails says why', async ({ site, page, run }) => {
  site.expected = [/ERR_CONNECTION|ERR_INCOMPLETE_CHUNKED/];
  run.images.letOut(2);
  await page.goto('./');
  const rows = page.getByRole('region', { name: 'Classes so far' }).getByRole('row');
  await expect(rows).toHaveCount(3);
  run.breakStore();
  run.images.letOut(8);
  await expect(page.getByRole('status')).toHaveText('Stopped');
  await expect(page.getByRole('alert')).toContainText(/^The run was stopped: .*run.shards/);
  if (PICTURES) await page.screenshot({ path: `${PICTURES}/stopped.png` });
});
