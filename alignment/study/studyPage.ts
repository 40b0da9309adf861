/**
 * A study's page: one self-contained HTML file. The template engine escapes every value; only our own charts and style go in as they are, and a content
 * security policy keeps the page from running or loading anything.
 */
import { Eta } from 'eta';
import { sharedRunWords } from '../benchmarks/overlapIndex.ts';
import { nearDuplicateOverlap } from '../library/nearDuplicates.ts';
import { pageHead } from '../report/pageHead.ts';
import { reportStyle } from '../report/reportStyle.ts';
import { hypothesisTable, verdictCounts } from './hypothesisTable.ts';
import { paretoChart } from './paretoChart.ts';
import type { StudyResult } from './studyResult.ts';
import {
  armsOf,
  differenceTables,
  faithfulnessTables,
  hazardTables,
  mainTables,
  partTables,
  tableNotes,
  type StudyTable,
} from './studyTables.ts';

const eta = new Eta({ autoEscape: true, useWith: false, varName: 'it' });

eta.loadTemplate(
  '@table',
  `<div class="scroll"><table>
<thead><tr><% for (const one of it.head) { %><th><%= one %></th><% } %></tr></thead>
<tbody>
<% for (const row of it.rows) { %><tr><% for (const cell of row) { %><td><%= cell %></td><% } %></tr>
<% } %></tbody>
</table></div>
`,
);

const template = `${pageHead()}<title>CADA study <%= it.result.name %></title>
<style><%~ it.style %> td:first-child { white-space: nowrap; } .claims td:first-child { white-space: normal; min-width: 15em; } .claims td:nth-child(3) { min-width: 14em; } .claims td:last-child { min-width: 20em; }</style>
</head>
<body>
<header>
<h1>CADA study <%= it.result.name %></h1>
<p class="sub"><code><%= it.result.studyId %></code> · <%= it.suites %><% if (it.result.settings.attacks.length > 0) { %> · attacks: <%= it.result.settings.attacks.join(', ') %><% } %></p>
</header>
<% if (it.hypotheses) { %>
<section class="claims">
<h2>Hypotheses</h2>
<p class="sub"><%= it.counts %>. The rule is among the notes.</p>
<%~ include('@table', it.hypotheses) %>
</section>
<% } %>
<% for (const one of it.models) { %>
<section>
<h2><%= one.name %><% if (one.digest) { %> <span class="sub"><code><%= one.digest.slice(0, 12) %></code></span><% } %></h2>
<%~ include('@table', one.main) %>
<% if (one.chart) { %><h3>Harmlessness against helpfulness</h3>
<p class="sub">Blue: no other arm is as good in both and better in one. Lines: 95 % intervals.</p>
<figure><%~ one.chart %></figure><% } %>
<% if (one.parts.head.length > 1) { %><h3>Parts</h3>
<%~ include('@table', one.parts) %><% } %>
<% if (one.hazards.rows.length > 0) { %><h3>Harmful questions by hazard</h3>
<%~ include('@table', one.hazards) %><% } %>
<% if (one.faithfulness.rows.length > 0) { %><h3>Does the answer follow the analysis?</h3>
<%~ include('@table', one.faithfulness) %><% } %>
<% if (one.differences.rows.length > 0) { %><h3>Differences between arms, paired by question</h3>
<details><summary><%= one.differences.rows.length %> comparisons, <%= one.significant %> of them significant</summary>
<%~ include('@table', one.differences) %></details><% } %>
</section>
<% } %>
<% if (it.contamination.rows.length > 0) { %>
<section>
<h2>Contamination</h2>
<p class="sub">Questions of this study that stand among the requests and cases its arms are trained or prompted with: exact (in lower case, without punctuation), near duplicates (<%= it.nearShare %> of the words in common or more), and in part (<%= it.sharedRun %> words in a row in common). The ids are in the JSON.</p>
<%~ include('@table', it.contamination) %>
</section>
<% } %>
<section>
<h2>Notes</h2>
<ul><% for (const note of it.notes) { %><li class="sub"><%= note %></li><% } %></ul>
<h3>Arms</h3>
<%~ include('@table', it.arms) %>
<h3>Units</h3>
<%~ include('@table', it.units) %>
</section>
</body>
</html>
`;

export function renderStudyPage(result: StudyResult): string {
  const [main, parts, differences] = [mainTables(result), partTables(result), differenceTables(result)];
  const [hazards, faithfulness] = [hazardTables(result), faithfulnessTables(result)];
  return eta.renderString(template, {
    result,
    style: reportStyle,
    suites: result.settings.suites.map(({ suite }) => suite).join(', '),
    models: result.models.map((model, index) => ({
      ...model,
      chart: paretoChart(armsOf(result, model.model)),
      ...{
        main: main[index]!,
        parts: parts[index]!,
        differences: differences[index]!,
        hazards: hazards[index]!,
        faithfulness: faithfulness[index]!,
      },
      significant: differences[index]!.rows.filter((row) => row.at(-1) !== '').length,
    })),
    hypotheses: hypothesisTable(result),
    counts: verdictCounts(result),
    notes: tableNotes(result),
    contamination: contaminationTable(result),
    nearShare: nearDuplicateOverlap,
    sharedRun: sharedRunWords,
    arms: armTable(result),
    units: unitTable(result),
  });
}

function contaminationTable({ contamination = [] }: StudyResult): Omit<StudyTable, 'model'> {
  return {
    head: ['texts', 'use', 'number', 'suite', 'questions', 'exact', 'near', 'in part'],
    rows: contamination.map(({ source, use, texts, benchmark, questions, exact, near, run }) => [
      ...[source, use, String(texts), benchmark, String(questions), String(exact), String(near), String(run ?? '–')],
    ]),
  };
}

function armTable({ arms }: StudyResult): Omit<StudyTable, 'model'> {
  return {
    head: ['arm', 'trained', 'before each question'],
    rows: arms.map(({ name, trained, asked }) => [name, trained ? 'yes' : 'no', asked]),
  };
}

function unitTable({ units }: StudyResult): Omit<StudyTable, 'model'> {
  return {
    head: ['unit', 'seed', 'run', 'adapter'],
    rows: units.map(({ unit, seed, runId, adapterSha256 }) => [
      ...[unit, seed === null ? 'greedy' : String(seed), runId ?? '', adapterSha256?.slice(0, 16) ?? ''],
    ]),
  };
}
