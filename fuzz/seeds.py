"""Writes the named seeds of corpus/: `valid-*` are files that must be read, `hostile-*` files that must be refused.

Needs nothing but Python. The pickles are made by Python's own pickler and never loaded.
"""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def write(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


# ---- safetensors


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, start, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def safetensors_seeds():
    dtypes = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "I32": 4, "I64": 8}
    yield "valid-empty", safetensors({})
    yield "valid-metadata", safetensors({"__metadata__": {"format": "pt", "a": "\u00e9\u0000"}})
    for dtype, size in dtypes.items():
        yield f"valid-{dtype.lower()}", safetensors({"x": entry(dtype, [3, 1], 0, 3 * size)}, bytes(3 * size))
    two = {"h.0.ln_1.weight": entry("F32", [2], 0, 8), "scalar": entry("BF16", [], 8, 10), "none": entry("F32", [0, 7], 10, 10)}
    yield "valid-several", safetensors(two, bytes(10))
    yield "valid-spaces", safetensors(json.dumps(two).encode() + b" " * 7, bytes(10))
    yield "hostile-overlap", safetensors({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 2, 6)}, bytes(6))
    yield "hostile-hole", safetensors({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 5, 9)}, bytes(9))
    yield "hostile-overflow", safetensors({"a": entry("F32", [1 << 62], 0, 0)})
    yield "hostile-length", struct.pack("<Q", (1 << 64) - 1) + b"{}"
    yield "hostile-twice", safetensors(b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}')
    yield "hostile-trailing", safetensors({}, b"\0")
    yield "hostile-depth", safetensors(b'{"a":' + b"[" * 1000)


# ---- GGUF


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf(keys=(), tensors=(), data=b"", version=3, align=32):
    """`keys`: (key, type, bytes); `tensors`: (name, axes, type, offset)."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    for key, kind, value in keys:
        out += string(key) + struct.pack("<I", kind) + value
    for name, axes, kind, offset in tensors:
        out += string(name) + struct.pack("<I", len(axes)) + struct.pack(f"<{len(axes)}Q", *axes)
        out += struct.pack("<IQ", kind, offset)
    return out + bytes(-len(out) % align) + data


def array(kind, count, items):
    return struct.pack("<IQ", kind, count) + items


def gguf_seeds():
    scalars = ["B", "b", "H", "h", "I", "i", "f", "?", None, None, "Q", "q", "d"]
    for kind, code in enumerate(scalars):
        if code:
            yield f"valid-value-{kind}", gguf([("k", kind, struct.pack("<" + code, 1))])
            yield f"valid-list-{kind}", gguf([("k", 9, array(kind, 2, struct.pack("<2" + code, 1, 0)))])
    yield "valid-strings", gguf([("t", 8, string("x")), ("l", 9, array(8, 2, string("a") + string("bc")))])
    yield "valid-nested", gguf([("l", 9, array(9, 2, array(0, 1, b"\1") + array(4, 0, b"")))])
    blocks = {0: 4 * 256, 1: 512, 2: 144, 3: 160, 6: 176, 7: 192, 8: 272, 9: 288, 10: 84, 11: 110, 12: 144, 13: 176, 14: 210,
              15: 292, 20: 144, 23: 136, 24: 256, 25: 512, 26: 1024, 27: 2048, 28: 2048, 30: 512, 34: 54, 35: 66, 39: 136}
    for kind, size in blocks.items():
        yield f"valid-type-{kind}", gguf([], [("x", [256], kind, 0)], bytes(size))
    pair = [("a", [3], 0, 0), ("b", [32, 2], 8, 32)]
    yield "valid-pair", gguf([("general.architecture", 8, string("gpt2"))], pair, bytes(32 + 68))
    yield "valid-version-2", gguf([], pair, bytes(32 + 68), version=2)
    aligned = [("general.alignment", 4, struct.pack("<I", 8))]
    yield "valid-alignment", gguf(aligned, [("a", [1], 0, 0), ("b", [1], 0, 8)], bytes(12), align=8)
    yield "hostile-alignment", gguf([("general.alignment", 4, struct.pack("<I", 0))])
    yield "hostile-count", b"GGUF" + struct.pack("<IQQ", 3, (1 << 64) - 1, 1)
    yield "hostile-string", gguf([("k", 8, struct.pack("<Q", 1 << 62))])
    yield "hostile-list", gguf([("k", 9, array(8, 1 << 61, b""))])
    yield "hostile-depth", gguf([("k", 9, array(9, 1, b"") * 50)])
    yield "hostile-dims", gguf([], [("x", [1 << 32, 1 << 32], 0, 0)])
    yield "hostile-overlap", gguf([], [("a", [8], 0, 0), ("b", [8], 0, 16)], bytes(64))
    yield "hostile-endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0)


# ---- PyTorch


class Name:
    """A name that is pickled as if it were the global itself."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """A call: pickled, never made."""

    def __init__(self, function, *arguments, state=None, items=None):
        self.value = (function, arguments, state, None, items)


class Storage:
    def __init__(self, kind, key, length):
        self.id = ("storage", Name("torch", kind), key, "cpu", length)


class Pickler(pickle._Pickler):
    """Python's pickler in Python, taught to write names that this machine has not got."""

    def persistent_id(self, value):
        return value.id if isinstance(value, Storage) else None

    def save(self, value, *rest, **named):
        if isinstance(value, Name):
            if self.proto >= 4:
                self.save(value.module)
                self.save(value.name)
                self.write(pickle.STACK_GLOBAL)
            else:
                self.write(b"c" + f"{value.module}\n{value.name}\n".encode())
        elif isinstance(value, Call):
            function, arguments, state, _, items = value.value
            self.save(function)
            self.save(arguments)
            self.write(pickle.REDUCE)
            if items:
                self.write(pickle.MARK)
                for key, item in items:
                    self.save(key)
                    self.save(item)
                self.write(pickle.SETITEMS)
            if state is not None:
                self.save(state)
                self.write(pickle.BUILD)
        else:
            super().save(value, *rest, **named)


def dump(value, protocol=2):
    out = io.BytesIO()
    Pickler(out, protocol).dump(value)
    return out.getvalue()


def ordered(items=(), state=None):
    return Call(Name("collections", "OrderedDict"), items=list(items), state=state)


def tensor(kind="FloatStorage", key="0", length=6, offset=0, shape=(2, 3), strides=(3, 1)):
    function = Name("torch._utils", "_rebuild_tensor_v2")
    return Call(function, Storage(kind, key, length), offset, shape, strides, False, ordered())


def archive(data, storages=(("0", bytes(24)),), method=zipfile.ZIP_STORED, more=()):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as zipped:
        entries = [("m/data.pkl", data), ("m/byteorder", b"little")]
        entries += [(f"m/data/{key}", content) for key, content in storages] + list(more)
        for name, content in entries:
            zipped.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def pickle_seeds():
    small = ordered([("a", tensor()), ("t", tensor(shape=(3, 2), strides=(1, 3)))], {"_metadata": ordered()})
    parameter = Call(Name("torch._utils", "_rebuild_parameter"), tensor(offset=1, shape=(5,), strides=(1,)), True, ordered())
    for protocol in (2, 3, 4, 5):
        yield f"valid-dict-{protocol}", dump({"a": tensor(), "scalar": tensor(shape=(), strides=())}, protocol)
        yield f"valid-ordered-{protocol}", dump(small, protocol)
    yield "valid-parameter", dump({"w": parameter})
    yield "valid-other-storage", dump({"w": tensor("LongStorage", "1", 1, 0, (1,), (1,))})
    yield "valid-archive", archive(dump(small))
    yield "valid-empty", dump({})
    yield "hostile-system", dump({"a": Call(Name("os", "system"), "id")})
    yield "hostile-eval-4", dump(Call(Name("builtins", "eval"), "1"), 4)
    yield "hostile-protocol-0", dump({"a": 1}, 0)
    yield "hostile-object", pickle.dumps(complex(1, 2), 2)
    yield "hostile-bytes", pickle.dumps({"a": b"x" * 9}, 4)
    yield "hostile-set", pickle.dumps({"a": {1, 2}}, 4)
    yield "hostile-nested", dump({"a": {"b": tensor()}})
    yield "hostile-deep", b"\x80\x02" + b"(" * 500 + b"t" * 500 + b"."
    yield "hostile-memo", b"\x80\x02}r\xff\xff\xff\xff" + b"h\0."
    yield "hostile-inst", b"\x80\x02(S'id'\nios\nsystem\n."
    yield "hostile-deflated", archive(dump(small), method=zipfile.ZIP_DEFLATED)
    yield "hostile-storage", archive(dump(small), storages=(("0", bytes(23)),))
    yield "hostile-view", archive(dump({"a": tensor(offset=1)}))
    yield "hostile-expanded", archive(dump({"a": tensor(shape=(1 << 20, 1 << 20), strides=(0, 0))}))
    yield "hostile-name", archive(dump(small), more=[("m/../../x", b"")])
    yield "hostile-script", archive(dump(small), more=[("m/constants.pkl", b"")])


# ---- tokenizers


def tokenizer(**changes):
    vocab = ["h", "e", "l", "o", "\u0120", "he", "ll", "hell", "hello", "\u010a", "'", "s", "\u00c3", "\u00a9", "\u00c3\u00a9"]
    added = [{"id": 20, "content": "<|endoftext|>", "special": True, "normalized": False}, {"id": 21, "content": "  "}]
    model = {"type": "BPE", "vocab": {token: id for id, token in enumerate(vocab)}, "merges": ["h e", "l l", "he ll", "hell o", "\u00c3 \u00a9"]}
    model.update(changes.pop("model", {}))
    level = {"type": "ByteLevel", "add_prefix_space": False}
    whole = {"version": "1.0", "added_tokens": added, "normalizer": {"type": "NFC"}, "pre_tokenizer": level, "decoder": level, "model": model}
    whole.update(changes)
    return json.dumps(whole).encode()


def tokenizer_json_seeds():
    yield "valid-small", tokenizer()
    yield "valid-pairs", tokenizer(model={"merges": [["h", "e"], ["l", "l"]], "ignore_merges": True})
    yield "valid-unknown", tokenizer(model={"unk_token": "o", "fuse_unk": True}, normalizer=None)
    forms = [{"type": name} for name in ("NFD", "NFKC", "NFKD")]
    yield "valid-forms", tokenizer(normalizer={"type": "Sequence", "normalizers": forms})
    strips = {"id": 9, "content": "\u010a", "single_word": True, "lstrip": True, "rstrip": True}
    yield "valid-flags", tokenizer(added_tokens=[strips], pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}]})
    yield "hostile-empty", b"{}"
    yield "hostile-id", tokenizer(model={"vocab": {"h": 4294967295}, "merges": []})
    yield "hostile-twice", tokenizer(model={"vocab": {"h": 0, "e": 0}, "merges": []})
    yield "hostile-merge", tokenizer(model={"merges": ["h o"]})
    yield "hostile-model", tokenizer(model={"type": "Unigram", "vocab": [["h", -1.5]]})
    yield "hostile-normalizer", tokenizer(normalizer={"type": "Replace", "pattern": {"Regex": "(a*)*"}, "content": ""})
    yield "hostile-depth", b'{"normalizer":' + b'{"type":"Sequence","normalizers":[' * 200
    yield "hostile-surrogate", rb'{"model":{"vocab":{"\ud800":0},"merges":[]}}'
    yield "files-small", b'{"a":0,"b":1,"ab":2,"<|endoftext|>":5}\xff#version: 0.2\na b\n'


if __name__ == "__main__":
    for target, seeds in (
        ("safetensors", safetensors_seeds),
        ("gguf", gguf_seeds),
        ("pickle", pickle_seeds),
        ("tokenizer_json", tokenizer_json_seeds),
    ):
        for name, data in seeds():
            write(target, name, data)
        print(target, len(os.listdir(CORPUS / target)), "files")
