"""Writes the files of this folder with the Python package gguf: values that count up, so that a test can name them.

Made with gguf 0.19.0: `python make.py`.
"""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter
from gguf.quants import quantize

here = Path(__file__).parent

for name, alignment in (("plain", None), ("aligned_64", 64)):
    writer = GGUFWriter(here / f"{name}.gguf", "gpt2")
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_name("a name: é")
    writer.add_block_count(2)
    writer.add_layer_norm_eps(1e-5)
    writer.add_uint8("k.u8", 255)
    writer.add_int8("k.i8", -128)
    writer.add_uint16("k.u16", 65535)
    writer.add_int16("k.i16", -32768)
    writer.add_int32("k.i32", -(2**31))
    writer.add_uint64("k.u64", 2**64 - 1)
    writer.add_int64("k.i64", -(2**63))
    writer.add_float64("k.f64", 0.1)
    writer.add_bool("k.bool", True)
    writer.add_token_list(["a", "Ġthe", "\n", ""])
    writer.add_token_types([1, 1, 3, 6])
    writer.add_array("k.floats", [0.5, -0.5])
    writer.add_array("k.bools", [True, False])

    count = np.arange(6, dtype=np.float32).reshape(2, 3)
    writer.add_tensor("f32", count)
    writer.add_tensor("f16", count.astype(np.float16))
    writer.add_tensor("i64", np.arange(3, dtype=np.int64))
    writer.add_tensor("vector", np.arange(5, dtype=np.float32))
    rows = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)
    for kind in ("Q8_0", "Q4_0", "BF16"):
        kind = GGMLQuantizationType[kind]
        writer.add_tensor(kind.name.lower(), quantize(rows, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
