/** Runs something when what has just changed is painted, before whatever arrived in the meantime. */
export function afterPaint(run: () => void) {
  requestAnimationFrame(() => {
    const { scheduler } = globalThis as { scheduler?: Scheduler };
    if (scheduler) void scheduler.postTask(run, { priority: 'user-blocking' });
    else setTimeout(run);
  });
}
