"""Peer: whole GRPO steps with TRL, float32 on the CPU. Arguments: model folder, threads, steps at most.

First request: {"requests": [texts], "samples", "new"}: 4 requests x 8 samples of exactly `new` tokens, LoRA rank 16 on all linear layers, no KL term.
Then a step for every request {}. Answers: {"seconds", "generationSeconds", "peakMemoryBytes"} of one step; reward and clock are the bench's own.
"""

import sys
import tempfile
import time

import torch
from datasets import Dataset
from peer import answer, next_request, peak_memory_bytes
from peft import LoraConfig
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

torch.set_num_threads(int(sys.argv[2]))
answer({"ready": True})
work = next_request()
if work is None:
    sys.exit()
clock = {"generation": 0.0, "begin": 0.0}


def reward(completions, **_):
    """Differs within a group, so that every chain has an advantage."""
    return [float(len(completion[0]["content"]) % 7) for completion in completions]


class Clock(TrainerCallback):
    def on_step_begin(self, args, state, control, **_):
        if next_request() is None:
            sys.exit()
        clock["generation"] = 0.0
        clock["begin"] = time.perf_counter()

    def on_step_end(self, args, state, control, **_):
        seconds = time.perf_counter() - clock["begin"]
        answer({"seconds": seconds, "generationSeconds": clock["generation"], "peakMemoryBytes": peak_memory_bytes()})


chains = len(work["requests"]) * work["samples"]
trainer = GRPOTrainer(
    model=sys.argv[1],
    reward_funcs=reward,
    args=GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        use_cpu=True,
        bf16=False,
        fp16=False,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=chains // 8,
        num_generations=work["samples"],
        max_completion_length=work["new"],
        generation_kwargs={"min_new_tokens": work["new"]},
        max_steps=int(sys.argv[3]),
        learning_rate=1e-5,
        temperature=1.0,
        beta=0.0,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    ),
    train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": text}]} for text in work["requests"]]),
    callbacks=[Clock()],
    peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
)
generate = trainer._generate_and_score_completions


def timed(*args, **kwargs):
    start = time.perf_counter()
    result = generate(*args, **kwargs)
    clock["generation"] += time.perf_counter() - start
    return result


trainer._generate_and_score_completions = timed
trainer.train()
