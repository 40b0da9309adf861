/**
 * The first key that an object of a JSON text has twice, at any depth; undefined if there is none. `JSON.parse` keeps the last one silently,
 * so two readers of one file could see different tensors. The text must be valid JSON (parse it first).
 */
export function findDuplicateKey(json: string): string | undefined {
  const seen: (Set<string> | undefined)[] = []; // one a nesting level; undefined inside an array
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === '{') seen.push(new Set());
    else if (character === '[') seen.push(undefined);
    else if (character === '}' || character === ']') seen.pop();
    else if (character === '"') {
      const start = i;
      for (i++; json[i] !== '"'; i++) if (json[i] === '\\') i++;
      const keys = seen.at(-1);
      let next = i + 1;
      while (/\s/.test(json[next] ?? '')) next++;
      if (!keys || json[next] !== ':') continue;
      const key = JSON.parse(json.slice(start, i + 1)) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}
