/** The report's style sheet: light and dark paper, print. */
export const reportStyle = `
:root { color-scheme: light dark; --ink: #1c2328; --soft: #5c6870; --paper: #fff; --panel: #f5f7f8; --line: #dfe4e7; --good: #00734d; --bad: #b03a00; --link: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ec; --soft: #97a3aa; --paper: #14191c; --panel: #1d2428; --line: #323c42; --good: #4cc69b; --bad: #f08c5a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1100px; padding: 24px 20px 64px; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
h1 { font-size: 26px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 40px 0 10px; }
h3 { font-size: 15px; margin: 22px 0 8px; }
h4 { font-size: 13px; margin: 0 0 4px; }
.sub { color: var(--soft); margin: 2px 0; font-size: 13.5px; font-weight: 400; }
code, pre { font: 12.5px/1.45 ui-monospace, monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--panel); border-radius: 6px; padding: 10px; margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; min-width: 50%; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; font-variant-numeric: tabular-nums; }
th { font-size: 12.5px; color: var(--soft); font-weight: 600; }
td.n, th.n { text-align: right; }
.headlines { list-style: none; padding: 0; margin: 0; }
.headlines li { display: flex; gap: 12px; padding: 6px 0; border-bottom: 1px solid var(--line); align-items: baseline; }
.mark { flex: 0 0 74px; font-size: 12px; font-weight: 700; text-transform: uppercase; letter-spacing: .03em; }
.met .mark { color: var(--good); }
.missed .mark { color: var(--bad); }
.plain .mark { color: var(--soft); }
em { color: var(--soft); font-style: normal; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 14px; }
figure { margin: 0; background: var(--panel); border-radius: 8px; padding: 4px; }
figure svg { width: 100%; height: auto; display: block; }
details { border-bottom: 1px solid var(--line); padding: 8px 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
.kind { font-size: 11px; font-weight: 700; border-radius: 4px; padding: 1px 6px; background: var(--panel); border: 1px solid var(--line); }
.kind.harmful { color: var(--bad); }
.kind.plain, .kind.look-alike { color: var(--good); }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 12px; margin-top: 10px; }
.marking { margin-top: 6px; font-size: 12.5px; display: flex; gap: 8px; align-items: center; flex-wrap: wrap; }
.marking[hidden], .marks[hidden] { display: none; }
.marking code { color: var(--soft); overflow-wrap: anywhere; }
.marks { position: sticky; bottom: 0; display: flex; gap: 16px; align-items: center; flex-wrap: wrap; padding: 10px 12px; margin-top: 16px; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; font-size: 13.5px; }
select, input, button { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: 4px; padding: 2px 6px; }
button:disabled { color: var(--soft); }
@media print { details { break-inside: avoid; } .marking, .marks { display: none; } }
`;
