/**
 * The safety report of a run, a model card made from its lineage, as Markdown and as one HTML file. Names, reasons, notes and versions in it were written by
 * others: both forms escape every text.
 */
import { Eta } from 'eta';
import { escapeMarkdown, visibleText } from '../report/markdown.ts';
import { pageHead } from '../report/pageHead.ts';
import { reportStyle } from '../report/reportStyle.ts';
import type { Block, Section } from './blocks.ts';
import { compute, decisions, figures, incidents, limits, reproducibility, reviewers } from './foundOut.ts';
import { baseModel, codesAndCases, judges, method, purpose, trainingData } from './madeFrom.ts';
import type { SafetyData } from './safetyData.ts';

export interface SafetyReport {
  title: string;
  sections: Section[];
}

export function safetyReport(data: SafetyData): SafetyReport {
  return {
    title: `Safety report of CADA run ${data.runId}`,
    sections: [
      ...[purpose, baseModel, trainingData, codesAndCases, judges, method],
      ...[figures, decisions, reviewers, incidents, compute, reproducibility, limits],
    ].map((section) => section(data)),
  };
}

export function safetyMarkdown({ title, sections }: SafetyReport): string {
  const parts = sections.flatMap((section) => [
    `## ${escapeMarkdown(section.title)}`,
    ...section.blocks.map(markdownOf),
  ]);
  return `${[`# ${escapeMarkdown(title)}`, ...parts].join('\n\n')}\n`;
}

function markdownOf(block: Block): string {
  switch (block.kind) {
    case 'text':
      return escapeMarkdown(block.text);
    case 'list':
      return block.items.map((item) => `- ${escapeMarkdown(item)}`).join('\n');
    case 'table':
      return [block.head, block.head.map(() => '---'), ...block.rows.map((row) => row.map(escapeMarkdown))]
        .map((cells) => `| ${cells.join(' | ')} |`)
        .join('\n');
    case 'code': {
      // Longer than any fence in the text.
      const longest = Math.max(2, ...[...block.text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
      const fence = '`'.repeat(longest + 1);
      return `${fence}\n${visibleText(block.text)}\n${fence}`;
    }
  }
}

const eta = new Eta({ autoEscape: true, useWith: false, varName: 'it' });

const template = `${pageHead()}<title><%= it.title %></title>
<style><%~ it.style %></style>
</head>
<body>
<h1><%= it.title %></h1>
<% for (const section of it.sections) { %><section>
<h2><%= section.title %></h2>
<% for (const block of section.blocks) { %><% if (block.kind === 'text') { %><p><%= it.visible(block.text) %></p>
<% } else if (block.kind === 'list') { %><ul><% for (const item of block.items) { %><li><%= it.visible(item) %></li><% } %></ul>
<% } else if (block.kind === 'code') { %><details><summary>show</summary><pre><%= it.visible(block.text) %></pre></details>
<% } else { %><div class="scroll"><table>
<thead><tr><% for (const cell of block.head) { %><th><%= it.visible(cell) %></th><% } %></tr></thead>
<tbody><% for (const row of block.rows) { %><tr><% for (const cell of row) { %><td><%= it.visible(cell) %></td><% } %></tr>
<% } %></tbody>
</table></div>
<% } %><% } %></section>
<% } %></body>
</html>
`;

export function safetyHtml({ title, sections }: SafetyReport): string {
  return eta.renderString(template, {
    title: visibleText(title),
    sections,
    style: `${reportStyle}${ownStyle}`,
    visible: visibleText,
  });
}

const ownStyle = `
section p, section li { max-width: 860px; overflow-wrap: anywhere; }
td { overflow-wrap: anywhere; min-width: 3.5em; }
`;
