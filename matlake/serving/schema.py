"""What requests may hold, and what the documentation says of answers."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, ValidationError

from matlake.serving.errors import RequestError
from matlake.serving.lake_schema import MaterialName

_SHOWN: Final = 3  # problems of one request
_NAME_SHOWN: Final = 40  # characters of a field that does not exist

# with fail_fast, a million wrong entries are one error
Formulas = Annotated[
    list[str] | None,
    Field(fail_fast=True, description="Chemical formulas, such as `BaZrS3`; give these or `structures`."),
]
Structures = Annotated[
    list[str] | None,
    Field(
        fail_fast=True,
        description="Texts of CIF or POSCAR files, or of pymatgen's JSON, one crystal each; give these or `formulas`.",
    ),
]
Columns = Annotated[
    dict[str, Annotated[list[float | bool | None], Field(fail_fast=True)] | float | bool | None] | None,
    Field(
        description="Values of the columns among the head's features, "
        'such as `{"temperature_K": [300, 600]}`: one for each material, or one for all. '
        "`/v1/heads` lists the columns of each head. A material without a value is in `failed`.",
    ),
]
EncoderName = Annotated[
    str | None,
    Field(description="`NAME` or `NAME@LAYER`; default: the first feature of the first head."),
]


class PredictRequest(BaseModel, extra="forbid", strict=True):
    """Materials to predict a property of."""

    head: Annotated[str | None, Field(description="Name of a head; optional if one is served.")] = None
    formulas: Formulas = None
    structures: Structures = None
    columns: Columns = None
    coordinates: Annotated[
        bool, Field(description="Also return where each material lies on the map of the training set.")
    ] = False


class EmbedRequest(BaseModel, extra="forbid", strict=True):
    """Materials to embed."""

    encoder: EncoderName = None
    formulas: Formulas = None
    structures: Structures = None


class SearchRequest(BaseModel, extra="forbid", strict=True):
    """Materials to find the nearest neighbours of, in the lake."""

    encoder: EncoderName = None
    formulas: Formulas = None
    structures: Structures = None
    materials: Annotated[
        list[MaterialName] | None,
        Field(
            fail_fast=True,
            max_length=100,
            description="Materials of the lake; give these, `formulas` or `structures`. They are not neighbours of "
            "themselves.",
        ),
    ] = None
    k: Annotated[int, Field(ge=1, description="Neighbours of each material.")] = 10
    dataset: Annotated[str | None, Field(description="Only materials of this dataset.")] = None


class CrystalRequest(BaseModel, extra="forbid", strict=True):
    """A structure to draw."""

    structure: Annotated[str, Field(description="Text of a CIF or POSCAR file, or of pymatgen's JSON.")]


class Problem(BaseModel):
    """Why there is no answer."""

    error: str
    hint: str


class TrainingNeighbour(BaseModel):
    """A training material near the input."""

    dataset: str
    material_id: str
    formula: str
    value: Annotated[float, Field(description="Measured, in the head's unit.")]
    distance: Annotated[float, Field(description="In the scale of the out-of-distribution score.")]


class PredictedValue(BaseModel):
    """A prediction."""

    input: str
    columns: Annotated[
        dict[str, float] | None, Field(description="Values of the columns among the head's features, if it has any.")
    ] = None
    value: Annotated[float, Field(description="In the head's unit; of a yes/no property the probability of yes.")]
    label: Annotated[str | None, Field(description="Of a yes/no property: `yes` or `no`, the more probable one.")] = (
        None
    )
    label_set: Annotated[
        str | None, Field(description="Of a yes/no property: `yes`, `no` or `yes or no`, what cannot be excluded.")
    ] = None
    lower: Annotated[float | None, Field(description="Lower end of the interval.")] = None
    upper: Annotated[float | None, Field(description="Upper end of the interval.")] = None
    expected_error: Annotated[float | None, Field(description="Expected absolute error, in the unit.")] = None
    ood_score: Annotated[
        float | None,
        Field(description="Distance to the training materials; 1 is the 95th percentile of those themselves."),
    ] = None
    novelties: Annotated[list[str], Field(description="Elements that fewer than ten training materials hold.")] = []
    doubts: Annotated[
        list[str],
        Field(description="Reasons for low confidence, in words; none if there are none."),
    ] = []
    warnings: Annotated[list[str], Field(description="The same as `doubts`.")] = []
    nearest: list[TrainingNeighbour] = []
    coordinates: Annotated[list[float] | None, Field(description="On the map, if requested.")] = None


class FailedRow(BaseModel):
    """A material without an answer."""

    row: Annotated[int, Field(description="Its place in the request, from 0.")]
    input: str | None
    reason: str


class PredictResponse(BaseModel):
    """Predictions in the order of the request, and what could not be predicted."""

    head: str
    target: str
    unit: str
    kind: Annotated[str, Field(description="`number`, or `yes/no`: then values are probabilities of yes.")]
    level: Annotated[
        float | None,
        Field(
            description="Share of intervals, or sets of labels, that hold the measured value, over many materials like "
            "those in training."
        ),
    ]
    mae: Annotated[float, Field(description="Mean absolute error of the head on its test rows.")]
    score_ranks_errors: Annotated[
        bool | None,
        Field(description="Whether larger out-of-distribution scores went with larger errors on the test rows."),
    ]
    notes: Annotated[list[str], Field(description="What a reader has to know about the head, in words.")]
    predictions: list[PredictedValue]
    failed: list[FailedRow]


class Embedding(BaseModel):
    """A vector."""

    input: str
    vector: list[float]


class EmbedResponse(BaseModel):
    """Embeddings in the order of the request."""

    encoder: str
    layer: str
    sha256: Annotated[str, Field(description="Digest of the encoder's file.")]
    dim: int
    embeddings: list[Embedding]
    failed: list[FailedRow]


class LakeNeighbour(BaseModel):
    """A material of the lake."""

    dataset: str
    material_id: str
    formula: str
    distance: float


class Neighbourhood(BaseModel):
    """What is nearest to one material of the request, nearest first."""

    input: str
    neighbours: list[LakeNeighbour]


class SearchResponse(BaseModel):
    """Neighbours of each material, in the order of the request."""

    encoder: str
    layer: str
    results: list[Neighbourhood]
    failed: list[FailedRow]


class MapResponse(BaseModel):
    """Training materials in the plane of their two widest directions, and how their values are distributed."""

    head: str
    target: str
    unit: str
    x: list[float]
    y: list[float]
    value: list[float]
    formula: list[str]
    dataset: list[str]
    material_id: list[str]
    histogram: Annotated[dict[str, list[float]], Field(description="`edges` and `counts` of all values.")]


class HeadsResponse(BaseModel):
    """The heads that are served."""

    heads: list[dict[str, Any]]
    limits: Annotated[
        dict[str, int], Field(description="`rows`, `atoms`, `body_bytes` of a request, `neighbours` of a search.")
    ]


def parse(model: type[BaseModel], body: bytes) -> Any:
    """Read a body.

    Raises:
        RequestError: It is not valid JSON (400), or not what the model says (422).
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    if problems[0]["type"] == "json_invalid":
        raise RequestError(400, f"the body is not valid JSON: {problems[0]['msg']}", "send one JSON object, in UTF-8")
    shown = [
        f"{'.'.join(str(part)[:_NAME_SHOWN] for part in one['loc']) or 'body'}: {one['msg']}"
        for one in problems[:_SHOWN]
    ]
    more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
    raise RequestError(422, "; ".join(shown) + more, f"fields: {', '.join(model.model_fields)}; see /docs")
