"""``python -m matlake``."""

from matlake.cli.main import main

if __name__ == "__main__":
    main()
