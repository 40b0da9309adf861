/** A peer as a process of its own that answers one JSON request a line, so that its measurements can take turns with ours. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const errorTailCharacters = 3000;

export class PeerProcess {
  private readonly name: string;
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly answers: AsyncIterator<string>;
  private readonly ended: Promise<void>;
  private errorTail = '';

  private constructor(name: string, command: string, args: readonly string[]) {
    this.name = name;
    this.child = spawn(command, args, {
      env: { ...process.env, HF_HUB_OFFLINE: '1', TOKENIZERS_PARALLELISM: 'false', PYTHONDONTWRITEBYTECODE: '1' },
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errorTail = (this.errorTail + text).slice(-errorTailCharacters);
    });
    // A peer that has ended is noticed when its answer is missing.
    this.child.stdin.on('error', () => undefined);
    this.child.on('error', (error) => (this.errorTail += error.message));
    this.ended = new Promise((resolve) => this.child.once('close', () => resolve()));
    this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** Starts the peer; resolves when it has loaded its model. Throws with its last output if it ends before. */
  static async start(name: string, command: string, args: readonly string[]): Promise<PeerProcess> {
    const peer = new PeerProcess(name, command, args);
    await peer.read();
    return peer;
  }

  async ask<Answer>(request: object): Promise<Answer> {
    this.tell(request);
    return (await this.read()) as Answer;
  }

  /** A request without an answer. */
  tell(request: object): void {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
  }

  async close(): Promise<void> {
    this.child.stdin.end();
    const slow = setTimeout(() => this.child.kill('SIGKILL'), 3000);
    await this.ended;
    clearTimeout(slow);
  }

  private async read(): Promise<unknown> {
    const { value, done } = await this.answers.next();
    if (!done) return JSON.parse(value);
    await this.ended;
    throw new Error(`the peer ${this.name} ended early. It said:\n${this.errorTail.trim()}`);
  }
}
