"""What one would write instead of a command of matlake: a script of a few lines, with the usual libraries.

    python -m benchmarks.helpers.felt_peer WHAT LAKE FOLDER FORMULA

``FOLDER`` holds what ``felt.py`` has prepared.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

K: Final = 10


def main() -> None:
    """Do one of them, and import no more than that takes."""
    what, lake, folder, formula = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    if what == "help":
        argparse.ArgumentParser(prog="peer", description="A script.").print_help()
    elif what == "sql":
        import duckdb

        print(duckdb.execute("select 1").fetchall())
    elif what == "status":
        from deltalake import DeltaTable

        for path in sorted((lake / "datasets").iterdir()):
            print(path.name, DeltaTable(path).count())
    elif what == "predict":
        import joblib

        from benchmarks.helpers.server_peer import Request, elemnet_features

        made = joblib.load(folder / "served" / "gap-svr.joblib")
        x = elemnet_features(made["encoder"], made["layers"])(Request(formulas=[formula]))
        print(json.dumps(made["regressor"].predict(x).tolist()))
    elif what == "search":
        import numpy as np
        import pandas as pd

        from benchmarks.helpers.server_peer import Request, elemnet_features

        table = pd.read_parquet(folder / "vectors.parquet")
        vectors = np.stack(list(table["vector"]))
        query = elemnet_features("elemnet-oqmd-formation-energy", 2)(Request(formulas=[formula]))
        distances = np.linalg.norm(vectors - query, axis=1)
        for place in np.argsort(distances)[:K].tolist():
            print(table["formula"][place], distances[place])


if __name__ == "__main__":
    main()
