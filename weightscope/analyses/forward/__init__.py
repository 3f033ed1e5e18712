"""The reference pass: run it, watch it, judge it, hold it against what is expected."""
