import canonicalize from 'canonicalize';

/**
 * Canonical JSON (RFC 8785): the same value always gives the same text, whatever the order of its keys.
 * Properties that are `undefined` are left out, unless `strict`, which refuses them.
 *
 * @throws TypeError naming the path of anything that JSON can't carry: NaN and infinities, functions, symbols, bigints,
 *   `undefined` in an array, Map, Date, typed arrays and other class instances.
 */
export function canonicalJson(value: unknown, { strict = false } = {}): string {
  assertPlain(value, '$', strict, []);
  return canonicalize(value) as string;
}

function assertPlain(value: unknown, path: string, strict: boolean, ancestors: readonly object[]): void {
  const refuse = (what: string) => {
    throw new TypeError(`${path} is ${what}, which has no JSON form. Leave it out or turn it into a plain value.`);
  };
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : refuse(String(value));
  if (typeof value !== 'object') return refuse(value === undefined ? 'undefined' : `a ${typeof value}`);
  if (ancestors.includes(value)) return refuse('a circular reference');
  const within = [...ancestors, value];
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) assertPlain(value[i], `${path}[${i}]`, strict, within);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  // The second test lets plain objects of another realm pass (test runners and sandboxes have their own Object).
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    return refuse(`a ${value.constructor?.name ?? 'class instance'}`);
  }
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined && !strict) continue;
    assertPlain(item, `${path}.${key}`, strict, within);
  }
}
