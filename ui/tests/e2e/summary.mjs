// Ends the run of the browser tests with one line of numbers.
export default class Summary {
  passed = 0;
  failed = 0;
  skipped = 0;

  onTestEnd(test, result) {
    if (result.status === 'skipped') this.skipped++;
    else if (test.outcome() === 'unexpected') this.failed++;
    else this.passed++;
  }

  onEnd() {
    const skipped = this.skipped > 0 ? `, ${this.skipped} skipped` : '';
    console.log(`browser: ${this.passed} passed, ${this.failed} failed${skipped}`);
  }
}
