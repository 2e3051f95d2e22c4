/**
 * Takes the types out of a page's file, where altpath runs from its sources (a built package has JavaScript). That is some ten
 * milliseconds of work for each file, so it is done beside the thread that serves calls, by one that ends when it has nothing to do.
 */
import { Worker } from 'node:worker_threads';

export function withoutTypes(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    serial += 1;
    waiting.set(serial, { resolve, reject });
    worker ??= start();
    worker.postMessage([serial, text]);
  });
}

interface Waiting {
  resolve(text: string): void;
  reject(error: Error): void;
}

const waiting = new Map<number, Waiting>();
let serial = 0;
let worker: Worker | undefined;

function start(): Worker {
  const started = new Worker(program, {
    eval: true,
    // The function is called experimental in Node 24: nobody has to read that.
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
    stderr: true,
  });
  started.on('message', ([id, text, problem]: readonly [number, string, string | undefined]) => {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (problem === undefined) asked?.resolve(text);
    else asked?.reject(new Error(`the types could not be taken out of a page: ${problem}`));
    if (waiting.size > 0) return;
    worker = undefined;
    void started.terminate();
  });
  started.on('error', (error) => {
    worker = undefined;
    for (const asked of waiting.values()) asked.reject(error);
    waiting.clear();
  });
  return started;
}

const program = `
const { parentPort } = require('node:worker_threads');
const { stripTypeScriptTypes } = require('node:module');
parentPort.on('message', ([id, text]) => {
  try {
    parentPort.postMessage([id, stripTypeScriptTypes(text)]);
  } catch (error) {
    parentPort.postMessage([id, '', error.message]);
  }
});
`;
