"""Hostile files and servers, made from a seed: each input ends in a result or in one line, or it is a find.

`python -m fuzz --help` says how to run it. It is no part of the package that is installed.
"""
