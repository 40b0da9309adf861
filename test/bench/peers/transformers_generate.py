"""Peer: sampling with Hugging Face Transformers, float32 on the CPU. Arguments: model folder, threads.

Request: {"batch", "prompt", "new"}: that many random prompts of `prompt` tokens, `new` tokens each, temperature 1, no early end.
Answer: {"seconds", "tokens"}.
"""

import sys
import time

import torch
from peer import serve
from transformers import AutoModelForCausalLM

torch.set_num_threads(int(sys.argv[2]))
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()


def measure(request):
    batch, new = request["batch"], request["new"]
    ids = torch.randint(20, model.config.vocab_size - 200, (batch, request["prompt"]))
    start = time.perf_counter()
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        min_new_tokens=new,
        max_new_tokens=new,
        pad_token_id=0,
    )
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "tokens": batch * (output.shape[1] - request["prompt"])}


serve(measure)
