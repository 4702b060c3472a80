"""`.pt` files: a detector, or a WeightsError; nothing in the file is run, whatever its pickle says.

The SHA-256 that guards a file is right here for every case: this is about what the reader does with a file once it is trusted.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from fuzzing import mutated, nothing_happens
from hypothesis import strategies as st

from prodseek.errors import WeightsError
from prodseek.vision.resnet import load as load_resnet
from prodseek.vision.ultralytics_network import import_ultralytics, load
from prodseek.vision.weights import PinnedFile, file_sha256

# torch and ultralytics reserve far more than they use.
MEMORY_BYTES = 16 * 1024**3
_REFUSED = frozenset((
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pty.spawn", "socket.connect",
    "socket.getaddrinfo", "os.mkdir", "os.remove", "os.rename", "os.symlink", "os.putenv", "shutil.rmtree", "ctypes.dlopen",
    "exec", "compile", "webbrowser.open", "code.__new__",
))  # fmt: skip
# Instructions of a pickle, and names that a file must not reach.
_TOKENS = (
    b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R", b"cposix\nmkdir\nX\x09\x00\x00\x00/tmp/trap\x85R",
    b"cbuiltins\neval\n", b"cbuiltins\nexec\n", b"cbuiltins\ngetattr\n", b"cbuiltins\n__import__\n",
    b"csubprocess\nPopen\n", b"cnumpy.f2py\ncompile\n", b"ctorch\nload\n", b"ctorch.hub\nload\n",
    b"ctorch.nn.modules.conv\nConv2d\n", b"cpathlib\nPath\n", b"cnumpy\nload\n",
    b"cultralytics.nn.tasks\nDetectionModel\n", b"cultralytics.nn.tasks\nattempt_load_weights\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"cultralytics.utils\nSETTINGS\n", b"ccollections\nOrderedDict\n", b")R",
    b")\x81", b"}b", b"(", b"t", b"R", b"b", b".", b"0", b"2", b"N", b"]", b"}", b"K\x03", b"M\xff\xff",
    b"J\xff\xff\xff\x7f", b"\x8a\x08" + b"\x7f" * 8, b"h\x00", b"q\x01", b"X\x05\x00\x00\x00names", b"Q",
    b"]" + b"2\x86" * 40, b"\x80\x04", b"\x95" + b"\xff" * 8, b"ctorch\nfloat16\n", b"G\x7f\xf8\0\0\0\0\0\0",
)  # fmt: skip


class _Calls:
    def __init__(self, function: Any, *values: Any) -> None:
        self.call = function, values

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@cache
def _seeds() -> tuple[bytes, ...]:
    tasks = import_ultralytics()
    description = tasks.yaml_model_load("yolov8n.yaml") | {"nc": 2}
    description["scales"] = {"n": [0.33, 0.02, 1024]}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = tasks.DetectionModel(description, ch=3, verbose=False).half()
    contents: list[Any] = [
        {"model": model, "epoch": 1, "train_args": {"task": "detect"}},
        {"model": _Calls(tasks.DetectionModel, description)},
        {"fc.weight": torch.zeros(2, 3), "conv1.weight": torch.ones(1)},
        {"fc.bias": torch.zeros(1).expand(10**10)},
    ]
    made = []
    for content in contents:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        made.append(buffer.getvalue())
    old = io.BytesIO()
    torch.save(contents[2], old, _use_new_zipfile_serialization=False)
    return (*made, old.getvalue())


def _pickle_of(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))


def _with_pickle(data: bytes, pickled: bytes) -> bytes:
    """The same archive with another pickle, its checksum right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(buffer, "w") as changed:
        for name in archive.namelist():
            changed.writestr(name, pickled if name.endswith("data.pkl") else archive.read(name))
    return buffer.getvalue()


@cache
def _prepared() -> bool:
    """Load every seed once, so that all is imported that loading needs."""
    import_module("torch._subclasses.schema_check_mode")
    for seed in _seeds():
        _load(seed)
    return True


def cases() -> st.SearchStrategy[bytes]:
    archives = _seeds()[:4]
    pickles = [_pickle_of(data) for data in archives]
    whole = mutated(_seeds(), _TOKENS)
    inner = st.builds(_with_pickle, st.sampled_from(archives[:1]), mutated(pickles, _TOKENS))
    own = st.sampled_from(archives).flatmap(
        lambda data: st.builds(_with_pickle, st.just(data), mutated([_pickle_of(data)], _TOKENS))
    )
    return st.one_of(whole, inner, own)


def check(data: bytes) -> None:
    _prepared()
    _load(data, _REFUSED)


def _load(data: bytes, refused: frozenset[str] = frozenset()) -> None:
    with tempfile.NamedTemporaryFile(suffix=".pt") as file:
        path = Path(file.name)
        path.write_bytes(data)
        weights = PinnedFile(path, file_sha256(path))
        for kind, reader in (("ultralytics", load), ("resnet50", load_resnet)):
            try:
                with nothing_happens(refused):
                    network = reader(kind, weights)
            except WeightsError as error:
                assert len(str(error)) < 5000
                continue
            assert all(isinstance(name, str) and len(name) < 1000 for name in network.class_names)
