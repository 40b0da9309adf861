import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { requestSplits } from '../../alignment/library/library.ts';
import { isNearDuplicate } from '../../alignment/library/nearDuplicates.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import {
  countBy,
  countWords,
  libraryFolder,
  readCode,
  readFiles,
  readLines,
  readText,
  shippedLibraries,
} from './readLibrary.ts';
import type { CaseLine, RequestLine } from './readLibrary.ts';

const refusalOpening = "I'm sorry, but I can't help with that. ";

describe.each(shippedLibraries)('the $name library', (shipped) => {
  const { folder, hazards, support } = shipped;
  const cases = readLines<CaseLine>(folder + 'cases/cases.jsonl');
  const splits = {
    training: readLines<RequestLine>(folder + 'requests/training.jsonl'),
    development: readLines<RequestLine>(folder + 'requests/development.jsonl'),
    heldOut: readLines<RequestLine>(folder + 'requests/heldOut.jsonl'),
  };
  const requests = Object.values(splits).flat();

  describe('codes', () => {
    it('has simple codes that are numbered from 1 and fit in 120 tokens', () => {
      const { attributes, text } = readCode(folder + 'codes/simple.md');
      expect(attributes).toMatchObject({ id: 'simple-codes', version: 1 });
      const numbers = [...text.matchAll(/^(\d+)\. /gm)].map((match) => Number(match[1]));
      expect(numbers).toEqual([1, 2, 3, 4, 5]);
      // A token of SmolLM2 is about 0.8 of a word in such text.
      expect(countWords(text) / 0.8).toBeLessThanOrEqual(120);
    });

    it('has an instruction that names both headings by their placeholders', () => {
      const { text } = readCode(folder + 'codes/instruction.md');
      expect(text.indexOf('{{analysisHeading}}')).toBeGreaterThan(0);
      expect(text.indexOf('{{responseHeading}}')).toBeGreaterThan(text.indexOf('{{analysisHeading}}'));
      expect(text).not.toContain('###');
    });

    it('has four tiers for every request', () => {
      const { attributes, text } = readCode(folder + 'codes/detailed/tiers.md');
      expect(attributes).not.toHaveProperty('category');
      expect([...text.matchAll(/^# (.+)$/gm)].map((match) => match[1])).toEqual([
        'Objectives',
        'Rules',
        'Defaults',
        'Style',
      ]);
    });

    it.each(hazards)('has a detailed code for %s with definition, sub-hazards, allowed and not allowed', (category) => {
      const { attributes, text } = readCode(`${folder}codes/detailed/${category}.md`);
      expect(attributes).toMatchObject({ id: `detailed-${category}`, version: 1, category });
      const sections = [...text.matchAll(/^## (.+)$/gm)].map((match) => match[1]);
      expect(sections).toEqual(['Example sub-hazards', 'Allowed', 'Not allowed', 'Note']);
      for (const allowed of ['classification', 'transformation', 'education', 'history']) {
        expect(text).toContain(`(${allowed})`);
      }
    });

    it('has no detailed code of an unknown category', () => {
      const files = readdirSync(`${libraryFolder}${folder}codes/detailed`).sort();
      expect(files).toEqual([...hazards, 'tiers'].map((name) => `${name}.md`).sort());
    });
  });

  describe('cases', () => {
    it('has two contrast pairs in every category', () => {
      expect(countBy(cases, (one) => one.category)).toEqual(
        Object.fromEntries(hazards.map((category) => [category, 4])),
      );
      for (const pair of new Set(cases.map((one) => one.pair))) {
        const sides = cases.filter((one) => one.pair === pair);
        expect(sides.map((one) => `${one.label}/${one.verdict}`)).toEqual(['harmful/refuse', 'harmless/comply']);
        expect(new Set(sides.map((one) => one.category)).size).toBe(1);
      }
    });

    it('has unique ids and exactly the documented fields', () => {
      expect(new Set(cases.map((one) => one.id)).size).toBe(cases.length);
      for (const one of cases) {
        expect(Object.keys(one)).toEqual([
          'id',
          'category',
          'pair',
          'label',
          'request',
          'analysis',
          'verdict',
          'response',
          'version',
        ]);
      }
    });

    it.each(cases.map((one) => [one.id, one] as const))('%s has an analysis in the pattern, with the code and decision of its verdict', (_id, one) => {
      const match = /^The user asks .+\. This is (harmful|safe) under code (\d): .+, so I will (decline|answer)( and point to .+)?\.$/.exec(
        one.analysis,
      );
      const [, judged, code, decision, pointed] = match ?? [];
      expect({ judged, decision }).toEqual(
        one.verdict === 'refuse' ? { judged: 'harmful', decision: 'decline' } : { judged: 'safe', decision: 'answer' },
      );
      expect(code === '5').toBe(one.verdict === 'comply');
      expect(pointed).toBe(code === '4' ? ` and point to ${support}` : undefined);
    });

    it.each(cases.map((one) => [one.id, one] as const))('%s fits in its token budget', (_id, one) => {
      const chain = `### Analysis\n${one.analysis}\n\n### Final Response\n${one.response}`;
      // Measured with the tokenizer of SmolLM2: at most 1.45 tokens a word in these chains.
      expect(countWords(chain) * 1.45).toBeLessThanOrEqual(90);
      expect(countWords(one.request)).toBeGreaterThanOrEqual(6);
      expect(countWords(one.request)).toBeLessThanOrEqual(25);
    });

    it('opens every refusal, and no answer, with the same sentence', () => {
      for (const one of cases) {
        expect(one.response.startsWith(refusalOpening), one.id).toBe(one.verdict === 'refuse');
      }
    });

    it('gives answers, not announcements of an answer', () => {
      for (const one of cases.filter(({ verdict }) => verdict === 'comply')) {
        expect(one.response, one.id).not.toMatch(/^(sure|of course|certainly|here (is|are)|I (will|can))\b|:$/i);
        expect(countWords(one.response), one.id).toBeGreaterThanOrEqual(12);
      }
    });
  });

  describe('requests', () => {
    it('has unique ids over all splits and the documented fields', () => {
      expect(new Set(requests.map((one) => one.id)).size).toBe(requests.length);
      for (const one of requests) {
        expect(Object.keys(one)).toEqual(['id', 'category', 'label', 'kind', 'request']);
        expect(one.label, one.id).toBe(one.kind === 'harmful' ? 'harmful' : 'harmless');
      }
    });

    it.each(requestSplits)('balances %s over all hazards and as many topics', (split) => {
      for (const [kind, count] of Object.entries(shipped.counts[split])) {
        const counts = countBy(
          splits[split].filter((one) => one.kind === kind),
          (one) => one.category,
        );
        expect(Object.values(counts), kind).toEqual(Array.from({ length: hazards.length }, () => count));
        if (kind !== 'plain') expect(Object.keys(counts)).toEqual(hazards);
        else expect(Object.keys(counts).filter((topic) => hazards.includes(topic))).toEqual([]);
      }
    });

    it('words every request in 6 to 25 words, in plain characters', () => {
      for (const { id, request } of requests) {
        expect(countWords(request), id).toBeGreaterThanOrEqual(6);
        expect(countWords(request), id).toBeLessThanOrEqual(25);
        expect(request, id).toMatch(/^[\x20-\x7e]+[.?!]"?$/);
      }
    });

    it('varies questions, commands and first person among harmful and harmless ones', () => {
      for (const label of ['harmful', 'harmless']) {
        const all = requests.filter((one) => one.label === label);
        const share = (test: (text: string) => boolean) => all.filter((one) => test(one.request)).length / all.length;
        expect(share((text) => text.endsWith('?'))).toBeGreaterThan(0.4);
        expect(share((text) => text.endsWith('.'))).toBeGreaterThan(0.1);
        expect(share((text) => /\b(I|I'm|I'd|my)\b/.test(text))).toBeGreaterThan(0.2);
        expect(share((text) => text.startsWith('How '))).toBeLessThan(0.55);
      }
    });
  });

  describe('the library as the method reads it', () => {
    it('is accepted by its parser', () => {
      const library = parseLibrary(readFiles(shipped));
      expect(library.cases).toHaveLength(4 * hazards.length);
      expect(Object.values(library.requests).map((split) => split.length)).toEqual(
        requestSplits.map((split) => hazards.length * Object.values(shipped.counts[split]).reduce((a, b) => a + b)),
      );
      expect(library.codes.detailed).toHaveLength(hazards.length + 1);
      expect(library.judges.publishedPhrases).toHaveLength(29);
    });

    it('has no case that the sampler would take for a development or held-out request', () => {
      const taken = cases.flatMap((one) =>
        [...splits.development, ...splits.heldOut]
          .filter((request) => isNearDuplicate(one.request, request.request))
          .map((request) => `${one.id} ~ ${request.id}`),
      );
      expect(taken).toEqual([]);
    });

    it('describes every file in its README', () => {
      const readme = readText(shipped.readme);
      for (const name of ['simple.md', 'instruction.md', 'tiers.md', 'cases.jsonl', 'training.jsonl', 'heldOut.jsonl']) {
        expect(readme).toContain(name);
      }
      for (const category of hazards) expect(readme).toContain(category);
    });
  });
});
