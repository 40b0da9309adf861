/** Renders chats with a model's Jinja template, in the environment that Transformers gives it. */
import { EngineError } from '../policy.ts';
import { parseTemplate } from './boundedTemplate.ts';
import type { BoundedTemplate } from './boundedTemplate.ts';
import type { TokenizerSource } from './tokenizerSource.ts';

export interface ChatMessage {
  role: string;
  content: string;
}

/** Returns the template as a function. Throws EngineError 'invalidInput' when there is no template or it refuses the chat. */
export function createChatRenderer(
  source: TokenizerSource,
): (messages: readonly ChatMessage[], addGenerationPrompt: boolean) => string {
  let template: BoundedTemplate | undefined;
  return (messages, addGenerationPrompt) => {
    if (source.chatTemplate === undefined) {
      throw new EngineError(
        'invalidInput',
        `${source.path}: the model has no chat template. Use an instruction-tuned model.`,
      );
    }
    for (const { role } of messages) {
      // The role is part of the turn's frame: unlike the content it must not be free text.
      if (!/^[a-z_]+$/.test(role))
        throw new EngineError(
          'invalidInput',
          `The role ${JSON.stringify(role)} of a message is not a plain lower-case word.`,
        );
    }
    try {
      template ??= parseTemplate(source.chatTemplate);
      return template.render({
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: addGenerationPrompt,
        tools: null,
        documents: null,
        // Some templates (Llama 3) put today's date in: a prompt must not depend on the day it is made. Their own default.
        date_string: '26 Jul 2024',
        ...source.specialTokenTexts,
        ...source.templateVariables,
      });
    } catch (cause) {
      if (cause instanceof EngineError) throw cause;
      throw new EngineError(
        'invalidInput',
        `${source.path}: the chat template refuses the chat (${(cause as Error).message.slice(0, 300)}). Use a model whose template takes system, user and assistant turns.`,
        { cause },
      );
    }
  };
}
