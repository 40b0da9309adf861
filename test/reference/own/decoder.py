"""The decoder in plain float64: grouped queries, rotary positions, RMSNorm, SwiGLU, for Qwen3 a norm on each head; and LoRA on its projections.

Linear weights are [out, in]; parameters have the names of Hugging Face.
"""

import json
import math

import torch
from case_files import normal, seed_random, whole
from safetensors.torch import save_file

PROJECTIONS = {
    "q_proj": "self_attn", "k_proj": "self_attn", "v_proj": "self_attn", "o_proj": "self_attn",
    "gate_proj": "mlp", "up_proj": "mlp", "down_proj": "mlp",
}  # fmt: skip

# Of the three rotary frequencies of "llama" the scaling keeps one, stretches one and treats one in between.
MODELS = {
    "llama": dict(model_type="llama", vocab_size=23, hidden_size=12, intermediate_size=18, num_hidden_layers=2,
                  num_attention_heads=3, num_key_value_heads=1, head_dim=6, rms_norm_eps=1e-5, tie_word_embeddings=False,
                  rope_theta=10.0, rope_scaling=dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=3.0,
                                                      original_max_position_embeddings=24)),
    "qwen3": dict(model_type="qwen3", vocab_size=31, hidden_size=10, intermediate_size=14, num_hidden_layers=2,
                  num_attention_heads=4, num_key_value_heads=2, head_dim=6, rms_norm_eps=1e-6, tie_word_embeddings=True,
                  rope_theta=1000.0, rope_scaling=None),
}  # fmt: skip


def make_weights(name, config):
    """Parameters under the names of Hugging Face; Linear weights are [out, in]."""
    seed_random(f"model {name}")
    hidden, inner, size = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    query, key = config["num_attention_heads"] * size, config["num_key_value_heads"] * size
    shapes = {"q_proj": (query, hidden), "k_proj": (key, hidden), "v_proj": (key, hidden), "o_proj": (hidden, query),
              "gate_proj": (inner, hidden), "up_proj": (inner, hidden), "down_proj": (hidden, inner)}  # fmt: skip
    weights = {"model.embed_tokens.weight": normal(config["vocab_size"], hidden, scale=0.5)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        for name, shape in shapes.items():
            weights[f"{prefix}.{PROJECTIONS[name]}.{name}.weight"] = normal(*shape, scale=1 / math.sqrt(shape[1]))
        for norm in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{prefix}.{norm}.weight"] = (1 + normal(hidden, scale=0.1)).float().double()
        if config["model_type"] == "qwen3":
            for norm in ("q_norm", "k_norm"):
                weights[f"{prefix}.self_attn.{norm}.weight"] = (1 + normal(size, scale=0.1)).float().double()
    weights["model.norm.weight"] = (1 + normal(hidden, scale=0.1)).float().double()
    if not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = normal(config["vocab_size"], hidden, scale=0.5)
    return weights


def frequencies(config):
    """Rotary frequencies; with Llama 3.1's scaling long waves are stretched by `factor`, those in between by a part of it."""
    size, scaling = config["head_dim"], config["rope_scaling"]
    plain = config["rope_theta"] ** (-torch.arange(0, size, 2) / size)
    if scaling is None:
        return plain
    turns = scaling["original_max_position_embeddings"] * plain / (2 * math.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    share = torch.clamp((turns - low) / (high - low), 0, 1)
    return share * plain + (1 - share) * plain / scaling["factor"]


def forward(config, weights, row, lora=None):
    """Logits [tokens, vocabulary] of one row of tokens."""
    heads, groups, size = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    tokens = len(row)
    angles = torch.outer(torch.arange(tokens, dtype=torch.float64), frequencies(config))

    def linear(module, x):
        y = x @ weights[f"{module}.weight"].T
        if lora and module in lora:
            a, b, scale = lora[module]
            y = y + scale * (x @ a.T @ b.T)
        return y

    def norm(name, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + config["rms_norm_eps"]) * weights[f"{name}.weight"]

    def turned(x):
        first, second = x.chunk(2, -1)
        cos, sin = angles.cos(), angles.sin()
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

    def in_heads(module, x, count, head_norm=None):
        y = linear(module, x).reshape(tokens, count, size)
        if head_norm and f"{head_norm}.weight" in weights:
            y = norm(head_norm, y)
        return y.transpose(0, 1)

    x = weights["model.embed_tokens.weight"][torch.tensor(row)]
    unseen = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        attention, mlp = f"{prefix}.self_attn", f"{prefix}.mlp"
        h = norm(f"{prefix}.input_layernorm", x)
        query = turned(in_heads(f"{attention}.q_proj", h, heads, f"{attention}.q_norm"))
        key = turned(in_heads(f"{attention}.k_proj", h, groups, f"{attention}.k_norm"))
        value = in_heads(f"{attention}.v_proj", h, groups)
        mixed = []
        for head in range(heads):
            shared = head // (heads // groups)
            scores = query[head] @ key[shared].T / math.sqrt(size)
            mixed.append(scores.masked_fill(unseen, -math.inf).softmax(-1) @ value[shared])
        x = x + linear(f"{attention}.o_proj", torch.cat(mixed, -1))
        h = norm(f"{prefix}.post_attention_layernorm", x)
        gate = linear(f"{mlp}.gate_proj", h)
        x = x + linear(f"{mlp}.down_proj", gate * torch.sigmoid(gate) * linear(f"{mlp}.up_proj", h))
    head = weights["model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"]
    return norm("model.norm", x) @ head.T


def log_probs(logits, row, temperature=1.0):
    """log p of every token of a row but the first."""
    return (logits[:-1] / temperature).log_softmax(-1).gather(-1, torch.tensor(row[1:])[:, None])[:, 0]


def save_model(folder, config, weights):
    folder.mkdir(exist_ok=True)
    save_file({name: w.float() for name, w in weights.items()}, folder / "model.safetensors")
    shared = {k: v for k, v in config.items() if k not in ("rope_theta", "rope_scaling")}
    shared |= dict(max_position_embeddings=64, hidden_act="silu", bos_token_id=None, eos_token_id=None)
    rope = {"rope_type": "default", "rope_theta": config["rope_theta"]} | (config["rope_scaling"] or {})
    old = {"rope_theta": config["rope_theta"], "rope_scaling": config["rope_scaling"]}
    (folder / "config.json").write_text(json.dumps(shared | {"rope_parameters": rope}) + "\n")
    (folder / "config.legacy.json").write_text(json.dumps(shared | old) + "\n")


def draw_rows(config, *lengths):
    return [whole(0, config["vocab_size"], length).tolist() for length in lengths]


def make_adapter(weights, settings):
    """Pairs and scales by module; ranks and alphas are picked by the end of a module's name."""
    lora = {}
    for name in weights:
        module = name.removesuffix(".weight")
        if module.split(".")[-1] not in settings["targets"]:
            continue
        picked = lambda pattern, default: next((v for k, v in pattern.items() if f".{module}".endswith(f".{k}")), default)
        rank = picked(settings["rank_pattern"], settings["r"])
        alpha = picked(settings["alpha_pattern"], settings["alpha"])
        scale = alpha / (math.sqrt(rank) if settings["rslora"] else rank)
        rows, columns = weights[name].shape
        lora[module] = (normal(rank, columns, scale=0.4), normal(rows, rank, scale=0.3), scale)
    return lora


def adapter_names(module):
    return [f"base_model.model.{module}.lora_{matrix}.weight" for matrix in "AB"]


def save_adapter(folder, lora, settings):
    folder.mkdir()
    pairs = {name: m for module, pair in lora.items() for name, m in zip(adapter_names(module), pair)}
    save_file({name: m.detach().float() for name, m in pairs.items()}, folder / "adapter_model.safetensors")
    config = dict(peft_type="LORA", task_type="CAUSAL_LM", r=settings["r"], lora_alpha=settings["alpha"], use_rslora=settings["rslora"],
                  target_modules=settings["targets"], rank_pattern=settings["rank_pattern"], alpha_pattern=settings["alpha_pattern"])  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config) + "\n")


ADAPTER = dict(r=2, alpha=3, rslora=True, targets=["q_proj", "k_proj", "o_proj", "up_proj", "down_proj"],
               rank_pattern={"layers.1.self_attn.q_proj": 3, "down_proj": 1}, alpha_pattern={"mlp.up_proj": 5, "o_proj": 1.5})  # fmt: skip
