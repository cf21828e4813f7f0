"""Networks by name and training tables, as a notebook asks for them."""

from dataclasses import replace
from typing import Any

import pytest
from extrapolation_samples import FIRST, POOLED, TARGET
from samples import CRYSTAL_ENCODER

import matlake
from matlake.errors import EncoderError, SourceError, TrainingError
from matlake.studies.extrapolation.end_to_end_networks import contents_of_tables, networks_by_name

REQUEST = matlake.ExtrapolationRequest(
    TARGET, ("value:high",), ((POOLED,),), models=("ridge",), parameters="default", seeds=1, name="notebook"
)


def test_a_study_with_networks_is_one_call(elastic: matlake.Lake) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    request = replace(REQUEST, networks=("cgcnn",), starts=("scratch",), epochs=1)
    result = matlake.evaluate_extrapolation(elastic, request)
    assert [method.method for method in result.report.splits[0].methods] == [
        *("mean", "nearest on A", "ridge on A", "scratch:cgcnn")
    ]
    assert {method.state for method in result.report.splits[0].methods} == {"measured"}
    assert matlake.evaluate_extrapolation(elastic, request).made == 0


@pytest.mark.parametrize(
    ("about", "error", "message"),
    [
        ({"networks": ("cgcnn",), "starts": ("warm",)}, TrainingError, "start from scratch or fine-tune, not warm"),
        ({"networks": ("nowhere",)}, EncoderError, "no encoder named 'nowhere'"),
        ({"training_tables": ("nowhere.parquet",)}, SourceError, "no file"),
    ],
)
def test_what_is_wrong_is_said(
    elastic: matlake.Lake, about: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        matlake.evaluate_extrapolation(elastic, replace(REQUEST, **about))


def test_an_architecture_stands_for_the_encoder_among_the_features(elastic: matlake.Lake) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    request = replace(REQUEST, networks=("cgcnn", CRYSTAL_ENCODER))
    for features in ([FIRST, "magpie"], ["magpie"]):
        found = networks_by_name(elastic, request, features)
        assert [network.name for network in found] == ["scratch:cgcnn", f"fine-tune:{CRYSTAL_ENCODER}"]
    assert networks_by_name(elastic, REQUEST, [FIRST]) == []


def test_without_tables_nothing_is_known_of_trainings(elastic: matlake.Lake) -> None:
    assert contents_of_tables(elastic, (), [CRYSTAL_ENCODER]) == {}
    with pytest.raises(SourceError, match="is not the table that any of these encoders was trained on"):
        contents_of_tables(elastic, ("elastic",), [CRYSTAL_ENCODER])
