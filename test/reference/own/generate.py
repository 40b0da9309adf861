"""The reference numbers that are committed: tiny cases, computed with plain float64 PyTorch (no Transformers, PEFT or TRL).

    python test/reference/own/generate.py

writes the case folders beside this file, in the format that test/reference/golden.ts reads: case.json (parameters, whole-number
inputs, tolerances and an index of the arrays), inputs.safetensors and expected.safetensors. Needs torch and safetensors.

Every real number that goes in is exact in float32, so that an engine in float32 reads what float64 read here. Formulas: the model of
Touvron et al. 2023 (RMSNorm, rotary positions, SwiGLU) with grouped queries, and for Qwen3 a norm on each query and key head.
"""

import torch
from case_files import Case, normal, seed_random, uniform
from decoder import (
    ADAPTER, MODELS, adapter_names, draw_rows, forward, log_probs, make_adapter, make_weights, save_adapter, save_model,
)  # fmt: skip
from operator_cases import OPERATORS


def forward_cases(models):
    for name, (config, weights) in models.items():
        case = Case(f"forward/{name}", description="Logits and log-probabilities of rows of different length.")
        save_model(case.folder, config, weights)
        rows = draw_rows(config, 5, 19, 11)
        logits = [forward(config, weights, row) for row in rows]
        case.put("logits_f64", torch.cat(logits))
        for temperature, digits in ((1.0, "1"), (0.7, "07"), (1.6, "16")):
            case.put(f"logprobs_t{digits}_f64", torch.cat([log_probs(l, row, temperature) for l, row in zip(logits, rows)]))
        logs = torch.cat(logits).log_softmax(-1)
        case.put("entropy_t1_f64", -(logs.exp() * logs).sum(-1))
        tolerance = {"suggested_atol": 2e-5}
        case.write(model_dir=".", batch={"rows": rows}, tolerance={"logits": tolerance, "logprobs": tolerance})


def gradient_cases(models):
    for name, (config, weights) in models.items():
        case = Case(f"gradients/{name}", description="Gradients of the mean cross entropy over the tokens behind the prompts.")
        rows = draw_rows(config, 6, 17, 9)
        prompts = [2, 5, 1]
        tokens = sum(len(row) - prompt for row, prompt in zip(rows, prompts))

        def loss_of(parameters, lora=None):
            parts = [log_probs(forward(config, parameters, row, lora), row)[prompt - 1 :] for row, prompt in zip(rows, prompts)]
            return -torch.cat(parts).sum() / tokens

        leaves = {key: w.clone().requires_grad_() for key, w in weights.items()}
        loss = loss_of(leaves)
        loss.backward()
        for key, leaf in leaves.items():
            case.put(f"grad_f64/{key}", leaf.grad)
        lora = {m: (a.requires_grad_(), b.requires_grad_(), scale) for m, (a, b, scale) in make_adapter(weights, ADAPTER).items()}
        lora_loss = loss_of(weights, lora)
        lora_loss.backward()
        for module, (a, b, _) in lora.items():
            for key, matrix in zip(adapter_names(module), (a, b)):
                case.put(f"lora_grad_f64/{key}", matrix.grad)
        save_adapter(case.folder / "adapter", lora, ADAPTER)
        mask = [[int(t >= prompt) for t in range(len(row))] for row, prompt in zip(rows, prompts)]
        case.write(
            model_dir=f"../../forward/{name}", batch={"rows": rows}, prompt_lengths=prompts, completion_mask=mask, completion_tokens=tokens,
            loss_f64=loss.item(), lora={"adapter_dir": "adapter", "loss_f64": lora_loss.item()},
            tolerance={"full": {"suggested_atol": 1e-5}, "lora": {"suggested_atol": 1e-5}},
        )  # fmt: skip


def lora_case(config, weights, model):
    case = Case("lora/patterns", description="An adapter with ranks and alphas by module: logits, merged weights.")
    lora = make_adapter(weights, ADAPTER)
    save_adapter(case.folder / "adapter", lora, ADAPTER)
    rows = draw_rows(config, 13, 4)
    case.put("adapter_logits_f64", torch.cat([forward(config, weights, row, lora) for row in rows]))
    merged = {name: w + scale * b @ a for name, w in weights.items() for a, b, scale in [lora.get(name.removesuffix(".weight"), (torch.zeros(1, 1), torch.zeros(1, 1), 0))]}
    save_model(case.folder / "merged", config, merged)
    case.write(
        model_dir=f"../../forward/{model}", adapter_dir="adapter", merged_dir="merged", batch={"rows": rows},
        scaling_by_module={module: scale for module, (_, _, scale) in lora.items()},
        tolerance={"logits": {"suggested_atol": 2e-5}, "merged weights": {"suggested_atol": 1e-6}},
    )  # fmt: skip


def greedy_case(config, weights, model):
    case = Case(f"generate/{model}", description="Greedy continuations, with and without an end token.")
    length, prompts = 12, draw_rows(config, 3, 7, 1)
    tokens, chosen = [], []
    for prompt in prompts:
        row = list(prompt)
        for _ in range(length):
            scores = forward(config, weights, row)[-1].log_softmax(-1)
            best = scores.topk(2)
            assert best.values[0] - best.values[1] > 1e-3, "a near-tie: take other prompts"
            row.append(best.indices[0].item())
            chosen.append(best.values[0].item())
        tokens.append(row[len(prompt) :])
    case.put("logprobs_f64", torch.tensor(chosen).reshape(len(prompts), length))
    end = tokens[0][4]
    ended = [row[: row.index(end) + 1] if end in row else row for row in tokens]
    rows = [{"tokens": row, "finish_reason": "stop" if row[-1] == end else "length"} for row in ended]
    case.write(
        model_dir=f"../../forward/{model}", prompts=prompts, tokens=tokens, with_eos={"eos_token_id": end, "rows": rows},
        tolerance={"logprobs": {"suggested_atol": 1e-4}},
    )  # fmt: skip


def objective_case():
    """GRPO (Shao et al. 2024) with KL to a reference, and CISPO (MiniMax 2025), on given log-probabilities."""
    case = Case("objectives/policy_gradient", description="Two objectives and the KL estimators on given log-probabilities.")
    rows, width, low, high, cap, beta = 5, 7, 0.2, 0.3, 1.25, 0.06
    lengths = [7, 3, 5, 1, 6]
    mask = torch.tensor([[int(t < n) for t in range(width)] for n in lengths])
    empty = mask.clone()
    empty[3] = 0
    while True:  # no ratio at the edge of a clip, where rounding would decide
        logp = -normal(rows, width).exp().float().double()
        old, reference = [(logp + normal(rows, width, scale=s)).float().double() for s in (0.3, 0.2)]
        ratios = (logp - old).exp()
        if min((ratios - bound).abs().min() for bound in (1 - low, 1 + high, cap)) > 1e-3:
            break
    advantages = normal(rows)
    arrays = dict(logp=logp, old_logp=old, ref_logp=reference, advantages=advantages, mask=mask, mask_empty_row=empty)
    for name, value in arrays.items():
        case.put(name, value, "inputs")

    def grpo(x, m):
        ratio, a = (x - old).exp(), advantages[:, None]
        gain = torch.minimum(ratio * a, ratio.clamp(1 - low, 1 + high) * a)
        distance = reference - x
        token = -gain + beta * (distance.exp() - distance - 1)
        return ((token * m).sum(1) / m.sum(1).clamp(min=1)).mean()

    def cispo(x, m):
        ratio = (x - old).exp().detach().clamp(max=cap)
        return (-ratio * advantages[:, None] * x * m).sum() / m.sum()

    positive = (advantages > 0)[:, None]
    share = lambda flags: (flags * mask).sum().item() / mask.sum().item()
    settings = dict(epsilon=low, epsilon_high=high, beta=beta, use_bias_correction_kl=False)
    clips = {"clip_ratio/low_mean": share((ratios < 1 - low) & ~positive), "clip_ratio/high_mean": share((ratios > 1 + high) & positive)}
    capped = {"cispo_clip_ratio": share((ratios > cap) & positive)}
    results = {}
    for name, loss_of, config, which, metrics in (
        ("grpo_kl", grpo, dict(loss_type="grpo", **settings), "mask", clips),
        ("grpo_empty_row", grpo, dict(loss_type="grpo", **settings), "mask_empty_row", {}),
        ("cispo", cispo, dict(loss_type="cispo", epsilon_high=cap), "mask", capped),
    ):
        x = logp.clone().requires_grad_()
        loss = loss_of(x, arrays[which])
        loss.backward()
        case.put(f"{name}.grad_f64", x.grad)
        results[name] = dict(config=config, old_logp="old_logp", mask=which, micro_batches=1, metrics=metrics, loss_f64=loss.item())
    means = {}
    for name, formula in {"k1": lambda l: l, "k2": lambda l: l.square() / 2, "k3": lambda l: (-l).exp() - 1 + l}.items():
        x = logp.clone().requires_grad_()
        mean = (formula(x - reference) * mask).sum() / mask.sum()
        mean.backward()
        means[name] = mean.item()
        case.put(f"kl_{name}.grad_f64", x.grad)
    case.write(results=results, kl_token_means=means, tolerance={"float32 engine": {"relative to max |grad|": 2e-6, "loss": 2e-6}})


def optimizer_cases():
    case = Case("optimizer/adamw", description="AdamW (Loshchilov and Hutter 2019) by torch.optim, with clipping of the global norm.")
    betas, eps, decay, steps = (0.9, 0.99), 1e-7, 0.2, 4
    start = {"first": normal(3, 5), "second": normal(7)}
    gradients = [{name: normal(*t.shape, scale=s) for name, t in start.items()} for s in (0.1, 1.0, 0.02, 0.5)]
    for name, tensor in start.items():
        case.put(f"start/{name}", tensor, "inputs")
        for step, gradient in enumerate(gradients, 1):
            case.put(f"grad_{step}/{name}", gradient[name], "inputs")
    variants = {}
    for variant, limit, rates in (("clipped", 0.8, [0.02, 0.01, 0.01, 0.005]), ("not_clipped", None, [0.01] * steps)):
        parameters = {name: torch.nn.Parameter(t.clone()) for name, t in start.items()}
        optimizer = torch.optim.AdamW(parameters.values(), betas=betas, eps=eps, weight_decay=decay)
        norms = []
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rates[step]
            for name, parameter in parameters.items():
                parameter.grad = gradients[step][name].clone()
            if limit is not None:
                norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), limit).item())
            optimizer.step()
            for name, parameter in parameters.items():
                at = f"{variant}_f64/step_{step + 1}/{name}"
                case.put(at, parameter)
                for moment in ("exp_avg", "exp_avg_sq"):
                    case.put(f"{at}.{moment}", optimizer.state[parameter][moment])
        variants[variant] = dict(max_grad_norm=limit, learning_rates=rates, grad_norms_before_clipping=norms)
    case.write(hyperparameters=dict(betas=betas, eps=eps, weight_decay=decay), variants=variants, tolerance={"float32 engine": 1e-6})


def train_case(config, weights, model):
    """Whole steps: a LoRA, token means (DAPO, Yu et al. 2025) of the clipped objective with KL to the base model, clipping, AdamW."""
    case = Case("train/dapo_kl", description="Two optimizer steps of an adapter on one batch of completions.")
    settings = dict(r=1, alpha=2, rslora=False, targets=["q_proj", "down_proj"], rank_pattern={"layers.0.mlp.down_proj": 2}, alpha_pattern={})
    temperature, low, high, beta, limit, rates, decay = 0.9, 0.1, 0.2, 0.1, 0.5, [0.02, 0.01], 0.1
    prompts, completions = draw_rows(config, 3, 6, 2, 4), draw_rows(config, 5, 8, 3, 6)
    advantages = normal(4)
    width = max(map(len, completions))
    mask = torch.tensor([[int(t < len(row)) for t in range(width)] for row in completions])
    lora = {m: (a.requires_grad_(), b.requires_grad_(), scale) for m, (a, b, scale) in make_adapter(weights, settings).items()}
    save_adapter(case.folder / "adapter", lora, settings)
    parameters = {name: p for module, pair in lora.items() for name, p in zip(adapter_names(module), pair)}

    def completion_log_probs(pairs):
        rows = [log_probs(forward(config, weights, p + c, pairs), p + c, temperature)[len(p) - 1 :] for p, c in zip(prompts, completions)]
        return torch.stack([torch.cat([row, torch.zeros(width - len(row))]) for row in rows])

    with torch.no_grad():
        old, reference = completion_log_probs(lora), completion_log_probs(None)
    case.put("old_logp_f64", old)
    case.put("ref_logp_f64", reference)
    optimizer = torch.optim.AdamW(parameters.values(), betas=(0.9, 0.95), eps=1e-8, weight_decay=decay)
    steps = dict(losses=[], grad_norms_before_clipping=[], ratio_clip_fraction=[])
    gain = advantages[:, None]
    for step, rate in enumerate(rates, 1):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        x = completion_log_probs(lora)
        ratio, distance = (x - old).exp(), reference - x
        clipped = ((ratio < 1 - low) & (gain < 0)) | ((ratio > 1 + high) & (gain > 0))
        token = -torch.minimum(ratio * gain, ratio.clamp(1 - low, 1 + high) * gain) + beta * (distance.exp() - distance - 1)
        loss = (token * mask).sum() / mask.sum()
        loss.backward()
        assert min(((ratio - bound).abs() * mask + (1 - mask)).min() for bound in (1 - low, 1 + high)) > 1e-4, "a ratio at the edge"
        for name, parameter in parameters.items():
            case.put(f"step_{step}/grad_f64/{name}", parameter.grad)
        steps["losses"].append(loss.item())
        steps["grad_norms_before_clipping"].append(torch.nn.utils.clip_grad_norm_(parameters.values(), limit).item())
        steps["ratio_clip_fraction"].append(((clipped * mask).sum() / mask.sum()).item())
        optimizer.step()
        for name, parameter in parameters.items():
            case.put(f"step_{step}/adapter_f64/{name}", parameter)
        with torch.no_grad():
            case.put(f"step_{step}/logp_f64", completion_log_probs(lora))
    case.write(
        model_dir=f"../../forward/{model}", adapter_dir="adapter",
        objective=dict(loss_type="dapo", beta=beta, temperature=temperature, epsilon=low, epsilon_high=high,
                       use_bias_correction_kl=False, max_completion_length=width),
        optimizer=dict(betas=[0.9, 0.95], eps=1e-8, weight_decay=decay, max_grad_norm=limit, learning_rates=rates),
        batch=dict(prompts=prompts, completions=completions, advantages=advantages.tolist(), completion_mask=mask.tolist()),
        steps={"f64": steps},
        tolerance={"adapter": {"suggested_atol": {f"step_{step}/adapter": 5e-6 for step in (1, 2)}}},
    )  # fmt: skip


def operator_case():
    """Each operator on random inputs, and the gradient of sum(seed * y) by autograd; one array an operator, to keep the file small."""
    case = Case("operators/all", description="Each array is all inputs, then seed, output and all gradients, flattened and joined.")
    shapes = {}
    for name, (function, input_shapes, low, high) in OPERATORS.items():
        seed_random(f"operator {name}")
        inputs = [uniform(low, high, shape).requires_grad_() for shape in input_shapes]
        y = function(*inputs)
        seed = normal(*y.shape)
        (y * seed).sum().backward()
        case.put(name, torch.cat([t.detach().reshape(-1) for t in (*inputs, seed, y, *(x.grad for x in inputs))]))
        shapes[name] = {"inputs": input_shapes, "output": list(y.shape)}
    case.write(operators=shapes)


def main():
    models = {name: (config, make_weights(name, config)) for name, config in MODELS.items()}
    forward_cases(models)
    gradient_cases(models)
    lora_case(*models["qwen3"], "qwen3")
    greedy_case(*models["llama"], "llama")
    objective_case()
    optimizer_cases()
    train_case(*models["llama"], "llama")
    operator_case()


if __name__ == "__main__":
    main()
