"""`python -m weightscope`."""

from weightscope.cli import main

main()
