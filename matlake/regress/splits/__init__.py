"""Splits: methods of holding out test rows, each for one question about a head. See docs/science/splits.md."""

from matlake.regress.splits.catalogue import SPLITS, Method, parse_split
from matlake.regress.splits.random_groups import grouped_folds, hold_out_groups, subsample
from matlake.regress.splits.split import HeldOut, Proposal, Rows, Split, find_trouble

__all__ = [
    "SPLITS",
    "HeldOut",
    "Method",
    "Proposal",
    "Rows",
    "Split",
    "find_trouble",
    "grouped_folds",
    "hold_out_groups",
    "parse_split",
    "subsample",
]
