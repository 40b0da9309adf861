"""Random numbers by name, and the files of a case: case.json, inputs.safetensors, expected.safetensors."""

import json
import shutil
import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
random = torch.Generator()


def seed_random(name):
    """Numbers depend on the name of what they are for, so that a new case or operator leaves the others as they are."""
    random.manual_seed(zlib.crc32(name.encode()))


def normal(*shape, scale=1.0):
    return (torch.randn(shape, generator=random) * scale).float().double()


def uniform(low, high, shape):
    return (low + (high - low) * torch.rand(*shape, generator=random)).float().double()


def whole(low, high, *shape):
    return torch.randint(low, high, shape, generator=random)


class Case:
    """Collects what a case folder holds and writes it."""

    def __init__(self, path, **info):
        self.folder, self.info, self.arrays = HERE / path, info, {"expected": {}, "inputs": {}}
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        seed_random(path)

    def put(self, name, tensor, file="expected"):
        self.arrays[file][name] = torch.as_tensor(tensor).detach().clone().contiguous()

    def write(self, **info):
        index = {}
        for file, tensors in self.arrays.items():
            if tensors:
                save_file(tensors, self.folder / f"{file}.safetensors")
                index[f"{file}.safetensors"] = {name: list(t.shape) for name, t in tensors.items()}
        content = self.info | info | {"arrays": index, "torch": torch.__version__.split("+")[0]}
        (self.folder / "case.json").write_text(json.dumps(content) + "\n")
