/** Shows drafts one by one, and takes down what the reviewer says. */
import { createInterface } from 'node:readline/promises';
import { reviewed, stateOf, type CaseDraft, type CaseDraftFile } from '../../alignment/cases/drafts/caseDrafts.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { indent } from '../terminal.ts';

export interface Reviewing {
  input: NodeJS.ReadableStream;
  output: NodeJS.WritableStream;
  signal: AbortSignal;
  by: string | undefined;
  now: () => string;
  /** Called after each decision: an interrupted review goes on where it was. */
  save: (file: CaseDraftFile) => Promise<void>;
}

const question = '[a]pprove, [r]eject, [s]kip, [q]uit? ';
const decisions: Record<string, 'approved' | 'rejected' | 'skip' | 'quit'> = {
  ...{ a: 'approved', approve: 'approved', r: 'rejected', reject: 'rejected' },
  ...{ s: 'skip', skip: 'skip', '': 'skip', q: 'quit', quit: 'quit' },
};

/** Asks for every draft without a decision that holds; ends with the last one, with `q`, or with the input. */
export async function reviewOneByOne(file: CaseDraftFile, reviewing: Reviewing): Promise<CaseDraftFile> {
  const { input, output, signal, by, now, save } = reviewing;
  const lines = createInterface({ input, output, terminal: false });
  // Lines that come before they are asked for must not be lost.
  const answers = lines[Symbol.asyncIterator]();
  let current = file;
  try {
    const waiting = file.drafts.filter((draft) => ['open', 'changed'].includes(stateOf(draft)));
    for (const [index, draft] of waiting.entries()) {
      output.write(`${shown(draft, index + 1, waiting.length)}\n`);
      let decision: (typeof decisions)[string] | undefined;
      while (decision === undefined) {
        signal.throwIfAborted();
        output.write(question);
        const answer = await answers.next();
        decision = answer.done ? 'quit' : decisions[answer.value.trim().toLowerCase()];
      }
      if (decision === 'quit') break;
      if (decision === 'skip') continue;
      const said = decision;
      const drafts = current.drafts.map((one) => (one.id === draft.id ? reviewed(one, said, now(), by) : one));
      current = { ...current, drafts };
      await save(current);
    }
    return current;
  } finally {
    lines.close();
  }
}

/** A draft as it is read by the reviewer. */
export function shown(draft: CaseDraft, number: number, of: number): string {
  const { id, category, kind, request, analysis, verdict, response, pair } = draft;
  const named = pair === undefined ? '' : `, pair ${pair}`;
  const state = stateOf(draft) === 'changed' ? ', changed after its review' : '';
  return escapeForTerminal(
    [
      `\nDraft ${number} of ${of}: ${id} (${category}, ${kind}${named}${state})`,
      'Request:',
      indent(request),
      `Analysis, then: ${verdict}`,
      indent(analysis),
      'Answer:',
      indent(response),
    ].join('\n'),
  );
}
