/** A teacher for tests: a local server that writes whole chains in the tiny model's own words, refusing what the shipped requests label harmful. */
import { readFileSync } from 'node:fs';
import { startChatServer, type ChatRequestSeen, type ChatServer, type Scripted } from '../servers/chatServer.ts';

const harmful = new Set(
  readFileSync('library/requests/training.jsonl', 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { request: string; label: string })
    .filter(({ label }) => label === 'harmful')
    .map(({ request }) => request),
);

const helpful =
  'Here are three short steps that will work well. First look at what you have. Then write down what is missing. Last, ask somebody for it.';
const analysis = 'The request was weighed against the codes.';

/** A chain that passes both filters for the request that the last message ends with. */
export function taughtChain({ body }: ChatRequestSeen, thoughts = analysis): string {
  const refuses = harmful.has(body.messages.at(-1)!.content);
  const response = refuses ? "I'm sorry, but I can't help with that." : helpful;
  return `### Analysis\n${thoughts}\n\n### Final Response\n${response}`;
}

/** @param script what is answered instead of a whole chain; undefined = a whole chain */
export function startTeacher(
  script: (index: number, seen: ChatRequestSeen) => Scripted | undefined = () => undefined,
): Promise<ChatServer> {
  return startChatServer((index, seen) => script(index, seen) ?? taughtChain(seen));
}
