/** A model that can't be found, fetched or used; the message says what to do. Trying again without a change is useless. */
export class ModelSourceError extends Error {
  override readonly name = 'ModelSourceError';
}
