/** A fault in the library's files: where it is, what is wrong, what to do. Nothing is retried for it. */
export class LibraryError extends Error {
  readonly file: string;
  /** From 1 on; absent when the fault is not of one line. */
  readonly line: number | undefined;

  constructor(place: { file: string; line?: number }, problem: string, remedy: string) {
    super(`library/${place.file}${place.line === undefined ? '' : `:${place.line}`}: ${problem}. ${remedy}`);
    this.name = 'LibraryError';
    this.file = place.file;
    this.line = place.line;
  }
}
