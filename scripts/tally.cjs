'use strict';
// Sums up reports of vitest's JSON reporter, each given as FILE=EXITCODE: prints `PASSED FAILED`. A run that failed without a failed
// test (it crashed, or an error escaped) counts as one failure. Runs on any Node.
const { readFileSync } = require('node:fs');

let passed = 0;
let failed = 0;
for (const word of process.argv.slice(2)) {
  const at = word.lastIndexOf('=');
  const failures = count(word.slice(0, at));
  failed += failures === 0 && word.slice(at + 1) !== '0' ? 1 : failures;
}
process.stdout.write(`${passed} ${failed}\n`);

/** The failed tests of a report, and the test files that could not be run. */
function count(file) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return 0;
  }
  passed += report.numPassedTests;
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  );
  return report.numFailedTests + broken.length;
}
