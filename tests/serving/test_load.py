"""Many clients at once: each gets its own answer, and they share runs of the encoder."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running_server import Running
from samples import GAPS

import matlake
from matlake.materials.structure_files.sniff import parse_structure
from matlake.regress.prediction.opened_head import open_head

CLIENTS = 64


@pytest.mark.parametrize("head", ["gap", "modulus"])
def test_answers_under_load_are_those_of_predict_alone(
    served_lake: matlake.Lake, server: Running, elastic: pa.Table, head: str
) -> None:
    predictor = open_head(served_lake, head)
    if head == "gap":
        kind, texts = "formulas", pq.read_table(GAPS)["formula"].to_pylist()[1::15]
        alone = [predictor.predict([text]) for text in texts]
    else:
        kind, texts = "structures", elastic["poscar"].to_pylist()
        alone = [predictor.predict_crystals([parse_structure(text)]) for text in texts]
    before = _batches(server, head, kind)

    def ask(client: int) -> None:
        chooser = random.Random(client)  # noqa: S311 - which rows are asked about
        for _ in range(8):
            rows = [chooser.randrange(len(texts)) for _ in range(chooser.choice([1, 1, 1, 3, 20]))]
            answer = server.post("/v1/predict", {"head": head, kind: [texts[row] for row in rows]})
            assert answer.status == 200
            found: list[dict[str, Any]] = answer.document["predictions"]
            for row, one in zip(rows, found, strict=True):
                expected = alone[row]
                assert one["value"] == pytest.approx(float(expected.values[0]), rel=1e-5, abs=1e-5)
                assert one["lower"] == pytest.approx(float(expected.lower[0]), rel=1e-4, abs=1e-4)
                assert one["ood_score"] == pytest.approx(float(expected.ood_scores[0]), rel=1e-3, abs=1e-4)
                if kind == "formulas":
                    assert one["input"] == texts[row]

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(ask, range(CLIENTS)))
    runs, requests = (after - earlier for after, earlier in zip(_batches(server, head, kind), before, strict=True))
    assert requests == CLIENTS * 8
    assert runs < requests / 2


def _batches(server: Running, head: str, kind: str) -> tuple[int, int]:
    """Return runs so far, and the requests in them."""
    lines = dict(line.rsplit(" ", 1) for line in server.get("/metrics").body.decode().splitlines() if line[0] != "#")
    queue = f'{{queue="head {head}, {kind}"}}'
    return (
        int(float(lines[f"matlake_batch_requests_count{queue}"])),
        int(float(lines[f"matlake_batch_requests_sum{queue}"])),
    )
