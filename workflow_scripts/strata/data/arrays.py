"""Arrays of activations as other programs write them: which layers a folder holds, and their rows.

Nothing is unpickled, and no more than a block of rows is in memory (of an .npz in Fortran's order,
one array).
"""

from __future__ import annotations

import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from tokenize import TokenError

import numpy as np

from strata.data.user_tables import check_filled, read_lines, read_table
from strata.errors import StrataError, one_line

ARRAY_SUFFIXES = (".npy", ".npz", ".safetensors", ".parquet")
_BLOCK = 2**25  # bytes of a block of rows
# RuntimeError: an archive under a password, in another compression; the others: a header that lies.
_DAMAGES = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)
_DAMAGES += (SyntaxError, TypeError, MemoryError, OverflowError, struct.error)
_DAMAGES += (TokenError,)


@dataclass(frozen=True)
class ArrayLayer:
    """A layer's array on disk: its `shape`, samples first, and `read(rows)`, an iterator of blocks
    of so many consecutive rows, each a floating-point array (rows, *shape[1:])."""

    name: str
    file: Path
    shape: tuple[int, ...]
    read: Callable[[int], Iterator[np.ndarray]]

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows, a block after the other."""
        width = 8 * int(np.prod(self.shape[1:], dtype=np.int64))
        try:
            yield from self.read(max(1, _BLOCK // max(1, width)))
        except _DAMAGES as error:
            raise _unreadable(self.file, error) from None


def array_files(folder: str | Path) -> list[Path]:
    """The files of arrays in a folder, in natural order (block2 before block10); hidden ones and
    those of other kinds are left out."""
    found = [
        path
        for path in Path(folder).glob("*")
        if path.suffix.lower() in ARRAY_SUFFIXES and not path.name.startswith(".")
    ]
    return sorted(found, key=lambda path: natural(path.name))


def natural(name: str) -> tuple:
    """A key that sorts numbers in names by their value."""
    parts = enumerate(re.split(r"(\d+)", name))
    return (*((int(part), "") if i % 2 else (-1, part) for i, part in parts), (-2, name))


def array_layers(folder: str | Path, chosen: Sequence[str | int] | None = None) -> list[ArrayLayer]:
    """The layers that a folder holds, from the first to the last.

    A file with one array is a layer with the name of the file (without suffix); of a file with
    several, each is a layer with its own name, behind that of the file where there are more files.
    Their order is the natural one of their names, or that of `chosen`: names, or numbers in the
    natural order (from 0, negative from the end).

    Raises
    ------
    StrataError
        No arrays, a damaged file, an array that holds anything but floating-point numbers, two
        layers of one name, a chosen layer that is not there or chosen twice.
    """
    folder = Path(folder)
    files = array_files(folder)
    if not files:
        raise StrataError(f"{folder}: no arrays; it should hold {', '.join(ARRAY_SUFFIXES)}")
    layers: dict[str, ArrayLayer] = {}
    for file in files:
        arrays = _arrays_of(file)
        for key in sorted(arrays, key=natural):
            alone = file.stem if len(arrays) == 1 else key
            name = alone if len(arrays) == 1 or len(files) == 1 else f"{file.stem}.{key}"
            if name in layers:
                raise StrataError(f"{folder}: two arrays are called {name!r}; keep one of them")
            layers[name] = ArrayLayer(name, file, *arrays[key])
    ordered = {name: layers[name] for name in sorted(layers, key=natural)}
    return list(ordered.values()) if chosen is None else _chosen(ordered, chosen, folder)


def _chosen(layers: Mapping[str, ArrayLayer], chosen: Sequence, folder: Path) -> list[ArrayLayer]:
    names = list(layers)
    found = []
    for each in chosen:
        if isinstance(each, int) and -len(names) <= each < len(names):
            each = names[each]
        if each not in layers:
            close = get_close_matches(str(each), names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
            raise StrataError(f"{folder}: no layer {each!r}; {hint}")
        found.append(layers[each])
    twice = [layer.name for i, layer in enumerate(found) if layer in found[:i]]
    if twice:
        raise StrataError(f"{folder}: layers names {twice[0]!r} twice")
    return found


# --- forms of files -----------------------------------------------------------------------------


def _arrays_of(file: Path) -> dict[str, tuple[tuple[int, ...], Callable]]:
    """(shape, read) of each array of a file."""
    reader = {".npy": _from_npy, ".npz": _from_npz, ".safetensors": _from_safetensors}
    try:
        return (reader | {".parquet": _from_parquet})[file.suffix.lower()](file)
    except _DAMAGES as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> StrataError:
    return StrataError(f"{file}: unreadable: {one_line(error, 150)}")


def _check_floating(dtype: np.dtype, where: str) -> None:
    if dtype.kind == "f":
        return
    if dtype.hasobject:
        told = "holds Python objects, which are not loaded"
    elif dtype.kind == "V":
        told = "is of a type that NumPy does not know (bfloat16?)"
    else:
        told = f"is of type {dtype}"
    raise StrataError(f"{where}: the array {told}; save it as float16, float32 or float64")


def _slices(array, n: int) -> Callable[[int], Iterator[np.ndarray]]:
    return lambda rows: (np.asarray(array[i : i + rows]) for i in range(0, n, rows))


def _from_npy(file: Path) -> dict:
    with file.open("rb") as stream:
        shape, _, dtype = _header(stream)
    if min(shape, default=0) < 0:
        raise ValueError(f"its header says shape {shape}")
    _check_floating(dtype, str(file))
    array = np.load(file, mmap_mode="r" if np.prod(shape) else None, allow_pickle=False)
    return {file.stem: (shape, _slices(array, shape[0] if shape else 0))}


def _header(stream) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran's order, and type of what follows in a .npy stream."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"version {version[0]}.{version[1]} of the .npy format")


def _from_npz(file: Path) -> dict:
    found = {}
    with zipfile.ZipFile(file) as archive:
        members = [name for name in archive.namelist() if name.endswith(".npy")]
        for member in members:
            key = member.removesuffix(".npy")
            with archive.open(member) as stream:
                shape, fortran, dtype = _header(stream)
                _check_size(shape, dtype, archive.getinfo(member).file_size - stream.tell())
            _check_floating(dtype, f"{file}, array {key!r}")
            found[key] = (shape, _unzipped(file, member, fortran))
    if not found:
        raise StrataError(f"{file}: it holds no arrays")
    return found


def _check_size(shape: tuple[int, ...], dtype: np.dtype, there: int) -> None:
    """Whether an array has the bytes that its header says, before space is made for it."""
    needed = dtype.itemsize * math.prod(shape)
    if min(shape, default=0) < 0 or (needed != there and not dtype.hasobject):
        raise ValueError(f"its header says shape {shape}, {needed} bytes, but it holds {there}")


def _unzipped(file: Path, member: str, fortran: bool) -> Callable[[int], Iterator[np.ndarray]]:
    """Reads an array of an .npz from its start to its end, without unpacking all of it."""

    def read(rows: int) -> Iterator[np.ndarray]:
        with zipfile.ZipFile(file) as archive, archive.open(member) as stream:
            shape, _, dtype = _header(stream)
            if fortran and len(shape) > 1:
                whole = np.frombuffer(stream.read(), dtype).reshape(shape, order="F")
                yield from _slices(whole, shape[0])(rows)
                return
            size = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
            for start in range(0, shape[0], rows):
                many = min(rows, shape[0] - start)
                content = stream.read(many * size)
                yield np.frombuffer(content, dtype).reshape(many, *shape[1:])

    return read


def _from_safetensors(file: Path) -> dict:
    from safetensors import SafetensorError, safe_open

    found = {}
    try:
        with safe_open(file, framework="pt") as opened:
            for key in opened.keys():  # noqa: SIM118 - not a dict
                part = opened.get_slice(key)
                if not re.match(r"B?F\d", part.get_dtype()):
                    raise StrataError(
                        f"{file}, array {key!r}: it is of type {part.get_dtype()}; save it as "
                        "float16, bfloat16, float32 or float64"
                    )
                found[key] = (tuple(part.get_shape()), _tensor_slices(file, key))
    except SafetensorError as error:
        raise _unreadable(file, error) from None
    if not found:
        raise StrataError(f"{file}: it holds no arrays")
    return found


def _tensor_slices(file: Path, key: str) -> Callable[[int], Iterator[np.ndarray]]:
    def read(rows: int) -> Iterator[np.ndarray]:
        import torch
        from safetensors import safe_open

        with safe_open(file, framework="pt") as opened:
            part = opened.get_slice(key)
            for start in range(0, part.get_shape()[0], rows):
                tensor = part[start : start + rows]
                kept = tensor.dtype in (torch.float32, torch.float64)
                yield (tensor if kept else tensor.float()).numpy()

    return read


def _from_parquet(file: Path) -> dict:
    """A column of lists is a layer; columns of numbers are together one, a feature each."""
    import pyarrow
    from pyarrow import parquet

    opened = parquet.ParquetFile(file)
    n, schema = opened.metadata.num_rows, opened.schema_arrow
    index = [name for name in (schema.pandas_metadata or {}).get("index_columns", [])
             if isinstance(name, str)]  # fmt: skip
    if index:
        raise StrataError(
            f"{file}: column {index[0]!r} is the index of a DataFrame, no feature; save it with "
            "to_parquet(..., index=False)"
        )
    lists = [field.name for field in schema if _is_list(field.type)]
    for field in schema:
        inner = field.type.value_type if field.name in lists else field.type
        if not pyarrow.types.is_floating(inner) or bool(lists) != (field.name in lists):
            raise StrataError(
                f"{file}: column {field.name!r} is of type {field.type}; columns should be "
                "floats, a feature each, or lists of floats, a layer each"
            )
    if not lists:
        return {file.stem: ((n, len(schema)), _columns(file))}
    return {name: ((n, _list_length(opened, name)), _lists(file, name)) for name in lists}


def _is_list(kind) -> bool:
    from pyarrow import types

    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _list_length(opened, name: str) -> int:
    first = next(opened.iter_batches(batch_size=1, columns=[name]), None)
    return 0 if first is None or first.column(0).null_count else len(first.column(0)[0])


def _columns(file: Path) -> Callable[[int], Iterator[np.ndarray]]:
    from pyarrow import parquet

    def read(rows: int) -> Iterator[np.ndarray]:
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=rows):
            columns = [column.to_numpy(zero_copy_only=False) for column in batch.columns]
            yield np.stack(columns, axis=1)

    return read


def _lists(file: Path, name: str) -> Callable[[int], Iterator[np.ndarray]]:
    from pyarrow import compute, parquet

    def read(rows: int) -> Iterator[np.ndarray]:
        opened = parquet.ParquetFile(file)
        width, row = _list_length(opened, name), 0
        for batch in opened.iter_batches(batch_size=rows, columns=[name]):
            column = batch.column(0)
            lengths = compute.list_value_length(column).fill_null(-1).to_numpy()
            if (lengths != width).any():
                wrong = int((lengths != width).argmax())
                told = "is missing" if lengths[wrong] < 0 else f"has {lengths[wrong]} numbers"
                raise StrataError(
                    f"{file}, column {name!r}: row {row + wrong + 1} {told}, the first has {width}"
                )
            row += len(column)
            numbers = column.flatten().to_numpy(zero_copy_only=False)
            yield numbers.reshape(len(column), width)

    return read


# --- names of rows ------------------------------------------------------------------------------


def read_names(file: str | Path, column: str, log: Callable[[str], None] = print) -> list[str]:
    """Names of the arrays' rows: the `column` of a .csv or .tsv, or the lines of any other file.

    Raises StrataError when the file is missing or a name is empty, and as `read_table`.
    """
    file = Path(file)
    if not file.is_file():
        raise StrataError(f"{file}: no such table of samples' names")
    if file.suffix.lower() in (".csv", ".tsv"):
        table = read_table(file, [column], log)
        check_filled(table, [column], file)
        return table[column].tolist()
    names = read_lines(file, log)
    while names and not names[-1]:
        names.pop()
    if "" in names:
        raise StrataError(f"{file}: the name of row {names.index('') + 1} is empty")
    return names
