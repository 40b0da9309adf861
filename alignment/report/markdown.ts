/** Texts of others (names, reasons, what models and judges wrote) as Markdown that says what they say and does nothing else. */

/** On one line, and nothing of it markup, a link, a table's border or HTML. */
export function escapeMarkdown(text: string): string {
  return (
    visibleText(text)
      .replace(/\s+/g, ' ')
      .trim()
      .replace(/[\\`*_{}[\]<>|~&$!]/g, '\\$&')
      // What GitHub makes links of without any markup.
      .replace(/:\/\/|@|www\./gi, (found) => found.replace(/[/.@]/g, '\\$&'))
      // What counts at the beginning of a line alone.
      .replace(/^(?=[-+]( |$)|#{1,6}( |$)|[-=]+$)/, '\\')
      .replace(/^(\d+)([.)])(?= |$)/, '$1\\$2')
  );
}

/** The same as code within a line; no text can end it early. */
export function inlineCode(text: string): string {
  return `\`${visibleText(text).replace(/\s+/g, ' ').trim().replaceAll('`', "'")}\``;
}

/** Characters that hide, turn or command are shown as their codes. */
export function visibleText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) =>
    character === '\n' || character === '\t'
      ? character
      : `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`,
  );
}
