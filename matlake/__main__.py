"""The command ``matlake``, also as ``python -m matlake``."""

from matlake.interrupts import stop_at_signals


def main() -> None:
    """Run the command line; an interrupt is one line from the first import on."""
    stop_at_signals()
    from matlake.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
