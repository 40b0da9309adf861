/** An adapter that is no longer fresh: numbers in place of the zeros of every lora_B. */
import { readSafetensors, writeSafetensors } from '../../engine/formats/safetensors.ts';

export async function fillB(path: string): Promise<void> {
  const file = await readSafetensors(path);
  const tensors = [];
  for (const [name, { shape }] of file.tensors) {
    const values = await file.readFloat32(name);
    const data = name.includes('lora_B') ? values.map((_, i) => Math.sin(i) / 4) : values;
    tensors.push({ name, shape: [...shape], data });
  }
  await file.close();
  await writeSafetensors(path, tensors, { format: 'pt' });
}
