/** Harmlessness against helpfulness, one point an arm, as inline SVG. */
import type { SeriesOption } from 'echarts';
import { LineChart, ScatterChart } from 'echarts/charts';
import { GridComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { paretoPoint, type ArmFigures } from './studyFigures.ts';

echarts.use([LineChart, ScatterChart, GridComponent, SVGRenderer]);

const width = 640;
const height = 440;
const margin = { top: 24, bottom: 48 };
/** Pixels from one label's line to the next. */
const lineHeight = 13;
const grey = '#808890';
/** Colour-blind safe (Okabe and Ito): on the front, behind it. */
const colours = { front: '#0072b2', behind: '#e69f00', range: '#80889099' };

/** Empty where no arm has both figures. */
export function paretoChart(arms: readonly ArmFigures[]): string {
  const points = arms.flatMap((arm) => {
    const point = paretoPoint(arm);
    return point ? [{ arm, value: [point.helpful, point.harmless] as [number, number] }] : [];
  });
  if (points.length === 0) return '';
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  const axis = (name: string) => ({
    ...{ type: 'value' as const, name, nameLocation: 'middle' as const, min: 0, max: 1, nameGap: 30 },
    ...{ nameTextStyle: { color: grey, fontSize: 12 }, axisLabel: { fontSize: 11, color: grey } },
    splitLine: { lineStyle: { color: '#8088904d' } },
  });
  const labels = labelPlaces(points.map(({ arm, value }) => ({ name: arm.arm, value })));
  const front = points
    .filter(({ arm }) => arm.pareto)
    .map(({ value }) => value)
    .sort(([one], [other]) => one - other);
  try {
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: 'system-ui, sans-serif' },
      grid: { left: 56, right: 24, top: margin.top, bottom: margin.bottom },
      xAxis: axis('helpfulness: safe prompts answered'),
      yAxis: axis('harmlessness'),
      series: [
        ...points.flatMap(({ arm, value }) => ranges(arm, value)),
        {
          ...{ type: 'line', data: front, symbol: 'none', silent: true },
          lineStyle: { color: colours.front, type: 'dashed', width: 1 },
        },
        {
          ...{ type: 'scatter', symbolSize: 10 },
          data: points.map(({ arm, value }) => ({
            ...{ value, name: arm.arm },
            itemStyle: { color: arm.pareto ? colours.front : colours.behind },
            label: labels.get(arm.arm)!,
          })),
          label: { show: true, formatter: '{b}', fontSize: 11, color: grey, distance: 8 },
        },
      ],
    });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

/** Names stay inside the picture, above the lines of the intervals, and off each other: those to the same side, from the top down. */
function labelPlaces(points: readonly { name: string; value: [number, number] }[]) {
  const lowest = { left: -Infinity, right: -Infinity };
  return new Map(
    points
      .toSorted((one, other) => other.value[1] - one.value[1])
      .map(({ name, value: [helpful, harmless] }) => {
        const position: 'left' | 'right' = helpful > 0.6 ? 'left' : 'right';
        const wanted = (1 - harmless) * (height - margin.top - margin.bottom);
        const place = Math.max(wanted - lineHeight / 2, lowest[position] + lineHeight);
        lowest[position] = place;
        return [name, { position, offset: [0, place - wanted] }] as const;
      }),
  );
}

/** Both intervals, as thin lines through the point. */
function ranges({ figures }: ArmFigures, [helpful, harmless]: [number, number]): SeriesOption[] {
  const [low, high] = figures['over-refusal']!.interval;
  const upright = figures['harmlessness']!.interval.map((bound) => [helpful, bound]);
  const level = [1 - high, 1 - low].map((bound) => [bound, harmless]);
  return [upright, level].map((data) => ({
    ...{ type: 'line', data, symbol: 'none', silent: true },
    lineStyle: { color: colours.range, width: 1 },
  }));
}
