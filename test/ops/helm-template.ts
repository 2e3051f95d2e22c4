/** As much of Helm's template language as our chart uses, where no helm is to be had: values, range over a map, toYaml, nindent, add. */
import { stringify } from 'yaml';

type Values = Readonly<Record<string, unknown>>;

/** @throws Error for any other word, so that a chart which needs more does not pass for checked. */
export function renderTemplate(template: string, root: Values): string {
  return block(trimmed(template), { $: root });
}

/** `{{-` takes away the white space before it, `-}}` that behind it. */
const trimmed = (text: string): string => text.replaceAll(/\s*\{\{-/g, '{{').replaceAll(/-\}\}\s*/g, '}}');

function block(text: string, scope: Values): string {
  const range = /\{\{ range \$(\w+), \$(\w+) := ([^}]*?) \}\}/.exec(text);
  if (range === null) return fill(text, scope);
  const [opening, key = '', item = '', over = ''] = range;
  const end = text.indexOf('{{ end }}', range.index);
  if (end < 0) throw new Error('range without an end');
  const body = text.slice(range.index + opening.length, end);
  const entries = Object.entries(value(over, scope) as Values);
  return [
    fill(text.slice(0, range.index), scope),
    ...entries.map(([name, each]) => block(body, { ...scope, [key]: name, [item]: each })),
    block(text.slice(end + '{{ end }}'.length), scope),
  ].join('');
}

const fill = (text: string, scope: Values): string =>
  text.replaceAll(/\{\{ ?([^}]*?) \}\}/g, (_, words: string) => String(evaluate(words, scope)));

function evaluate(words: string, scope: Values): unknown {
  const [first = '', ...pipes] = words.split(' | ');
  let result: unknown = /^toYaml (.*)$/.test(first)
    ? stringify(value(first.slice('toYaml '.length), scope)).trimEnd()
    : sum(first, scope);
  for (const pipe of pipes) {
    const spaces = /^nindent (\d+)$/.exec(pipe)?.[1];
    if (spaces === undefined) throw new Error(`no such function here: ${pipe}`);
    result = `\n${String(result).replaceAll(/^/gm, ' '.repeat(Number(spaces)))}`;
  }
  return result;
}

function sum(words: string, scope: Values): unknown {
  const [, path, number] = /^add (\S+) (\d+)$/.exec(words) ?? [];
  return path === undefined ? value(words, scope) : Number(value(path, scope)) + Number(number);
}

/** `.Values.a`, `$.Values.a`, `$name`, `$member.address`. */
function value(path: string, scope: Values): unknown {
  if (!/^\$?[\w.]+$|^\$\w*$/.test(path)) throw new Error(`no such expression here: ${path}`);
  const [head = '', ...names] = path.split('.');
  let found: unknown = head === '' || head === '$' ? scope['$'] : scope[head.replace('$', '')];
  for (const name of names) found = (found as Values | undefined)?.[name];
  if (found === undefined) throw new Error(`${path} has no value`);
  return found;
}
