import type { EngineSettings, OnProgress } from '../policy.ts';
import { EngineError } from '../policy.ts';
import { loadTokenizer } from '../tokenizer/tokenizer.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { searchSuffix } from './searchSuffix.ts';
import { SuffixModel } from './suffixModel.ts';
import { suffixPrompt } from './suffixPrompt.ts';
import type { SuffixSearchRequest, SuffixSearchResult } from './suffixRequest.ts';

interface OpenModel {
  key: string;
  model: SuffixModel;
  tokenizer: Tokenizer;
}

/** The verb `searchSuffix`. The compiled graph of one policy is kept for the next call. */
export class SuffixSearcher {
  private readonly settings: EngineSettings;
  private current: OpenModel | undefined;

  constructor(settings: EngineSettings) {
    this.settings = settings;
  }

  /** @throws EngineError('invalidInput') for a chat without a place for the suffix, or a target without tokens. */
  async search(request: SuffixSearchRequest, onProgress?: OnProgress): Promise<SuffixSearchResult> {
    const { messages, mark, target, settings, until, state } = request;
    const { model, tokenizer } = await this.open(request, onProgress);
    const prompt = suffixPrompt(tokenizer, messages, mark, settings.length);
    const completionTokens = tokenizer.encode(target, { allowSpecial: false });
    if (completionTokens.length === 0) throw new EngineError('invalidInput', 'the target of a suffix is empty');
    const textWith = (suffix: readonly number[]) => ({
      promptTokens: [...prompt.before, ...suffix, ...prompt.behind],
      completionTokens,
    });
    const before = model.tokens;
    let done = state?.step ?? 0;
    const tell = (): void => onProgress?.({ phase: 'gradient', done, total: until, tokens: model.tokens - before });
    const reached = await searchSuffix(
      {
        losses: (suffixes) => model.losses(suffixes.map(textWith), tell),
        gradient: (suffix) => model.oneHotGradient(textWith(suffix), prompt.before.length, suffix.length),
      },
      prompt,
      settings,
      until,
      state,
      ({ step }) => {
        done = step;
        tell();
      },
    );
    return { state: reached, text: prompt.textOf(reached.best), tokens: model.tokens - before };
  }

  async release(): Promise<void> {
    const released = this.current;
    this.current = undefined;
    await released?.model.release();
  }

  private async open({ policy, template }: SuffixSearchRequest, onProgress?: OnProgress): Promise<OpenModel> {
    const key = `${policy.modelDigest} ${policy.adapterPath ?? 'base'} ${JSON.stringify(template ?? null)}`;
    if (this.current?.key === key) return this.current;
    await this.release();
    onProgress?.({ phase: 'load', done: 0, total: 1, tokens: 0 });
    const tokenizer = await loadTokenizer(policy.modelPath, template);
    const model = await SuffixModel.open(policy, this.settings);
    onProgress?.({ phase: 'load', done: 1, total: 1, tokens: 0 });
    this.current = { key, model, tokenizer };
    return this.current;
  }
}
