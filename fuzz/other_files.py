"""NumPy files and TOML."""

from __future__ import annotations

import warnings
import zipfile
from io import BytesIO
from random import Random

from fuzz.values import damaged, number, text

LINES = (
    'fail-on = "error"', 'fail-on = "x"', 'ignore = ["dtype-mismatch"]', 'ignore = ["missing-tensor:model.*"]',
    "values = true", "values = 1", "[tool.weightscope]", "[tool]", "[[tool]]", "[project]", "a = 1979-05-27T07:32:00Z",
    "a = {b = {c = 1}}", "a = '''x", 'a = """x', "a.b.c = 1", "# x", 'ignore = ["x:[a-"]', "ignore = 'all-zero'",
)  # fmt: skip
DTYPES = ("<f4", "<f8", "<i8", "|b1", "|O", "<U9999999999", "|V8", ">f2", "<c16", "[('a','<f4')]", "f4,f4", "")


def toml_file(random: Random) -> bytes:
    """A pyproject.toml of lines that do not go together, keys that are long, brackets that nest."""
    lines = ["[tool.weightscope]"] if random.random() < 0.5 else []
    for _ in range(random.randrange(6)):
        kind = random.randrange(8)
        if kind == 0:
            lines.append(".".join("ab" * random.choice((1, 16, 17, 500))) + " = 1")
        elif kind == 1:
            depth = random.choice((3, 63, 64, 65, 400))
            lines.append("a = " + "[" * depth + "]" * random.choice((depth, depth - 1)))
        elif kind == 2:
            lines.append(f"a = {number(random)}")
        elif kind == 3:
            lines.append(f"a = 0x{'f' * random.choice((1, 400, 5000))}")
        elif kind == 4:
            lines.append(f'ignore = ["{text(random)}"]')
        else:
            lines.append(random.choice(LINES))
    raw = "\n".join(lines).encode("utf-8", "surrogatepass")
    return damaged(random, raw) if random.random() < 0.4 else raw


def npy_file(random: Random) -> bytes:
    """A .npy file whose header says something odd."""
    shape = ", ".join(str(number(random) if random.random() < 0.4 else 2) for _ in range(random.randrange(4)))
    dtype = repr(random.choice(DTYPES)) if random.random() < 0.3 else "'<f4'"
    header = f"{{'descr': {dtype}, 'fortran_order': {random.choice(('False', 'True', '1'))}, 'shape': ({shape},), }}"
    if random.random() < 0.1:
        header = random.choice(("[" * 500, "1" * 5000, "{}", f"{{'a': {text(random)!r}}}", "9**9**9", ""))
    raw = header.encode("latin1", "replace") + b"\n"
    version = random.choice((b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"))
    length = len(raw).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    whole = b"\x93NUMPY" + version + length + raw + bytes(random.choice((0, 8, 16, 64)))
    return damaged(random, whole) if random.random() < 0.4 else whole


def npz_file(random: Random) -> bytes:
    """A .npz archive of such files, some under names that no processor has."""
    buffer = BytesIO()
    names = ["pixel_values.npy", "image_grid_thw.npy", "../x.npy", "", "a" * 300, text(random)]
    # Python warns of names that are there twice.
    warnings.simplefilter("ignore", UserWarning)
    with zipfile.ZipFile(buffer, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for _ in range(random.choice((0, 1, 2, 2, 17))):
            name = random.choice(names).encode("utf-8", "replace").decode()
            archive.writestr(zipfile.ZipInfo(name), npy_file(random))
    whole = buffer.getvalue()
    return damaged(random, whole) if random.random() < 0.5 else whole
