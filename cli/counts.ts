/** Whole numbers of the command line. */
import { InvalidArgumentError } from 'commander';

/** @throws InvalidArgumentError for anything but a whole number above 0. */
export function countOf(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Write a whole number above 0.');
  return Number(text);
}
