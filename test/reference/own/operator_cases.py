"""Operators in PyTorch's words: name in test/engine/gradients/operatorCases.ts -> function, shapes of its inputs, range of their elements."""

import torch
from torch.nn import functional

SYMMETRIC, POSITIVE = (-1.0, 1.0), (0.5, 2.5)


def rms_norm(x, scale):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * scale


def rotary(x):
    """Positions 0 and 1 at given angles; the halves of a head are turned against each other."""
    angles = torch.tensor([[0.3, 1.1], [0.6, 2.2]])
    first, second = x.chunk(2, -1)
    return torch.cat([first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], -1)


def attention(query, key, value):
    """Causal, two queries a key head: [1, heads, sequence, size]."""
    key, value = [x.repeat_interleave(2, 1) for x in (key, value)]
    return functional.scaled_dot_product_attention(query, key, value, is_causal=True)


def to_slots(x):
    """[1, 6, 2], position 5 padding: position 0 in two slots, positions 1, 2 and 3, 4 in three slots each; spare slots are 0."""
    return torch.cat([x[0, [0]], x.new_zeros(1, 2), x[0, [1, 2]], x.new_zeros(1, 2), x[0, [3, 4]], x.new_zeros(1, 2)])


def to_positions(prefix, own):
    """The way back from slots [1, 2, 2] and [2, 3, 2]: [1, 6, 2]; padding is 0."""
    return torch.cat([prefix[0, :1], own[0, :2], own[1, :2], prefix.new_zeros(1, 2)])[None]


def head_log_probs(hidden):
    """log softmax(hidden E' / 0.8) of token 3 i mod 5; E is a table of sines."""
    embedding = torch.sin(torch.arange(15) + 1.0).float().double().reshape(5, 3)
    targets = torch.tensor([3 * i % 5 for i in range(len(hidden))])
    return (hidden @ embedding.T / 0.8).log_softmax(-1).gather(1, targets[:, None])[:, 0]


def head_entropy(hidden):
    embedding = torch.sin(torch.arange(15) + 1.0).float().double().reshape(5, 3)
    logs = (hidden @ embedding.T / 0.8).log_softmax(-1)
    return -(logs.exp() * logs).sum(-1)


def sequence_sums(x):
    """Sum over the sequence of each token, for every token."""
    of_sequence = torch.tensor([0, 0, 1, 0, 1])
    return torch.zeros(2).index_add(0, of_sequence, x)[of_sequence]


OPERATORS = {
    "add": (torch.add, [(2, 3), (2, 3)], *SYMMETRIC),
    "add, broadcast": (torch.add, [(2, 3), (3,)], *SYMMETRIC),
    "sub, broadcast to more axes": (torch.sub, [(3,), (2, 1)], *SYMMETRIC),
    "mul": (torch.mul, [(2, 3), (2, 1)], *SYMMETRIC),
    "mul by itself": (lambda a: a * a, [(4,)], *SYMMETRIC),
    "div": (torch.div, [(4,), (4,)], *POSITIVE),
    "pow": (lambda a: a**3, [(4,)], *SYMMETRIC),
    "min": (torch.minimum, [(5,), (5,)], *SYMMETRIC),
    "max": (torch.maximum, [(5,), (5,)], *SYMMETRIC),
    "clip": (lambda a: a.clamp(-0.5, 0.3), [(8,)], *SYMMETRIC),
    "neg": (torch.neg, [(3,)], *SYMMETRIC),
    "exp": (torch.exp, [(3,)], *SYMMETRIC),
    "log": (torch.log, [(3,)], *POSITIVE),
    "sqrt": (torch.sqrt, [(3,)], *POSITIVE),
    "reciprocal": (torch.reciprocal, [(3,)], *POSITIVE),
    "abs": (torch.abs, [(4,)], *SYMMETRIC),
    "tanh": (torch.tanh, [(3,)], *SYMMETRIC),
    "sigmoid": (torch.sigmoid, [(3,)], *SYMMETRIC),
    "identity": (lambda a: a * 1, [(3,)], *SYMMETRIC),
    "cast to float64 and back": (lambda a: a * a, [(3,)], *SYMMETRIC),
    "where": (lambda a, b: torch.where(a > 0, a * a, b), [(5,), (5,)], *SYMMETRIC),
    "gemm": (lambda a, b, c: 2 * (a @ b.T) + 0.5 * c, [(2, 3), (2, 3), (2,)], *SYMMETRIC),
    "gemm, first transposed": (lambda a, b: a.T @ b, [(3, 2), (3, 4)], *SYMMETRIC),
    "gemm, both transposed": (lambda a, b, c: a.T @ b.T + c, [(3, 2), (4, 3), (2, 1)], *SYMMETRIC),
    "gemm, none transposed": (torch.matmul, [(2, 3), (3, 2)], *SYMMETRIC),
    "softmax": (lambda a: a.softmax(-1), [(2, 4)], *SYMMETRIC),
    "softmax, first axis": (lambda a: a.softmax(0), [(3, 2)], *SYMMETRIC),
    "logSoftmax": (lambda a: a.log_softmax(-1), [(2, 4)], *SYMMETRIC),
    "logSoftmax, first axis": (lambda a: a.log_softmax(0), [(3, 2)], *SYMMETRIC),
    "reduceSum": (lambda a: a.sum(1), [(2, 3)], *SYMMETRIC),
    "reduceSum, two axes": (lambda a: a.sum((0, 2)), [(2, 3, 2)], *SYMMETRIC),
    "reduceMean": (lambda a: a.mean(0), [(2, 3)], *SYMMETRIC),
    "reduceMean, axes kept": (lambda a: a.mean(1, keepdim=True), [(2, 3)], *SYMMETRIC),
    "reduceMax": (lambda a: a.amax(1), [(2, 3)], *SYMMETRIC),
    "reduceMin": (lambda a: a.amin(1), [(2, 3)], *SYMMETRIC),
    "reduceMax, equal ones": (lambda a: torch.cat([a, a]).amax(0), [(3,)], *SYMMETRIC),
    "reduceSumSquare": (lambda a: a.square().sum(1), [(2, 3)], *SYMMETRIC),
    "reduceLogSumExp": (lambda a: a.logsumexp(1), [(2, 3)], *SYMMETRIC),
    "cumSum": (lambda a: a.cumsum(1), [(2, 3)], *SYMMETRIC),
    "cumSum, exclusive": (lambda a: a.cumsum(1) - a, [(2, 3)], *SYMMETRIC),
    "cumSum, reverse": (lambda a: a.flip(0).cumsum(0).flip(0), [(3, 2)], *SYMMETRIC),
    "cumSum, exclusive and reverse": (lambda a: a.flip(1).cumsum(1).flip(1) - a, [(2, 3)], *SYMMETRIC),
    "reshape": (lambda a: a.reshape(3, 2), [(2, 3)], *SYMMETRIC),
    "transpose": (lambda a: a.T, [(2, 3)], *SYMMETRIC),
    "transpose, three axes": (lambda a: a.permute(2, 0, 1), [(2, 3, 2)], *SYMMETRIC),
    "expand": (lambda a: a.expand(2, 3), [(2, 1)], *SYMMETRIC),
    "expand to more axes": (lambda a: a.expand(2, 2, 3), [(1, 3)], *SYMMETRIC),
    "unsqueeze, squeeze": (lambda a: a * 1, [(3,)], *SYMMETRIC),
    "concat": (lambda a, b: torch.cat([a, b], 1), [(2, 1), (2, 2)], *SYMMETRIC),
    "slice, from the end": (lambda a: a[:, 1:-1], [(2, 4)], *SYMMETRIC),
    "split": (lambda a: a[:2] * a[2:], [(3,)], *SYMMETRIC),
    "split, a part unused": (lambda a: a[:, 1:3] * 2, [(2, 4)], *SYMMETRIC),
    "gather, a row twice": (lambda a: a[torch.tensor([2, 0, 2])], [(3, 2)], *SYMMETRIC),
    "gatherElements": (lambda a: a.gather(1, torch.tensor([[1], [2]])), [(2, 3)], *SYMMETRIC),
    "gatherElements, one twice": (lambda a: a.gather(0, torch.tensor([[1, 0], [1, 2]])), [(3, 2)], *SYMMETRIC),
    "a value used twice": (lambda a: a.exp() + 3 * a, [(3,)], *SYMMETRIC),
    "a value computed again": (lambda a: (2 * a).exp() * a, [(3,)], *SYMMETRIC),
    "without gradient": (lambda a: a * (a.detach() * 0 + 2), [(3,)], *SYMMETRIC),
    "silu": (functional.silu, [(4,)], *SYMMETRIC),
    "matmul, none transposed": (torch.matmul, [(2, 2, 3), (2, 3, 1)], *SYMMETRIC),
    "matmul, batch by matrix, transposed": (lambda a, b: 0.5 * (a @ b.T), [(2, 2, 3), (2, 3)], *SYMMETRIC),
    "matmul, batched, first transposed": (lambda a, b: a.mT @ b, [(2, 3, 1), (2, 3, 2)], *SYMMETRIC),
    "matmul, both transposed": (lambda a, b: 2 * (a.mT @ b.mT), [(2, 3, 2), (2, 2, 3)], *SYMMETRIC),
    "rmsNorm": (rms_norm, [(2, 4), (4,)], *SYMMETRIC),
    "rotaryEmbedding": (rotary, [(1, 1, 2, 4)], *SYMMETRIC),
    "fullAttention": (attention, [(1, 2, 3, 2), (1, 1, 3, 2), (1, 1, 3, 2)], *SYMMETRIC),
    "tokenLogProbs": (head_log_probs, [(64, 3)], *SYMMETRIC),
    "entropy": (head_entropy, [(64, 3)], *SYMMETRIC),
    "gatherRows": (lambda a: a[torch.tensor([3, 0, 1])], [(4, 2)], *SYMMETRIC),
    "sequenceSums": (sequence_sums, [(5,)], *SYMMETRIC),
    "toSlots": (to_slots, [(1, 6, 2)], *SYMMETRIC),
    "toPositions": (to_positions, [(1, 2, 2), (2, 3, 2)], *SYMMETRIC),
}
