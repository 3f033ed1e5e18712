"""The way in for the console script, and the one place where errors become words and exit codes.

Only what Python has imported at its start is imported here: `--version` needs no more, and everything else waits until
Ctrl-C is taken care of.
"""

import codecs
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# Widths that a terminal can have.
MAX_COLUMNS = 100_000


def run() -> "NoReturn":
    """`main` for a process of its own, which ends at once: to free 90,000 tensors one by one takes 20 ms."""
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, int) and _is_alone():
            try:
                sys.stderr.flush()
            finally:
                os._exit(end.code)
        raise


def main() -> "NoReturn":
    """Run the command line; exit codes are 0 fine, 1 found something, 2 could not be done."""
    _open_streams()
    # A run is short and keeps what it reads: collecting garbage only costs time.
    gc.disable()
    try:
        code = _run()
        # Whatever a stream refuses is said below, and not by the interpreter as it ends.
        sys.stdout.flush()
        sys.exit(code)
    except BrokenPipeError:
        # The reader left, as `head` does; what is still buffered must not be complained about at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        _fail_interrupted()
    except OSError as error:
        _fail(f"{error.filename or 'standard output'}: {error.strerror or error}", 2)
    except (MemoryError, RecursionError):
        _fail("out of memory: the files need more than this machine has", 2)
    except Exception as error:  # noqa: BLE001 - whatever it is, a user gets one line
        _report(error)
    finally:
        # The interpreter collects once more as it ends, over all that is not told to be permanent.
        gc.freeze()


def __getattr__(name: str) -> object:
    """`app`, for whoever wants the commands and not to run them."""
    if name == "app":
        from weightscope.commands.app import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _run() -> int:
    arguments = sys.argv[1:] or ["--help"]
    if arguments == ["--version"]:
        from weightscope import __version__

        print(f"weightscope {__version__}")
        return 0
    end_on_interrupt()
    _drop_odd_sizes()
    if "_WEIGHTSCOPE_COMPLETE" in os.environ:
        from weightscope.commands.app import complete

        return complete()
    from weightscope.commands.app import app_for
    from weightscope.interrupt import INTERRUPTED

    code: int = app_for(arguments)(arguments, prog_name="weightscope", standalone_mode=False) or 0
    # What typer makes of Ctrl-C.
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code


def end_on_interrupt() -> None:
    """From now on Ctrl-C ends the process."""
    from weightscope.interrupt import end_on_interrupt

    end_on_interrupt()


def _is_alone() -> bool:
    """Whether nothing waits for the interpreter to end: no thread, and no function to call at exit."""
    threading = sys.modules.get("threading")
    return "atexit" not in sys.modules and (threading is None or threading.active_count() == 1)


def _open_streams() -> None:
    """A stream that the caller closed is one that nobody reads; no name may be one that a stream cannot take."""
    codecs.register_error("weightscope", _spell)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the whole run
        setattr(sys, name, stream)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="weightscope")


def _spell(error: UnicodeError) -> tuple[str, int]:
    """What a stream's encoding lacks, as JSON spells it: Python's own `\\xe9` would break a document."""
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2)), error.end


def _drop_odd_sizes() -> None:
    """Forget a COLUMNS or LINES that is no size: libraries convert whatever is there."""
    for name in ("COLUMNS", "LINES"):
        value = os.environ.get(name, "1")
        if not (value.isascii() and value.isdecimal() and len(value) < 10 and 0 < int(value) <= MAX_COLUMNS):
            del os.environ[name]


def _report(error: Exception) -> "NoReturn":
    """Errors of our own and bad usage as one line; a fault of ours as one line too, with the way to the rest."""
    from weightscope.errors import WeightscopeError

    if isinstance(error, WeightscopeError):
        _fail(str(error), 2)
    if type(error).__name__ == "Abort":
        _fail_interrupted()
    if hasattr(error, "format_message"):
        command = getattr(getattr(error, "ctx", None), "command_path", "weightscope")
        _fail(f"{error.format_message().rstrip()} Try '{command} --help'.", 2)
    if os.environ.get("WEIGHTSCOPE_TRACEBACK"):
        _show_traceback(error)
    _fail(
        f"internal error ({type(error).__name__}: {error}); please report it. WEIGHTSCOPE_TRACEBACK=1 shows where",
        2,
    )


def _show_traceback(error: Exception) -> None:
    import traceback

    from weightscope.escapes import visible

    for line in "".join(traceback.format_exception(error)).split("\n"):
        print(visible(line), file=sys.stderr)


def _fail_interrupted() -> "NoReturn":
    from weightscope.interrupt import INTERRUPTED

    _fail("interrupted", INTERRUPTED)


def _fail(message: str, code: int) -> "NoReturn":
    from weightscope.errors import one_line

    print(f"weightscope: {one_line(message)}", file=sys.stderr)
    sys.exit(code)
