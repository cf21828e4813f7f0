from . import plots as plots
from . import sklearn as sklearn
from .api.head import Head as Head
from .api.lake import Lake as Lake
from .api.lake import open_lake as open_lake
from .diagnosis.doctor import doctor as doctor
from .encoders.encode import encode as encode
from .encoders.encoder import Encoder as Encoder
from .encoders.encoder import open_encoder as open_encoder
from .encoders.registry import list_encoders as list_encoders
from .encoders.verify import verify_encoder as verify_encoder
from .errors import DamageWarning as DamageWarning
from .errors import MatlakeError as MatlakeError
from .maps.make import make_map as make_map
from .maps.request import MapRequest as MapRequest
from .materials.crystal import Crystal as Crystal
from .materials.formula import Composition as Composition
from .materials.formula import parse_formula as parse_formula
from .materials.structure_files.sniff import parse_structure as parse_structure
from .progress import Progress as Progress
from .regress.finetuning.finetune import FinetuneRequest as FinetuneRequest
from .regress.finetuning.finetune import finetune as finetune
from .regress.heads.request import TrainRequest as TrainRequest
from .regress.heads.train import train as train
from .regress.prediction.predict import predict as predict
from .regress.prediction.predict import predict_structures as predict_structures
from .regress.prediction.predict_dataset import predict_dataset as predict_dataset
from .regress.prediction.predict_table import predict_table as predict_table
from .regress.prediction.predict_table import predict_to_file as predict_to_file
from .regress.suggesting.acquisition import Goal as Goal
from .regress.suggesting.suggest import SuggestRequest as SuggestRequest
from .regress.suggesting.suggest import suggest as suggest
from .store.embedding.embedder import embed as embed
from .store.importing.importer import import_table as import_table
from .store.maintenance.check import check as check
from .store.maintenance.compact import compact as compact
from .store.searching.dedupe import DedupeRequest as DedupeRequest
from .store.searching.dedupe import dedupe as dedupe
from .store.searching.diverse import DiverseRequest as DiverseRequest
from .store.searching.diverse import diverse as diverse
from .store.searching.index import Index as Index
from .store.searching.index import open_index as open_index
from .store.searching.search import SearchRequest as SearchRequest
from .store.searching.search import search as search
from .store.status import status as status
from .studies.extrapolation.evaluate import evaluate_extrapolation as evaluate_extrapolation
from .studies.extrapolation.methods import ExtrapolationRequest as ExtrapolationRequest
from .studies.matbench.evaluate import evaluate_matbench as evaluate_matbench
from .studies.matbench.request import MatbenchRequest as MatbenchRequest
from .studies.transfer.configurations import TransferRequest as TransferRequest
from .studies.transfer.evaluate import evaluate_transfer as evaluate_transfer

__version__: str

__all__ = [
    "Composition",
    "Crystal",
    "DamageWarning",
    "DedupeRequest",
    "DiverseRequest",
    "Encoder",
    "ExtrapolationRequest",
    "FinetuneRequest",
    "Goal",
    "Head",
    "Index",
    "Lake",
    "MapRequest",
    "MatbenchRequest",
    "MatlakeError",
    "Progress",
    "SearchRequest",
    "SuggestRequest",
    "TrainRequest",
    "TransferRequest",
    "check",
    "compact",
    "dedupe",
    "diverse",
    "doctor",
    "embed",
    "encode",
    "evaluate_extrapolation",
    "evaluate_matbench",
    "evaluate_transfer",
    "finetune",
    "import_table",
    "list_encoders",
    "make_map",
    "open_encoder",
    "open_index",
    "open_lake",
    "parse_formula",
    "parse_structure",
    "plots",
    "predict",
    "predict_dataset",
    "predict_structures",
    "predict_table",
    "predict_to_file",
    "search",
    "sklearn",
    "status",
    "suggest",
    "train",
    "verify_encoder",
]
