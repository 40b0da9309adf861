/** The closing line of `npm run test:bad-input`. */
import type { Reporter, TestModule } from 'vitest/node';

const fewest = 200;

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const passed = tests.filter((test) => test.result().state === 'passed');
    console.log(`\n${tests.length} malformed inputs, ${passed.length} refused as stated`);
    if (tests.length < fewest) {
      console.log(`At least ${fewest} are wanted.`);
      process.exitCode = 1;
    }
  }
}
