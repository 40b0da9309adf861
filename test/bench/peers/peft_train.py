"""Peer: LoRA forward and backward pass with PEFT, float32 on the CPU. Arguments: model folder, threads.

Rank 16 on all linear layers, base frozen, next-token loss at every position. Request: {"rows", "length"}. Answer: {"seconds", "peakMemoryBytes"}.
"""

import sys
import time

import torch
from peer import peak_memory_bytes, serve
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

torch.set_num_threads(int(sys.argv[2]))
torch.manual_seed(0)
base = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
model = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
model.train()


def measure(request):
    ids = torch.randint(20, base.config.vocab_size - 200, (request["rows"], request["length"]))
    start = time.perf_counter()
    model(input_ids=ids, labels=ids).loss.backward()
    seconds = time.perf_counter() - start
    model.zero_grad()
    return {"seconds": seconds, "peakMemoryBytes": peak_memory_bytes()}


serve(measure)
