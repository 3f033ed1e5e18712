"""Figures as SVG text: plain functions of numbers and words, without scripts, styles or anything to fetch."""
