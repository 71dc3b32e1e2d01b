"""Writes the files of this folder with PyTorch: values that count up, so that a test can name them without PyTorch.

Made with torch 2.15.0: `python make.py`.
"""

from collections import OrderedDict
from pathlib import Path

import torch

here = Path(__file__).parent

count = torch.arange(12, dtype=torch.float32)
matrix = count.reshape(3, 4)
state = OrderedDict(
    matrix=matrix,
    transposed=matrix.t(),
    column=matrix[:, 1:3],
    tail=count[8:],
    scalar=torch.tensor(-1e9),
    empty=torch.empty(0, 4),
    parameter=torch.nn.Parameter(torch.arange(4, dtype=torch.float32)),
    half=torch.arange(3).half(),
    bfloat=torch.arange(3).bfloat16(),
    double=torch.arange(3).double(),
    mask=torch.tril(torch.ones(1, 1, 3, 3)).bool(),
    bytes=torch.arange(3).to(torch.uint8),
    i8=-torch.arange(3).to(torch.int8),
    i16=-torch.arange(3).to(torch.int16),
    i32=-torch.arange(3).to(torch.int32),
    i64=-torch.arange(3),
)
state._metadata = OrderedDict([("", {"version": 1})])

torch.save(state, here / "state.bin")
torch.save(dict(state), here / "protocol_4.bin", pickle_protocol=4)
torch.save(state, here / "legacy.bin", _use_new_zipfile_serialization=False)
torch.save(torch.nn.Linear(2, 2), here / "module.bin")
torch.save({"x": torch.zeros(1).expand(5)}, here / "expanded.bin")
torch.save({"x": torch.eye(2).to_sparse()}, here / "sparse.bin")
torch.save({"x": torch.tensor([1j])}, here / "complex.bin")
torch.save({"epoch": 3, "x": torch.zeros(1)}, here / "training.bin")
torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), here / "script.bin")
