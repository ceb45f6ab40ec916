// Ends the run of the unit tests with one line of numbers.
export default class Summary {
  onTestRunEnd(modules) {
    const count = { passed: 0, failed: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state in count) count[state]++;
      }
      if (module.errors().length > 0) count.failed++;
    }
    console.log(`unit: ${count.passed} passed, ${count.failed} failed`);
  }
}
