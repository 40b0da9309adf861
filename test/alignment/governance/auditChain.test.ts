import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  entryDigest,
  nextEntry,
  verifyChain,
  type AuditEntry,
  type AuditHead,
} from '../../../alignment/governance/auditChain.ts';

const at = '2026-11-29T12:00:00.000Z';

/** A chain of so many entries, with its head. */
function chainOf(length: number): { entries: AuditEntry[]; head: AuditHead } {
  const entries: AuditEntry[] = [];
  let head: AuditHead | undefined;
  for (let number = 1; number <= length; number++) {
    const entry = nextEntry('r', head, { who: 'ann', what: `step ${number}` }, { at, event: `e${number}` });
    entries.push(entry);
    head = { number, sha256: entryDigest(entry) };
  }
  return { entries, head: head! };
}

const numbered = (entries: (AuditEntry | undefined)[]) => entries.map((entry, index) => ({ number: index + 1, entry }));

test('an entry carries the SHA-256 of the canonical bytes of the one before it', () => {
  const { entries } = chainOf(2);
  const canonical =
    '{"at":"2026-11-29T12:00:00.000Z","details":{},"event":"e1","number":1,"previous":null,"runId":"r","what":"step 1","who":"ann"}';
  expect(entries[0]!.previous).toBeNull();
  expect(entries[1]!.previous).toBe(createHash('sha256').update(canonical).digest('hex'));
});

test('a whole chain has no broken link, also with a head that is one behind, and with none for a first entry', () => {
  const { entries, head } = chainOf(3);
  expect(verifyChain('r', numbered(entries), head)).toBeUndefined();
  expect(verifyChain('r', numbered(entries), { number: 2, sha256: entryDigest(entries[1]!) })).toBeUndefined();
  expect(verifyChain('r', numbered(entries.slice(0, 1)), undefined)).toBeUndefined();
  expect(verifyChain('r', [], undefined)).toBeUndefined();
});

test('what was altered, removed, inserted or taken from another run is told by the first broken entry', () => {
  const { entries, head } = chainOf(4);
  const [first, second, third, fourth] = entries as [AuditEntry, AuditEntry, AuditEntry, AuditEntry];
  const forged = { ...second, who: 'bob' };
  const broken = (list: { number: number; entry: AuditEntry | undefined }[], to: AuditHead | undefined = head) =>
    verifyChain('r', list, to)?.number;

  expect(broken(numbered([first, forged, third, fourth]))).toBe(2);
  expect(broken(numbered([first, second, third, { ...fourth, why: 'none' }]))).toBe(4);
  expect(broken(numbered([first, undefined, third, fourth]))).toBe(2);
  expect(broken(numbered(entries).filter(({ number }) => number !== 3))).toBe(3);
  expect(broken(numbered(entries.slice(0, 3)))).toBe(4);
  expect(broken([])).toBe(1);
  // Moved up to make room, not chained anew.
  const inserted = { ...third, what: 'inserted' };
  expect(broken(numbered([first, second, inserted, { ...third, number: 4 }, { ...fourth, number: 5 }]))).toBe(3);
  expect(broken(numbered([first, second, inserted, third, fourth]))).toBe(4);
  expect(broken(numbered(entries), { number: 4, sha256: '0'.repeat(64) })).toBe(4);
  expect(verifyChain('other', numbered(entries), head)?.number).toBe(1);
  expect(verifyChain('r', numbered(entries), undefined)).toMatchObject({ number: 4, fault: /head/ });
});

test('a chain that was written anew from the middle is whole by itself, but not by a head that was noted elsewhere', () => {
  const { entries, head } = chainOf(3);
  const second = { ...entries[1]!, who: 'bob' };
  const third = { ...entries[2]!, previous: entryDigest(second) };
  const anew = { number: 3, sha256: entryDigest(third) };
  expect(verifyChain('r', numbered([entries[0], second, third]), anew)).toBeUndefined();
  expect(verifyChain('r', numbered([entries[0], second, third]), head)?.number).toBe(3);
});
