/** A chart by uPlot, in the colours of the page, as wide as its place. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { clockTime } from './format.ts';
import type { Chart as ChartData } from './series.ts';
import { html } from './ui.ts';

export interface ChartProps {
  readonly label: string;
  readonly chart: ChartData;
  /** Names of colours of the style sheet, one for each line. */
  readonly colours: readonly string[];
  readonly text: (value: number) => string;
  /** Bars on one another in place of lines. */
  readonly isStacked?: boolean;
  readonly height?: number;
}

export function Chart({ label, chart, colours, text, isStacked = false, height = 170 }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const kind = `${chart.labels.join(' ')} ${isStacked}`;
  const data = useRef(chart);
  data.current = chart;
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const draw = (): void => {
      plot.current?.destroy();
      const options = optionsOf(element, data.current, { colours, text, isStacked, height });
      plot.current = new uPlot(options, shownColumns(data.current, isStacked), element);
    };
    draw();
    const watcher = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }));
    watcher.observe(element);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', draw);
    window.addEventListener('altpath-theme', draw);
    return () => {
      watcher.disconnect();
      scheme.removeEventListener('change', draw);
      window.removeEventListener('altpath-theme', draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [kind, height]);
  useEffect(() => plot.current?.setData(shownColumns(chart, isStacked)), [chart, isStacked]);
  return html`
    <figure class="chart" role="img" aria-label=${`${label}: ${spoken(chart, isStacked, text)}`}>
      <div ref=${place}></div>
      <figcaption>
        ${chart.labels.map(
          (name, index) =>
            html`<span><i class=${`swatch ${colours[index] ?? ''}`} aria-hidden="true"></i>${name} <b>${lastOf(chart, index, isStacked, text)}</b></span>`,
        )}
      </figcaption>
    </figure>
  `;
}

/** The tallest bars are drawn first, those below them over them. */
const shownColumns = ({ columns }: ChartData, isStacked: boolean): uPlot.AlignedData => {
  const [times = [], ...rest] = columns;
  const drawn = isStacked ? rest.toReversed() : rest;
  return [times.map(Number), ...drawn.map((column) => [...column])];
};

function lastOf({ columns }: ChartData, index: number, isStacked: boolean, text: (value: number) => string): string {
  const own = columns[index + 1] ?? [];
  if (isStacked) {
    const below = index === 0 ? [] : (columns[index] ?? []);
    return text(own.reduce<number>((sum, value, at) => sum + (value ?? 0) - (below[at] ?? 0), 0));
  }
  const last = own.findLast((value) => value !== null);
  return last === undefined || last === null ? '–' : text(last);
}

const spoken = (chart: ChartData, isStacked: boolean, text: (value: number) => string): string =>
  chart.labels.map((name, index) => `${name} ${lastOf(chart, index, isStacked, text)}`).join(', ');

function optionsOf(
  element: HTMLElement,
  chart: ChartData,
  { colours, text, isStacked, height }: Required<Pick<ChartProps, 'colours' | 'text' | 'isStacked' | 'height'>>,
): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const axis = {
    stroke: colour('quiet'),
    grid: { stroke: colour('line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  };
  const bars = uPlot.paths.bars?.({ size: [0.9, 14], align: 0 });
  const lines = chart.labels.map((name, index): uPlot.Series => {
    const ink = colour(colours[index] ?? 'ink');
    return isStacked
      ? { label: name, fill: ink, width: 0, points: { show: false }, ...(bars === undefined ? {} : { paths: bars }) }
      : { label: name, stroke: ink, width: 1.75, points: { show: false }, spanGaps: false };
  });
  return {
    width: Math.max(200, element.clientWidth),
    height,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: { x: { time: true }, y: { range: (_, __, max) => [0, Math.max(max * 1.12, 1)] } },
    axes: [
      {
        ...axis,
        values: (_, splits) => {
          // Where lines stand less than a minute apart, minutes do not tell them apart.
          const isFine = (splits[1] ?? 0) - (splits[0] ?? 0) < 60;
          return splits.map((seconds) => clockTime(seconds * 1_000).slice(0, isFine ? 8 : 5));
        },
        space: 76,
        size: 26,
      },
      { ...axis, values: (_, splits) => splits.map(text), size: 56, space: 34 },
    ],
    series: [{}, ...(isStacked ? lines.toReversed() : lines)],
  };
}
