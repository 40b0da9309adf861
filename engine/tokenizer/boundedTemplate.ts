/**
 * Renders a Jinja template that nobody has vouched for: a model's chat template is a program. @huggingface/jinja gives it no access to anything, but
 * would let it loop and grow for ever; here steps and sizes are counted, so that the same template is refused at the same place on every machine.
 */
import * as jinja from '@huggingface/jinja';

/** Far above the longest real template, and above what one needs for a chat of hundreds of turns. */
const longestTemplate = 2 ** 20;
/** Rounds of loops among them. Reached well before the tokenizer's second of processor time is over, on a slow machine too. */
const mostSteps = 100_000;
const longestText = 2 ** 25;
const mostElements = 2 ** 15;
/** Of all texts and lists made, so that many of a permitted size do not add up. */
const mostCharacters = 2 ** 28;
const mostElementsMade = 2 ** 19;

export class TemplateTooLarge extends Error {
  override readonly name = 'TemplateTooLarge';
}

export interface BoundedTemplate {
  render(variables: Record<string, unknown>): string;
}

/** @throws Error where it is no Jinja, TemplateTooLarge where it is longer than any template. */
export function parseTemplate(text: string): BoundedTemplate {
  if (text.length > longestTemplate)
    throw new TemplateTooLarge(`it has ${text.length} characters, at most ${longestTemplate} are taken`);
  const program: unknown = jinja.parse(jinja.tokenize(text, { lstrip_blocks: true, trim_blocks: true }));
  return {
    render(variables) {
      const environment = new Environment();
      for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
      return String(new BoundedInterpreter(environment).run(program).value);
    },
  };
}

/** What is used of the library's interpreter, whose own declarations do not resolve for ES modules. */
interface JinjaEnvironment {
  set(name: string, value: unknown): void;
}
interface JinjaInterpreter {
  run(program: unknown): { value: unknown };
  evaluate(statement: unknown, environment: JinjaEnvironment): { value: unknown };
  evaluateBlock(statements: unknown[], environment: JinjaEnvironment): { value: unknown };
}
const Environment = jinja.Environment as unknown as new () => JinjaEnvironment;
const Interpreter = jinja.Interpreter as unknown as new (environment: JinjaEnvironment) => JinjaInterpreter;

class BoundedInterpreter extends Interpreter {
  private steps = 0;
  private characters = 0;
  private elements = 0;

  /** Called for every round of a loop, also of one with nothing in it. */
  override evaluateBlock(statements: unknown[], environment: JinjaEnvironment): { value: unknown } {
    this.countStep();
    return super.evaluateBlock(statements, environment);
  }

  private countStep(): void {
    if (++this.steps > mostSteps) throw new TemplateTooLarge(`it takes more than ${mostSteps} steps`);
  }

  override evaluate(statement: unknown, environment: JinjaEnvironment): { value: unknown } {
    this.countStep();
    const result = super.evaluate(statement, environment);
    const { value } = result;
    if (typeof value === 'string') {
      this.characters += value.length;
      if (value.length > longestText || this.characters > mostCharacters)
        throw new TemplateTooLarge(`it makes texts of more than ${longestText} characters`);
    } else if (Array.isArray(value)) {
      this.elements += value.length;
      if (value.length > mostElements || this.elements > mostElementsMade)
        throw new TemplateTooLarge(`it makes lists of more than ${mostElements} elements`);
    }
    return result;
  }
}

/** What Jinja's environment in Transformers has, under the names that templates use. */
const globals: Record<string, unknown> = {
  ...Object.fromEntries(['true', 'True'].map((name) => [name, true])),
  ...Object.fromEntries(['false', 'False'].map((name) => [name, false])),
  ...Object.fromEntries(['none', 'None'].map((name) => [name, null])),
  raise_exception: (message: string) => {
    throw new Error(message);
  },
  range: boundedRange,
  strftime_now: fixedDate,
};

function boundedRange(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const count = Math.ceil((to - from) / step);
  if (!Number.isFinite(count)) throw new Error('range() needs a step');
  if (count > mostElements) throw new TemplateTooLarge(`range() asks for ${count} numbers`);
  return Array.from({ length: Math.max(count, 0) }, (_, i) => from + i * step);
}

/** A prompt must not depend on the day it is made: the date that templates (Llama 3) fall back to, noon. */
const fixed: Record<string, string> = {
  ...{ d: '26', e: '26', m: '07', y: '24', Y: '2024', j: '208' },
  ...{ a: 'Fri', A: 'Friday', b: 'Jul', B: 'July' },
  ...{ H: '12', I: '12', M: '00', S: '00', p: 'PM' },
  '%': '%',
};

function fixedDate(format: string): string {
  return String(format).replace(/%-?([a-zA-Z%])/g, (whole, code: string) => fixed[code] ?? whole);
}
