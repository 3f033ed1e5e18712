"""The pickle machine against Python's own pickle module, and against pickles made to harm."""

from __future__ import annotations

import collections
import gc
import json
import pickle
import pickletools
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weightscope.checkpoint.pickle_machine import LONG_TEXT, MAX_BUILT, Global, Inert, Machine
from weightscope.checkpoint.pickle_operations import OPERATIONS
from weightscope.checkpoint.pickles import PLAIN, load
from weightscope.errors import CheckpointError, WeightscopeError

WHERE = Path("some.pt")
ROOT = Path(__file__).parents[2]


def run(data: bytes) -> object:
    return load(Machine(data, where=WHERE, supported=PLAIN))


PLAIN_VALUES = [
    None,
    True,
    False,
    0,
    -1,
    255,
    256,
    65535,
    65536,
    -(1 << 31),
    1 << 31,
    1 << 62,
    -(1 << 70),
    1 << 300,
    0.0,
    -1.5,
    float("inf"),
    "",
    "plain",
    "Größe \U0001f642 \x00\n\\",
    "x" * 300,
    b"",
    b"abc\xff\n",
    b"y" * 300,
    [],
    (),
    {},
    [1, [2, [3, ()]]],
    (1,),
    (1, 2),
    (1, 2, 3),
    (1, 2, 3, 4),
    {"a": {"b": [1.5, None]}, 3: (True,)},
    list(range(2500)),
    {str(i): i for i in range(2500)},
    complex(1, -2),
    collections.OrderedDict(a=1, b=[2]),
    collections.Counter("abba"),
    bytearray(b"abc\xff"),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", PLAIN_VALUES, ids=lambda value: repr(value)[:30])
def test_against_pickle(value: object, protocol: int) -> None:
    assert run(pickle.dumps(value, protocol)) == value


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@settings(max_examples=150, deadline=None)
@given(value=json_like, protocol=st.integers(0, 5))
def test_against_pickle_on_any_plain_value(value: object, protocol: int) -> None:
    assert run(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
def test_sets_and_defaultdicts_become_plain_containers(protocol: int) -> None:
    value = {"set": {7}, "frozen": frozenset([8]), "default": collections.defaultdict(list, a=[1])}
    assert run(pickle.dumps(value, protocol)) == {"set": [7], "frozen": [8], "default": {"a": [1]}}


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"S'ab\\x41'\n.", "abA"),
        (b"T\x02\x00\x00\x00ab.", "ab"),
        (b"U\x02ab.", "ab"),
        (b"U\x01\xff.", b"\xff"),
        (b"I01\n.", True),
        (b"I12\n.", 12),
        (b"L12L\n.", 12),
        (b"(lp0\nI1\na.", [1]),
        (b"(I1\nI2\nd.", {1: 2}),
        (b"(ccollections\nOrderedDict\no.", {}),
        (b"ccollections\nOrderedDict\n((lp1\n(lp2\nS'a'\naI2\naatR.", {"a": 2}),
        (b"(icollections\nOrderedDict\n.", {}),
        (b"ccollections\nOrderedDict\n)\x81.", {}),
        (b"N2\x86.", (None, None)),
        (b"K\x01K\x020.", 1),
        (b"(K\x01K\x021K\x03.", 3),
        (b"(K\x01\x91.", [1]),
    ],
)
def test_python_2_and_rare_operations(data: bytes, value: object) -> None:
    assert run(data) == value


def test_every_opcode_of_python_has_an_operation() -> None:
    unknown = OPERATIONS[0xFF]
    missing = [o.name for o in pickletools.opcodes if o.name != "STOP" and OPERATIONS[ord(o.code)] is unknown]
    assert missing == []


def test_an_ordered_dict_may_have_a_state() -> None:
    value = collections.OrderedDict(a=1)
    value._metadata = {"": 1}  # type: ignore[attr-defined]
    assert run(pickle.dumps(value, 2)) == {"a": 1}


def test_pickles_in_a_row_end_where_they_end() -> None:
    data = pickle.dumps("one", 2) + pickle.dumps([2], 4) + b"tail"
    machine = Machine(data, where=WHERE, supported=PLAIN)
    assert (load(machine), load(machine)) == ("one", [2])
    assert data[machine.position :] == b"tail"


def test_long_text_is_skipped() -> None:
    value = run(pickle.dumps(["x" * (LONG_TEXT + 1), b"y" * (LONG_TEXT + 1), "end"], 4))
    assert isinstance(value, list)
    assert [type(item) for item in value] == [Inert, Inert, str]


CALLS = {
    "reduce": b"cMODULE\nrun\n(X\x01\x00\x00\x00xtR.",
    "inst": b"(X\x01\x00\x00\x00xiMODULE\nrun\n.",
    "obj": b"(cMODULE\nrun\nX\x01\x00\x00\x00xo.",
    "newobj": b"cMODULE\nrun\n(X\x01\x00\x00\x00xt\x81.",
    "newobj_ex": b"cMODULE\nrun\n(X\x01\x00\x00\x00xt}\x92.",
    "stack_global": b"\x80\x04\x8c\x06MODULE\x8c\x03run\x93\x8c\x01x\x85R.",
    "build": b"cMODULE\nrun\n}X\x01\x00\x00\x00xK\x01sb.",
    "only named": b"cMODULE\nrun\n.",
    "factory": b"ccollections\ndefaultdict\ncMODULE\nrun\n\x85R.",
}


@pytest.mark.parametrize("data", CALLS.values(), ids=CALLS)
def test_a_name_is_refused_and_its_module_not_imported(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    module = "evilmd"
    (tmp_path / f"{module}.py").write_text(f"def run(*a): open({str(canary)!r}, 'w')\nrun()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match=r"evilmd\.run") as raised:
        run(data.replace(b"MODULE", module.encode()))
    assert raised.value.code == "unsafe-pickle"
    assert raised.value.where == "some.pt"
    assert raised.value.hint
    assert not canary.exists()
    assert module not in sys.modules


@pytest.mark.parametrize(
    "name",
    ["os.system", "posix.system", "builtins.eval", "builtins.getattr", "__builtin__.exec", "collections.namedtuple",
     "torch.load", "functools.partial", "pathlib.PosixPath", "copyreg._reconstructor", "numpy.ndarray"],
)  # fmt: skip
def test_names_outside_of_the_list_are_refused(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    with pytest.raises(CheckpointError) as raised:
        run(b"}X\x04\x00\x00\x00argsc" + f"{module}\n{attribute}\n".encode() + b")Rs.")
    assert raised.value.code == "unsafe-pickle"
    assert raised.value.what == f"its pickle names {name} at 'args', which weightscope does not run"


MALFORMED = {
    "pop of nothing": b"00N.",
    "append to nothing": b"a.",
    "append to a dict": b"}Na.",
    "item of a list": b"]NNs.",
    "odd items": b"}(Nu.",
    "no mark": b"t.",
    "memo never made": b"h\x05.",
    "long memo never made": b"j\xff\xff\xff\xff.",
    "memo number": b"Np-1\n.",
    "empty stack": b"..",
    "unknown opcode": b"\xff.",
    "protocol": b"\x80\x06N.",
    "unhashable key": b"}]Ns.",
    "call of a value": b"N)R.",
    "call with a list": b"ccollections\nOrderedDict\n]R.",
    "call of a type": b"c__builtin__\nint\n)R.",
    "wrong arguments": b"ccollections\nOrderedDict\n(NNtR.",
    "pairs that are none": b"ccollections\nOrderedDict\n](Nae\x85R.",
    "factory of a value": b"ccollections\ndefaultdict\nK\x01\x85R.",
    "keyword arguments": b"ccollections\nOrderedDict\n)}U\x01aNs\x92.",
    "bad utf-8": b"X\x01\x00\x00\x00\xff.",
    "bad number": b"Iten\n.",
    "bad float": b"Fx\n.",
    "too many digits": b"L" + b"9" * 10_000 + b"L\n.",
    "long integer": b"\x8b\x00\x10\x00\x00" + b"\x01" * 4096 + b".",
    "negative length": b"\x8b\xff\xff\xff\xff.",
    "negative string": b"T\xff\xff\xff\xff.",
    "unquoted": b"Sabc\n.",
    "persistent": b"NQ.",
    "text persistent": b"Pabc\n.",
    "extension": b"\x82\x01.",
    "out of band": b"\x97.",
    "state of a tuple": b")Nb.",
    "codec": b"c_codecs\nencode\n(U\x01aU\x03rottR.",
    "encode of a list": b"c_codecs\nencode\n(]U\x06latin1tR.",
    "global that is no text": b"NN\x93.",
    "line without end": b"V" + b"x" * (1 << 21),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed(data: bytes) -> None:
    with pytest.raises(CheckpointError) as raised:
        run(data)
    assert raised.value.code == "malformed-header"


TRUNCATED = {
    "nothing": b"",
    "no stop": b"N",
    "within a number": b"J\x01\x00",
    "within a text": b"X\x05\x00\x00\x00ab",
    "within a line": b"cos",
    "BINBYTES8": b"\x8e" + b"\xff" * 7 + b"\x0fx",
    "BINUNICODE8": b"\x8d\x00\x00\x00\x00\x01\x00\x00\x00x",
    "BYTEARRAY8": b"\x96\x00\x00\x00\x10\x00\x00\x00\x00x",
    "BINUNICODE": b"X\xff\xff\xff\x1fx",
    "FRAME": b"\x80\x04\x95\x00\x00\x00\x00\x01\x00\x00\x00N.",
}


@pytest.mark.parametrize("data", TRUNCATED.values(), ids=TRUNCATED)
def test_truncated_or_absurd_lengths_allocate_nothing(data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(CheckpointError) as raised:
        run(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert raised.value.code in ("truncated-file", "malformed-header")
    assert peak < 1_000_000


def test_a_memo_index_costs_its_entry_only() -> None:
    tracemalloc.start()
    assert run(b"Nr\xff\xff\xff\xffr\xfe\xff\xff\x7f.") is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


def test_deep_nesting_needs_no_recursion() -> None:
    depth = 100_000
    value = run(b"]" * depth + b"a" * (depth - 1) + b".")
    levels = 0
    while isinstance(value, list) and value:
        value, levels = value[0], levels + 1
    assert levels == depth - 1
    del value
    run(b"N" + b"\x85" * depth + b".")


@pytest.mark.parametrize(
    "data",
    [b")q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"}h\x00Ns.", b"}N" + b"\x85" * 500_000 + b"Ns."],
    ids=["tuples that double", "a deep tuple"],
)
def test_a_key_is_not_hashed_in_depth(data: bytes) -> None:
    start = time.process_time()
    run(data)
    assert time.process_time() - start < 2


def test_keys_that_collide_stay_cheap() -> None:
    modulus = (1 << 61) - 1
    items = b"".join(pickle.dumps(i * modulus, 2)[2:-1] + b"N" for i in range(1, 20_000))
    start = time.process_time()
    value = run(b"}(" + items + b"u.")
    assert time.process_time() - start < 2
    assert isinstance(value, dict)
    assert len(value) == 19_999


def test_copies_of_one_container_are_bounded() -> None:
    big = b"](" + b"N" * 1000 + b"eq\x00"
    pairs = b"](" + b"NN\x86" * 1000 + b"eq\x01"
    with pytest.raises(CheckpointError, match="copies its own contents too many times"):
        run(pairs + b"ccollections\nOrderedDict\nq\x02" + b"h\x02h\x01\x85R" * 5000 + b".")
    with pytest.raises(CheckpointError, match="copies its own contents too many times"):
        run(b"X\x00\xff\x00\x00" + b"a" * 0xFF00 + b"q\x00c_codecs\nencode\nq\x01" + b"h\x01h\x00\x85R" * 5000 + b".")
    assert run(big + b"c__builtin__\nset\nq\x02" + b"h\x02h\x00\x85R" * 5000 + b"N.") is None


def test_a_cycle_is_only_a_reference() -> None:
    value = run(b"]q\x00h\x00a.")
    assert isinstance(value, list)
    assert value[0] is value


def test_what_is_built_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weightscope.checkpoint.pickle_machine.MAX_BUILT", 10_000)
    with pytest.raises(CheckpointError, match=r"builds more than [\d,]+ bytes of objects"):
        run(b"N0" * 600 + b"N.")


def measured(data: bytes) -> tuple[int, int]:
    """What a pickle is held to build, and what it takes, in bytes."""
    machine = Machine(data, where=WHERE, supported=PLAIN)
    gc.collect()
    tracemalloc.start()
    # What is built is kept, as the analysis of it keeps it.
    kept = load(machine)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return machine.spare, taken


COUNT = 50_000
BUILDERS = {
    "marks": b"(" * COUNT + b"1" * COUNT + b"N.",
    "marks that hold something": b"(N" * COUNT + b"1" * COUNT + b"N.",
    "empty lists": b"](" + b"]" * COUNT + b"e.",
    "lists of one": b"](" + b"]Na" * COUNT + b"e.",
    "empty dicts": b"](" + b"}" * COUNT + b"e.",
    "dicts of one": b"](" + b"}NNs" * COUNT + b"e.",
    "1-tuples": b"](" + b"N\x85" * COUNT + b"e.",
    "nested tuples": b"N" + b"\x85" * COUNT + b".",
    "2-tuples": b"](" + b"NN\x86" * COUNT + b"e.",
    "empty tuples by mark": b"](" + b"(t" * COUNT + b"e.",
    "memo entries": b"N" + b"\x94" * COUNT + b".",
    "memo entries far apart": b"N" + b"".join(b"r" + struct.pack("<I", 7919 * i) for i in range(COUNT)) + b".",
    "references": b"]q\x00(" + b"h\x00" * COUNT + b"e.",
    "duplicates": b"](N" + b"2" * COUNT + b"e.",
    "keys": b"}(" + b"".join(b"J" + struct.pack("<i", 7919 * i) + b"N" for i in range(COUNT)) + b"u.",
    "numbers": b"](" + b"J\x00\x00\x00\x40" * COUNT + b"e.",
    "floats": b"](" + b"G12345678" * COUNT + b"e.",
    "short text": b"](" + b"U\x02ab" * COUNT + b"e.",
    "wide text": b"](" + (b"X\x68\x00\x00\x00" + b"a" * 100 + "\U0001f642".encode()) * COUNT + b"e.",
    "long integers": b"](" + (b"\x8a\xff" + b"\x7f" * 255) * COUNT + b"e.",
    "ordered dicts": b"](ccollections\nOrderedDict\nq\x00" + b"h\x00)R" * COUNT + b"e.",
    "byte strings": b"](" + b"C\x02ab" * COUNT + b"e.",
}


@pytest.fixture(scope="module")
def weighed() -> dict[str, tuple[int, int]]:
    """What is measured of each, in a process of its own: what other tests have left here would count as well."""
    code = f"import json; from {__name__} import *; print(json.dumps({{k: measured(v) for k, v in BUILDERS.items()}}))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return json.loads(told)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", BUILDERS)
def test_what_is_built_takes_no_more_than_it_weighs(name: str, weighed: dict[str, tuple[int, int]]) -> None:
    spare, taken = weighed[name]
    assert taken < MAX_BUILT - spare < 16 * taken


def test_a_pickle_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weightscope.checkpoint.pickle_machine.MAX_BYTES", 1000)
    with pytest.raises(CheckpointError, match="is longer than 1,000 bytes"):
        run(b"X\x00\x10\x00\x00" + b"x" * 0x1000 + b".")


def test_no_name_in_the_list_is_more_than_a_marker() -> None:
    assert all(isinstance(entry, Global) for entry in PLAIN.values())
    assert run(b"cbuiltins\nint\n.") is PLAIN["builtins.int"]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    message = ""
    try:
        run(data)
    except WeightscopeError as error:
        message = str(error)
    assert message.isprintable()
