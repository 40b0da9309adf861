"""The Python side of `npm run test:python`: Transformers and PEFT do what a list of jobs says.

    python peftJobs.py JOBS.json ANSWERS.json

A job that fails has its error in the answers; the others go on. Everything is computed in float32 on one thread.
"""

import json
import os
import sys
import traceback
import warnings

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

torch.set_num_threads(1)
logging.set_verbosity_error()
logging.disable_progress_bar()


def load(folder):
    model, loading = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    odd = {kind: sorted(loading[kind]) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") if loading[kind]}
    assert not odd, f"the weights do not fit the configuration: {odd}"
    return model.eval()


@torch.no_grad()
def logits(model, rows, path):
    """Logits at every token, row after row: [sum of lengths, vocabulary]."""
    save_file({"logits": torch.cat([model(input_ids=torch.tensor([row])).logits[0] for row in rows])}, path)


def read_adapter(job):
    model = PeftModel.from_pretrained(load(job["model"]), job["adapter"]).eval()
    logits(model, job["rows"], job["out"])


def write_adapter(job):
    """A LoRA as PEFT makes it, with random numbers in B too, saved by PEFT."""
    torch.manual_seed(job["seed"])
    model = get_peft_model(load(job["model"]), LoraConfig(task_type="CAUSAL_LM", **job["settings"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.2)
    model.save_pretrained(job["adapter"])
    logits(model.eval(), job["rows"], job["out"])


def read_model(job):
    logits(load(job["model"]), job["rows"], job["out"])


def read_tokenizer(job):
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in job["texts"]]
    texts = [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in job["chats"]]
    ids += [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    with open(job["out"], "w", encoding="utf-8") as file:
        json.dump(ids, file)


JOBS = {"read adapter": read_adapter, "write adapter": write_adapter, "read model": read_model, "read tokenizer": read_tokenizer}


def main(jobs_path, answers_path):
    answers = {}
    with open(jobs_path, encoding="utf-8") as file:
        jobs = json.load(file)
    for name, job in jobs.items():
        try:
            JOBS[job["do"]](job)
            answers[name] = {}
        except Exception as error:
            traceback.print_exc()
            answers[name] = {"error": f"{type(error).__name__}: {error}"}
    with open(answers_path, "w", encoding="utf-8") as file:
        json.dump(answers, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
