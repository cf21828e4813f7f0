"""Whatever is sent gets the right status and one clear reason, and the next request is answered."""

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from running_server import Answer, Running, serving
from structures import POSCAR

import matlake

KEY = "a-key-of-more-than-16"
JSON = "application/json"
GOOD = {"head": "gap", "formulas": ["TiO2"]}


@pytest.fixture(autouse=True)
def still_answering(server: Running) -> Iterator[None]:
    """After whatever a test has sent, others are answered."""
    yield
    assert server.post("/v1/predict", GOOD).status == 200


def assert_explained(answer: Answer, status: int, reason: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == JSON
    assert answer.document.keys() == {"error", "hint"}
    assert reason in answer.document["error"]
    assert answer.document["hint"]
    assert "Traceback" not in answer.body.decode()
    assert ".py" not in answer.body.decode()


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "the body is not valid JSON"),
        (b'{"head": "gap", "formulas": ["TiO2"', 400, "the body is not valid JSON"),
        (b"\xff\xfe", 400, "the body is not valid JSON"),
        (b"[" * 1_000_000, 400, "the body is not valid JSON"),
        (b'{"formulas": ["\\ud800"]}', 400, "the body is not valid JSON"),
        (b"[]", 422, "body: Input should be an object"),
        (b'{"head": "gap", "formulas": [NaN]}', 422, "formulas.0: Input should be a valid string"),
        (b'{"head": "gap", "formulas": "TiO2"}', 422, "formulas: Input should be a valid array"),
        (b'{"head": "gap", "formulas": [1, 2, 3]}', 422, "formulas.0"),
        (b'{"head": "gap", "formula": ["TiO2"]}', 422, "formula: Extra inputs are not permitted"),
        (b'{"head": "gap"}', 422, "neither formulas nor structures"),
        (b'{"head": "gap", "formulas": ["TiO2"], "structures": ["x"]}', 422, "both formulas and structures"),
        (b'{"formulas": ["TiO2"]}', 422, "no head is named"),
        (b'{"head": "gaps", "formulas": ["TiO2"]}', 404, "no head 'gaps' is served"),
        (b'{"head": "modulus", "formulas": ["TiO2"]}', 422, "head modulus needs crystal structures"),
    ],
)
def test_requests_that_are_wrong(server: Running, body: bytes, status: int, reason: str) -> None:
    assert_explained(server.ask("POST", "/v1/predict", body, Content_Type=JSON), status, reason)


def test_a_million_wrong_entries_are_one_error(server: Running) -> None:
    answer = server.ask("POST", "/v1/predict", b'{"formulas": [' + b"1," * 1_000_000 + b"1]}", Content_Type=JSON)
    assert_explained(answer, 422, "formulas.0")
    assert len(answer.body) < 1000


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_other_content_types_are_refused(server: Running, content_type: str) -> None:
    answer = server.ask("POST", "/v1/predict", json.dumps(GOOD).encode(), Content_Type=content_type)
    assert_explained(answer, 415, "not application/json")


def test_a_content_type_may_name_its_encoding(server: Running) -> None:
    body = json.dumps(GOOD).encode()
    assert server.ask("POST", "/v1/predict", body, Content_Type="Application/JSON; charset=utf-8").status == 200


def test_ten_megabytes_of_brackets_as_a_formula(served_lake: matlake.Lake, server: Running) -> None:
    question = {"head": "gap", "formulas": ["(" * 10_000_000]}
    assert_explained(server.post("/v1/predict", question), 413, "more than 8,388,608 bytes")
    with serving(served_lake, "gap", body_bytes=20_000_000) as (larger, _):
        answer = larger.post("/v1/predict", {"formulas": ["(" * 10_000_000, "TiO2", "(" * 999]})
    assert answer.status == 200
    assert [one["input"] for one in answer.document["predictions"]] == ["TiO2"]
    assert "10,000,000 characters" in answer.document["failed"][0]["reason"]
    assert len(answer.body) < 10_000  # what is refused is not sent back whole


def test_a_body_without_length_is_cut_off_at_the_limit(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"%x\r\n" % (1 << 20) + b" " * (1 << 20) + b"\r\n"
        with pytest.raises(OSError, match=r"reset|Broken"):  # noqa: PT012 - which of the sends fails is open
            for _ in range(1000):
                connection.sendall(piece)


def test_a_bomb_of_a_cif(server: Running) -> None:
    header = "data_bomb\n_cell_length_a 40\n_cell_length_b 40\n_cell_length_c 40\n"
    header += "".join(f"_cell_angle_{angle} 90\n" for angle in ("alpha", "beta", "gamma"))
    sites = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
    many = "".join(f"Si{n} 0.{n:06d} 0.2 0.3\n" for n in range(100_000))
    asked = server.post("/v1/predict", {"head": "modulus", "structures": [header + sites + many]})
    assert_explained(asked, 422, "structure 0: 100,000 atoms, more than 5,000; a request may have 5,000")
    # 192 operations turn each of a thousand sites into hundreds
    few = "".join(f"Si{n} 0.{n % 10}13 0.{n // 10 % 10}29 0.{n // 100}47\n" for n in range(1000))
    cubic = header + "_space_group_name_H-M_alt 'F m -3 m'\n" + sites + few
    for path, question in (
        ("/v1/predict", {"head": "modulus", "structures": [cubic]}),
        ("/v1/crystal", {"structure": cubic}),
    ):
        assert_explained(server.post(path, question), 422, "more than 5,000 atoms")
    deep = "data_x\n" + "loop_\n" * 200_000
    answer = server.post("/v1/predict", {"head": "modulus", "structures": [deep]})
    assert answer.status == 200
    assert answer.document["failed"][0]["reason"]


@pytest.mark.parametrize(
    "text",
    [
        "data_x\n_cell_length_a 5\n" + '"a ' * 80_000,
        "data_x\n_cell_length_a 5\n" + ('"a ' * 600 + "\n") * 20,
        "c\n1\n" + "1" * 100_000 + "x\n0 1 0\n0 0 1\nSi\n1\nd\n0 0 0\n",
        "c\n" + "1" * 100_000 + "x\n1 0 0\n0 1 0\n0 0 1\nSi\n1\nd\n0 0 0\n",
        '{"lattice": ' * 5000 + '"sites"',
    ],
)
def test_no_text_keeps_a_reader_busy(server: Running, text: str) -> None:
    """Patterns that try everything took minutes for each of these, and nobody else was answered meanwhile."""
    started = time.monotonic()
    answer = server.post("/v1/predict", {"head": "modulus", "structures": [text]})
    assert answer.status == 200
    assert answer.document["failed"][0]["reason"]
    assert time.monotonic() - started < 5


def test_structures_that_have_too_many_atoms_together(served_lake: matlake.Lake) -> None:
    with serving(served_lake, "modulus", atoms=7) as (small, _):
        assert small.post("/v1/predict", {"structures": [POSCAR] * 3}).status == 200
        answer = small.post("/v1/predict", {"structures": [POSCAR] * 4})
    assert_explained(answer, 422, "structures 0 to 3 have 8 atoms; a request may have 7")


def test_too_many_rows(server: Running) -> None:
    many = server.post("/v1/predict", {"head": "gap", "formulas": ["TiO2"] * 1001})
    assert_explained(many, 422, "1,001 formulas, more than 1,000 in one request")
    assert server.post("/v1/predict", {"head": "gap", "formulas": ["TiO2"] * 1000}).status == 200
    layer = {"encoder": "elemnet-oqmd-formation-energy@1", "formulas": ["TiO2"] * 1000}
    assert server.post("/v1/embed", layer).status == 200
    with_more = server.post("/v1/search", {"formulas": ["TiO2"], "k": 1001})
    assert_explained(with_more, 422, "k is 1,001")


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        ({"encoder": "nope", "formulas": ["TiO2"]}, 404, "no encoder named 'nope'"),
        ({"encoder": "../../etc", "formulas": ["TiO2"]}, 404, "is not an encoder name"),
        ({"encoder": "elemnet-oqmd-formation-energy@99", "formulas": ["TiO2"]}, 404, "has no layer '99'"),
        ({"encoder": "@", "formulas": ["TiO2"]}, 404, "is not NAME or NAME@LAYER"),
        ({"encoder": "cgcnn-mp-formation-energy", "formulas": ["TiO2"]}, 422, "takes crystal structures"),
    ],
)
def test_encoders_that_cannot_answer(server: Running, document: dict[str, object], status: int, reason: str) -> None:
    for path in ("/v1/embed", "/v1/search"):
        assert_explained(server.post(path, document), status, reason)


def test_unknown_paths_and_methods(server: Running) -> None:
    assert_explained(server.get("/v2/predict"), 404, "/v2/predict")
    assert_explained(server.get("/page/..%2fsettings"), 404, "Not Found")
    assert_explained(server.get("/page/__init__"), 404, "Not Found")
    wrong = server.get("/v1/predict")
    assert_explained(wrong, 405, "Method Not Allowed")
    assert wrong.headers["allow"] == "POST"


def test_without_the_key_nobody_gets_more_than_the_empty_page(served_lake: matlake.Lake) -> None:
    with serving(served_lake, "gap", api_key=KEY) as (locked, _):
        for path in ("/v1/heads", "/v1/heads/gap/map", "/metrics", "/docs", "/openapi.json", "/nope"):
            refused = locked.get(path)
            assert_explained(refused, 401, "no API key")
            assert refused.headers["www-authenticate"] == "Bearer"
        assert_explained(locked.post("/v1/predict", GOOD), 401, "no API key")
        for wrong in ("x", KEY + "x", KEY[:-1], "Ä" * 20):
            answer = locked.post("/v1/predict", GOOD, X_API_Key=wrong.encode().decode("latin-1"))
            assert_explained(answer, 401, "a wrong API key")
            assert KEY not in answer.body.decode()
        assert locked.post("/v1/predict", GOOD, X_API_Key=KEY).status == 200
        assert locked.post("/v1/predict", GOOD, Authorization=f"Bearer {KEY}").status == 200
        for path in ("/", "/page/page.js", "/healthz", "/readyz"):
            assert locked.get(path).status == 200


def test_a_fault_of_the_server_is_an_error_without_its_trace(
    served_lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("/secret/path.py is broken")

    with serving(served_lake, "gap") as (broken, started):
        monkeypatch.setattr(started.service.heads["gap"], "check_takes", fail)
        answer = broken.post("/v1/predict", GOOD)
        monkeypatch.undo()
        assert_explained(answer, 500, "an error inside the server")
        assert answer.headers["x-request-id"] in answer.document["hint"]
        assert broken.post("/v1/predict", GOOD).status == 200


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_a_failed_row_and_never_in_the_json(
    served_lake: matlake.Lake, value: float
) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    with serving(served_lake, "gap") as (server, started):
        head = started.service.heads["gap"].predictor.head
        session = head.session

        class Damaged:
            def run(self, *arguments: Any) -> Any:
                values, *others = session.run(*arguments)
                return [np.r_[values[:1], value, values[2:]], *others]

        object.__setattr__(head, "session", Damaged())
        answer = server.post("/v1/predict", {"formulas": ["TiO2", "GaN", "MgO"], "coordinates": True})
        assert answer.status == 200
        document = json.loads(answer.body, parse_constant=refuse)
        assert [one["input"] for one in document["predictions"]] == ["TiO2", "MgO"]
        assert [one["input"] for one in document["failed"]] == ["GaN"]
        assert "not finite" in document["failed"][0]["reason"]


def test_a_head_that_fails_to_run_is_a_500_in_json(served_lake: matlake.Lake) -> None:
    class Broken:
        def run(self, *_: Any) -> Any:
            raise RuntimeError("Non-zero status code returned\nwhile running Gather node")

    with serving(served_lake, "gap") as (server, started):
        object.__setattr__(started.service.heads["gap"].predictor.head, "session", Broken())
        answer = server.post("/v1/predict", {"formulas": ["TiO2"]})
    assert answer.status == 500
    assert "head gap fails to run: Non-zero status code returned while" in answer.document["error"]


def test_what_takes_too_long_or_is_too_much_at_once_is_put_off(served_lake: matlake.Lake) -> None:
    with serving(served_lake, "gap", request_s=0.0) as (hurried, _):
        assert_explained(hurried.post("/v1/predict", GOOD), 503, "no answer within 0 s")
    with serving(served_lake, "gap", requests=0) as (full, _):
        answer = full.post("/v1/predict", GOOD)
        assert_explained(answer, 503, "too busy")
        assert answer.headers["retry-after"] == "1"
        assert full.get("/healthz").status == 200
    with serving(served_lake, "gap", held_bytes=10) as (full, _):
        assert_explained(full.post("/v1/predict", GOOD), 503, "too many large bodies")
