"""`python -m weightscope`, which Python starts with the working directory first among the places to import from."""

import sys

if __name__ == "__main__":
    # A downloaded folder may hold a msgspec.py, so it is taken out before anything else is imported. Even the
    # `from __future__` of other files is an import; hence there is none here, nor in weightscope/__init__.py.
    if not sys.flags.safe_path:
        here = sys.path[0]
        sys.path[:] = [place for place in sys.path[1:] if place not in (here, "", ".")]

    from weightscope.cli import run

    run()
