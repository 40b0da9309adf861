/** The tokenizer of a policy as the chain format needs it: with the reasoning turn of the model's chat template, where there is one. */
import { openedReasoning, reasoningTags, type ReasoningTurn } from '../alignment/chains/reasoningTurn.ts';
import { EngineError, type PolicyWeights } from '../engine/policy.ts';
import { loadTokenizer, type Tokenizer } from '../engine/tokenizer/tokenizer.ts';

export interface ChatTokenizer extends Tokenizer {
  /** What the template's generation prompt opens of the model's turn ("<think>\n"): the beginning of every chain's text, but in its prompt. */
  opened: string;
}

/**
 * @param reasoning absent = the template as it is, without further variables
 * @throws EngineError 'invalidInput' where the template does not do as it is told: can't switch thinking off, or closes the turn that is to be written.
 */
export async function loadChatTokenizer(modelPath: string, reasoning?: ReasoningTurn): Promise<ChatTokenizer> {
  if (!reasoning) return { ...(await loadTokenizer(modelPath)), opened: '' };
  const { thinking } = reasoning;
  const load = (enabled: boolean | undefined) =>
    loadTokenizer(modelPath, {
      keptTags: reasoningTags,
      ...(enabled === undefined ? {} : { templateVariables: { enable_thinking: enabled } }),
    });
  const tokenizer = await load(thinking);
  const prompt = generationPrompt(tokenizer);
  if (thinking === false && prompt === generationPrompt(await load(true))) {
    throw new EngineError(
      'invalidInput',
      `${modelPath}: chain.thinking is false, but the model's chat template does not read enable_thinking. Leave chain.thinking out, or use a model whose template does.`,
    );
  }
  if (thinking !== false && prompt.includes(reasoningTags[1])) {
    throw new EngineError(
      'invalidInput',
      `${modelPath}: the model's chat template closes the reasoning turn before a chain begins. ${thinking ? 'Use a model that reasons, or set chain.thinking to false.' : 'Set chain.thinking to true.'}`,
    );
  }
  return { ...tokenizer, opened: openedReasoning(prompt) };
}

const kept = new Map<string, Promise<ChatTokenizer>>();
const mostKept = 4;

/** `loadChatTokenizer` for a model of a run, whose digest is known; the newest few stay in memory, because every shard needs one and building it takes a tenth of a second. */
export function keptChatTokenizer(model: PolicyWeights, reasoning?: ReasoningTurn): Promise<ChatTokenizer> {
  const key = `${model.modelDigest} ${JSON.stringify(reasoning ?? null)}`;
  const known = kept.get(key);
  if (known) return known;
  const tokenizer = loadChatTokenizer(model.modelPath, reasoning);
  kept.set(key, tokenizer);
  if (kept.size > mostKept) kept.delete(kept.keys().next().value!);
  tokenizer.catch(() => kept.delete(key));
  return tokenizer;
}

/** What the template adds for the model to go on from. */
function generationPrompt(tokenizer: Tokenizer): string {
  const chat = [{ role: 'user', content: 'a' }];
  const [asked, open] = [false, true].map(
    (addGenerationPrompt) => tokenizer.encodeChat(chat, { addGenerationPrompt }).tokens,
  );
  return tokenizer.decode(open!.slice(asked!.length), { skipSpecial: false });
}
