/**
 * Takes the types out of a page's file, where altpath runs from its sources (a built package has JavaScript). That is some ten
 * milliseconds of work for each file, so it is done beside the thread that serves calls.
 */
import { Worker } from 'node:worker_threads';

export function withoutTypes(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(program, {
      eval: true,
      workerData: text,
      // The function is called experimental in Node 24: nobody has to read that.
      env: { ...process.env, NODE_NO_WARNINGS: '1' },
      stderr: true,
    });
    worker.once('message', (stripped: string) => resolve(stripped));
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the types could not be taken out of a page')));
  });
}

const program = `
const { parentPort, workerData } = require('node:worker_threads');
parentPort.postMessage(require('node:module').stripTypeScriptTypes(workerData));
`;
