// What the browser was busy with, from its own trace.
import type { Page } from '@playwright/test';

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  dur?: number;
  args: { name?: string };
}

export interface Busy {
  /** Longest task of the page's main thread, ms. */
  longest: number;
  /** Tasks longer than 50 ms. */
  long: number;
  /** Median ms from frame to frame. */
  frame: number;
}

/** Does something to the page and reports the tasks of its main thread meanwhile. */
export async function traced(page: Page, act: () => Promise<void>): Promise<Busy> {
  const browser = page.context().browser();
  if (!browser) throw new Error('no browser');
  await page.evaluate(() => {
    const frames: number[] = [];
    Object.assign(window, { frames });
    requestAnimationFrame(function next(now) {
      frames.push(now);
      if (frames.length < 5000) requestAnimationFrame(next);
    });
  });
  await browser.startTracing(page, { categories: ['toplevel', 'devtools.timeline', '__metadata'] });
  await act();
  const trace = JSON.parse((await browser.stopTracing()).toString()) as {
    traceEvents: TraceEvent[];
  };
  const frames = await page.evaluate(() => (window as unknown as { frames: number[] }).frames);
  const main = trace.traceEvents.filter(
    ({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain',
  );
  const tasks = trace.traceEvents
    .filter(
      ({ name, ph, pid, tid }) =>
        (name === 'RunTask' || name === 'ThreadControllerImpl::RunTask') &&
        ph === 'X' &&
        main.some((thread) => thread.pid === pid && thread.tid === tid),
    )
    .map(({ dur }) => (dur ?? 0) / 1000);
  if (tasks.length === 0) throw new Error('the trace has no tasks');
  return {
    longest: Math.max(...tasks),
    long: tasks.filter((ms) => ms > 50).length,
    frame: median(frames.slice(1).map((now, place) => now - (frames[place] ?? now))),
  };
}

export function median(values: number[]): number {
  const sorted = [...values].sort((l, r) => l - r);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** Does something to the page and reports the processor time of its main thread meanwhile, ms. */
export async function computing<T>(
  page: Page,
  act: () => Promise<T>,
): Promise<{ cpu: number; result: T }> {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const spent = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    const found = metrics.find(({ name }) => name === 'TaskDuration');
    if (!found) throw new Error('the browser does not tell the time of tasks');
    return 1000 * found.value;
  };
  const before = await spent();
  const result = await act();
  const cpu = (await spent()) - before;
  await session.detach();
  return { cpu, result };
}
