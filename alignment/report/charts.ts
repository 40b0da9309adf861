/** Line charts as inline SVG: no script in the report, nothing to load. */
import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

echarts.use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

export interface Curve {
  name: string;
  /** [iteration, value]; missing values are left out. */
  points: [number, number][];
}

export interface ChartSpec {
  title: string;
  curves: Curve[];
  /** Fixed bounds of the value axis, e.g. [0, 1] for shares. */
  bounds?: [number, number];
}

const width = 440;
const height = 240;
/** Readable on light and dark paper alike, and by colour-blind eyes (Okabe and Ito). */
const palette = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00'];

/** An SVG element as text; empty where no curve has a point. */
export function lineChart({ title, curves, bounds }: ChartSpec): string {
  const drawn = curves.filter((curve) => curve.points.length > 0);
  if (drawn.length === 0) return '';
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({
      animation: false,
      color: palette,
      textStyle: { fontFamily: 'system-ui, sans-serif' },
      title: { text: title, left: 8, top: 4, textStyle: { fontSize: 13, fontWeight: 600, color: '#808890' } },
      legend: {
        show: drawn.length > 1,
        bottom: 0,
        itemWidth: 14,
        itemHeight: 8,
        textStyle: { fontSize: 11, color: '#808890' },
      },
      grid: { left: 48, right: 16, top: 36, bottom: drawn.length > 1 ? 48 : 28 },
      xAxis: {
        type: 'value',
        minInterval: 1,
        min: 'dataMin',
        max: 'dataMax',
        axisLabel: { fontSize: 11, color: '#808890' },
        splitLine: { show: false },
      },
      yAxis: {
        type: 'value',
        scale: !bounds,
        ...(bounds ? { min: bounds[0], max: bounds[1] } : {}),
        axisLabel: { fontSize: 11, color: '#808890' },
        splitLine: { lineStyle: { color: '#8088904d' } },
      },
      series: drawn.map((curve) => ({
        type: 'line',
        name: curve.name,
        data: curve.points,
        symbol: 'circle',
        symbolSize: 6,
      })),
    });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}
