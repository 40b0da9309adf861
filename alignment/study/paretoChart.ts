/** Harmlessness against helpfulness, one point an arm, as inline SVG. */
import * as echarts from 'echarts';
import { paretoPoint, type ArmFigures } from './studyFigures.ts';

const width = 640;
const height = 440;
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
  const front = points
    .filter(({ arm }) => arm.pareto)
    .map(({ value }) => value)
    .sort(([one], [other]) => one - other);
  try {
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: 'system-ui, sans-serif' },
      grid: { left: 56, right: 60, top: 24, bottom: 48 },
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
          })),
          label: { show: true, position: 'right', formatter: '{b}', fontSize: 11, color: grey },
          labelLayout: { hideOverlap: false, moveOverlap: 'shiftY' },
        },
      ],
    });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

/** Both intervals, as thin lines through the point. */
function ranges({ figures }: ArmFigures, [helpful, harmless]: [number, number]): echarts.SeriesOption[] {
  const [low, high] = figures['over-refusal']!.interval;
  const upright = figures['harmlessness']!.interval.map((bound) => [helpful, bound]);
  const level = [1 - high, 1 - low].map((bound) => [bound, harmless]);
  return [upright, level].map((data) => ({
    ...{ type: 'line', data, symbol: 'none', silent: true },
    lineStyle: { color: colours.range, width: 1 },
  }));
}
