/**
 * The only script of the report: it collects a reviewer's marks in the page and offers them as a file for `cada marks import`. The page's content security
 * policy names its digest, so that nothing else runs; without scripts the controls stay hidden.
 */
import { createHash } from 'node:crypto';

export const markScript = `
(() => {
  const bar = document.getElementById('marks');
  const by = bar.querySelector('input');
  const save = bar.querySelector('button');
  const marks = new Map();
  const show = () => {
    bar.querySelector('output').textContent = marks.size + (marks.size === 1 ? ' chain marked' : ' chains marked');
    save.disabled = marks.size === 0 || by.value.trim() === '';
  };
  for (const place of document.querySelectorAll('[data-chain]')) {
    const choice = place.querySelector('select');
    const note = place.querySelector('input');
    const keep = () => {
      const said = { as: choice.value, at: new Date().toISOString(), note: note.value.trim() };
      if (choice.value === '') marks.delete(place.dataset.chain);
      else marks.set(place.dataset.chain, said);
      note.hidden = choice.value === '';
      show();
    };
    choice.addEventListener('change', keep);
    note.addEventListener('input', keep);
    place.hidden = false;
  }
  by.addEventListener('input', show);
  save.addEventListener('click', () => {
    const lines = [...marks].map(([chain, { as, at, note }]) => {
      const line = { run: bar.dataset.run, chain, as, by: by.value.trim(), at, ...(note === '' ? {} : { note }) };
      return JSON.stringify(line) + '\\n';
    });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob(lines, { type: 'application/x-ndjson' }));
    link.download = 'marks-' + bar.dataset.run + '.jsonl';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
  show();
  bar.hidden = false;
})();
`;

/** What the content security policy must name for it. */
export const markScriptSource = `'sha256-${createHash('sha256').update(markScript).digest('base64')}'`;
