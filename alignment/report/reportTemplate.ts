import { pageHead } from './pageHead.ts';

/** One row a measure, one column an evaluation: of `evaluations` and `rows` ({label, n, cells}). */
export const evaluationsTemplate = `<div class="scroll"><table>
<thead><tr><th>measure</th><th class="n">n</th><% for (const one of it.evaluations) { %><th><%= one.name %></th><% } %></tr></thead>
<tbody>
<% for (const row of it.rows) { %><tr><td><%= row.label %></td><td class="n"><%= row.n %></td><% for (const cell of row.cells) { %><td><%= cell %></td><% } %></tr><% } %>
</tbody>
</table></div>
`;

/** One row a figure, one column an evaluation: of `evaluations` and `rows` ({label, cells}). */
export const comparisonTemplate = `<div class="scroll"><table>
<thead><tr><th>figure</th><% for (const one of it.evaluations) { %><th><%= one.name %></th><% } %></tr></thead>
<tbody>
<% for (const row of it.rows) { %><tr><td><%= row.label %></td><% for (const cell of row.cells) { %><td><%= cell %></td><% } %></tr><% } %>
</tbody>
</table></div>
`;

/** Changes after training: of `rows` ({label, cells}), the second cell over the warm start. */
export const changesTemplate = `<div class="scroll"><table>
<thead><tr><th>measure</th><th>after − before</th><% if (it.overWarmStart) { %><th>after − warm start</th><% } %></tr></thead>
<tbody>
<% for (const row of it.rows) { %><tr><td><%= row.label %></td><% for (const cell of row.cells) { %><td><%= cell %></td><% } %></tr><% } %>
</tbody>
</table></div>
`;

/** What a reviewer says of one chain: of `chain`, its name. Hidden where the page's script does not run. */
export const markTemplate = `<div class="marking" data-chain="<%= it.chain %>" hidden><select aria-label="mark of <%= it.chain %>"><option value="">mark …</option><option>right</option><option>wrong-refusal</option><option>harmful</option><option>leak</option></select> <input aria-label="note" placeholder="why" maxlength="2000" hidden> <code><%= it.chain %></code></div>
`;

/** The page, in Eta's syntax: `<%=` escapes, `<%~` does not (charts, style and script only, which are ours). */
export const reportTemplate = `${pageHead('<%~ it.scriptSource %>')}<title>CADA run <%= it.runId %></title>
<style><%~ it.style %></style>
</head>
<body>
<header>
<h1>CADA run <%= it.runId %></h1>
<p class="sub"><%= it.model.baseModelName %> (<%= it.model.origin %>, <code><%= it.model.digest.slice(0, 12) %></code>) · adapter <code><%= it.adapterSha256.slice(0, 16) %></code> · <%= it.rounds.length %> iterations · <%= it.format.duration(it.totalSeconds) %></p>
<% for (const note of it.model.notes) { %><p class="sub"><%= note %></p><% } %>
</header>

<section>
<h2>Did it learn?</h2>
<ul class="headlines">
<% for (const line of it.headlines) { %>
<li class="<%= line.met === null ? 'plain' : line.met ? 'met' : 'missed' %>"><span class="mark"><%= line.value === null ? 'not measured' : line.met === null ? 'reported' : line.met ? 'met' : 'not met' %></span>
<span><% const show = line.id === 'format' ? it.format.number : it.format.signed; %><strong><%= line.text %></strong>: <%= show(line.value) %> <%= it.format.interval(line.interval, show) %><% if (line.target) { %> <em>(target: <%= line.target %>)</em><% } %></span></li>
<% } %>
</ul>
<p class="sub">Held-out requests, raw prompt (no codes, no cases), greedy. Brackets: 95 % intervals, Wilson for shares, paired bootstrap for changes.</p>
</section>

<% if (it.release) { %>
<section>
<h2>Release: <%= it.release.status %></h2>
<% if (it.release.decision) { const d = it.release.decision; %><p><%= d.outcome %> by <%= d.by %>, <%= d.at.slice(0, 16).replace('T', ' ') %> UTC: <%= d.why %></p><% if (d.despite) { %><p>Although not all criteria are met: <%= d.despite %></p><% } %><% } %>
<% if (it.releaseRows.length > 0) { %><div class="scroll"><table>
<thead><tr><th>criterion</th><th>asked</th><th>value</th><th></th></tr></thead>
<tbody><% for (const row of it.releaseRows) { %><tr><% for (const cell of row) { %><td><%= cell %></td><% } %></tr><% } %></tbody>
</table></div><% } %>
</section>

<% } %>
<section>
<h2>Before and after</h2>
<%~ include('@evaluations', { evaluations: it.evaluations, rows: it.evaluationRows }) %>
<p class="sub">Judged by: <%= it.judges %>.</p>
<h3>Changes, request by request</h3>
<%~ include('@changes', { rows: it.changeRows.requests, overWarmStart: it.fromWarmStart }) %>
<% if (it.powerNotes.length > 0) { %><p class="sub">Power, over the untouched model: <%= it.powerNotes.join('; ') %>.</p><% } %>
<% if (it.exposure) { %>
<h3>Seen and unseen hazards</h3>
<p class="sub">Withheld from codes, cases, training and development requests: <%= it.exposure.withheld.join(', ') %>. Simple codes are about no hazard by itself and stay. Judged as above.</p>
<%~ include('@evaluations', { evaluations: it.evaluations, rows: it.exposureRows }) %>
<%~ include('@changes', { rows: it.changeRows.exposure, overWarmStart: it.exposure.fromWarmStart }) %>
<% } %>
<% if (it.faithfulness) { %>
<h3>Does the answer follow the analysis?</h3>
<p class="sub">The analyses of a harmful request and of a look-alike of its hazard are swapped, each behind the other's raw prompt; the policy goes on greedily. Shares are over the pairs whose own answers differ (one refuses). Judged by <%= it.faithfulness.judge %>. Brackets: 95 % intervals, bootstrap over pairs for both directions together, else Wilson.</p>
<%~ include('@comparison', it.faithfulness) %>
<% } %>
<% if (it.benchmarks) { %>
<h3>Public benchmarks</h3>
<p class="sub">Never used for training or tuning. Refusals by the same rules; the changes are over all of them together.</p>
<%~ include('@evaluations', { evaluations: it.evaluations, rows: it.benchmarkRows }) %>
<%~ include('@changes', { rows: it.changeRows.benchmarks, overWarmStart: it.benchmarks.fromWarmStart }) %>
<% } %>
</section>

<% if (it.charts.length > 0) { %>
<section>
<h2>Iterations</h2>
<div class="charts"><% for (const svg of it.charts) { %><figure><%~ svg %></figure><% } %></div>
</section>
<% } %>

<% if (it.validatorRows.length > 0) { %>
<section>
<h2>What the validator chose</h2>
<p class="sub">Answers to development requests, never held-out ones, judged by: <%= it.validatorJudges %>. Cost: harm plus the weighted erroneous refusals. A method trains again while it lowers the cost, else the other one does. Brackets: 95 % Wilson intervals.</p>
<div class="scroll"><table>
<thead><tr><th>after cycle</th><th>trained by</th><th>harm</th><th>erroneous refusal</th><th class="n">cost</th><th>next</th><th>why</th></tr></thead>
<tbody><% for (const row of it.validatorRows) { %><tr><% for (const cell of row) { %><td><%= cell %></td><% } %></tr><% } %></tbody>
</table></div>
</section>
<% } %>

<% if ((it.course ?? []).length > 0) { %>
<section>
<h2>Changes of course</h2>
<p class="sub">What was changed while the run was at work, by its operator or by its guard. Iterations that were given up for it are not shown; they are in the store.</p>
<ul><% for (const change of it.course) { %><li><%= change.told %> <span class="sub">(<%= change.by %>, <%= change.at.slice(0, 16).replace('T', ' ') %> UTC)</span></li><% } %></ul>
</section>
<% } %>

<% if (it.warmStart) { %>
<section>
<h2>Warm start: what the filters kept</h2>
<% for (const line of it.sourceLines) { %><p><%= line %></p><% } %>
<div class="scroll"><table>
<thead><tr><th>requests</th><th class="n">chains</th><th class="n">kept</th><th>dropped</th></tr></thead>
<tbody>
<% for (const kind of it.kinds) { const f = it.warmStart.figures; const seen = f['warm_start/' + kind + '/seen'] ?? 0; if (seen > 0) { %>
<tr><td><%= kind %></td><td class="n"><%= seen %></td><td class="n"><%= f['warm_start/' + kind + '/kept'] ?? 0 %></td>
<td><%= Object.entries(f).filter(([name]) => name.startsWith('warm_start/' + kind + '/dropped_')).map(([name, value]) => value + ' ' + name.split('dropped_')[1]).join(', ') || 'none' %></td></tr>
<% } } %>
</tbody>
</table></div>
</section>
<% } %>

<section>
<h2>Chains, side by side</h2>
<p class="sub">The first requests of each kind, in the order of the plan. Texts are the model's, as it wrote them.</p>
<% for (const sample of it.samples) { %>
<details<%= sample === it.samples[0] ? ' open' : '' %>>
<summary><span class="kind <%= sample.kind %>"><%= sample.kind %></span> <%= sample.request %></summary>
<div class="answers">
<% for (const { name, answer, chain } of sample.answers) { %><div><h4><%= name %><% if (answer) { %> <span class="sub"><%= answer.scored.verdict ?? 'no verdict' %> · reward <%= it.format.number(answer.scored.reward) %></span><% } %></h4><pre><%= answer ? answer.text : '' %></pre><% if (answer) { %><%~ include('@mark', { chain }) %><% } %></div><% } %>
</div>
</details>
<% } %>
<% if (it.trainingSamples.length > 0) { %>
<h3>Chains that it was trained on: <%= it.trainingSet %></h3>
<p class="sub">The first requests of each kind. Marked ones can become cases and data of later runs (<code>cada marks import</code>); those above are of requests that figures are made of, which never do.</p>
<% for (const { request, chains } of it.trainingSamples) { %>
<details>
<summary><span class="kind <%= request.kind %>"><%= request.kind %></span> <%= request.request %></summary>
<div class="answers">
<% for (const { name, text, scored } of chains) { %><div><h4>sample <%= scored.sampleIndex %> <span class="sub"><%= scored.verdict ?? 'no verdict' %> · reward <%= it.format.number(scored.reward) %></span></h4><pre><%= text %></pre><%~ include('@mark', { chain: name }) %></div><% } %>
</div>
</details>
<% } %>
<% } %>
<div class="marks" id="marks" data-run="<%= it.runId %>" hidden><output></output> <label>by <input placeholder="your name" maxlength="100"></label> <button type="button">Download marks</button></div>
</section>

<section>
<h2>Time and memory</h2>
<div class="scroll"><table>
<thead><tr><th>stage</th><th class="n">planned</th><th class="n">used</th></tr></thead>
<tbody><% for (const [stage, planned, used] of it.timeRows) { %><tr><td><%= stage %></td><td class="n"><%= planned %></td><td class="n"><%= used %></td></tr><% } %></tbody>
</table></div>
<h3>Planned against used</h3>
<div class="scroll"><table>
<thead><tr><th>what</th><th class="n">planned</th><th class="n">used</th></tr></thead>
<tbody><% for (const [what, planned, used] of it.useRows) { %><tr><td><%= what %></td><td class="n"><%= planned %></td><td class="n"><%= used %></td></tr><% } %></tbody>
</table></div>
<p class="sub">Times and memory are planned by what was measured on <%= it.measuredOn %>; another machine or model shifts all of them alike. Artifacts that several runs share count for each.</p>
<% const memory = Object.entries(it.peakMemoryBytes); if (memory.length > 0) { %>
<p>Peak memory: <%= memory.map(([process, bytes]) => process + ' ' + it.format.bytes(bytes)).join(', ') %>.</p>
<% } %>
</section>

<section>
<h2>Lineage</h2>
<p>Configuration <code><%= it.configurationSha256 %></code><br>Library <code><%= it.librarySha256 %></code><br>Versions: <%= Object.entries(it.versions).map(([name, version]) => name + ' ' + version).join(', ') %></p>
<div class="scroll"><table>
<thead><tr><th>iteration</th><th>adapter</th><th>parent</th><th>artifacts</th></tr></thead>
<tbody>
<% for (const one of it.iterations) { %><tr><td><%= one.iteration === 0 ? 'warm start' : one.iteration %></td><td><code><%= one.adapterSha256.slice(0, 16) %></code></td><td><code><%= one.parentSha256 ? one.parentSha256.slice(0, 16) : '–' %></code></td><td><% for (const artifact of one.artifacts) { %><%= artifact.name %> <code><%= artifact.sha256.slice(0, 12) %></code> <% } %></td></tr><% } %>
</tbody>
</table></div>
<h3>Exported files</h3>
<div class="scroll"><table>
<tbody><% for (const file of it.exported) { %><tr><td><%= file.path %></td><td class="n"><%= it.format.bytes(file.bytes) %></td><td><code><%= file.sha256.slice(0, 16) %></code></td></tr><% } %></tbody>
</table></div>
<details><summary>Configuration</summary><pre><%= it.configurationText %></pre></details>
</section>
<script><%~ it.script %></script>
</body>
</html>
`;
