"""Tables as text: columns for a terminal, pipes for Markdown."""

from collections.abc import Collection, Sequence


def aligned(rows: Sequence[Sequence[str]], left: Collection[int]) -> list[str]:
    """Return a table in columns, some to the left, others to the right.

    Args:
        rows: The heading first.
        left: Columns that are aligned to the left.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def markdown_table(rows: Sequence[Sequence[str]], left: Collection[int]) -> str:
    """Return a Markdown table.

    Args:
        rows: The heading first.
        left: Columns that are aligned to the left.
    """
    alignment = ["---" if column in left else "---:" for column in range(len(rows[0]))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], alignment, *rows[1:]])
