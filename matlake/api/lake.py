"""A lake in a notebook: each command is a method of the same name, which takes what a notebook holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, overload

from matlake.api.evaluations import Evaluations
from matlake.api.head import Head
from matlake.api.importing_vectors import VectorLake
from matlake.api.listings import Datasets, Encoders, Heads
from matlake.api.mapping import MappedLake
from matlake.api.query_result import QueryResult
from matlake.api.searching import SearchedLake
from matlake.errors import LakeError
from matlake.materials.crystal import MAX_ATOMS
from matlake.platforms import usable_cores
from matlake.progress import Progress, watched
from matlake.sequences import as_list, split_names
from matlake.store import lake as store
from matlake.store.folders import MEMBER
from matlake.store.storage.places import LakePath

if TYPE_CHECKING:
    from datetime import datetime

    from matlake.api.running_server import RunningServer
    from matlake.regress.prediction.predict import Predictions
    from matlake.regress.prediction.predict_table import WrittenPredictions
    from matlake.regress.splits import Split
    from matlake.regress.suggesting.suggest import Suggestions
    from matlake.store.embedding.embedder import EmbedReport
    from matlake.store.importing.importer import ImportReport
    from matlake.store.importing.joining import JoinReport
    from matlake.store.maintenance.compact import CompactReport
    from matlake.store.maintenance.report import CheckReport
    from matlake.store.status import Status

_NAMED: Final = 5  # datasets and heads that the repr of a lake names


@dataclass(frozen=True, repr=False)
class Lake(VectorLake):
    """An open lake.

    If a method takes ``progress``, True shows it in a notebook and on a terminal; a ``Progress`` receives it
    instead.
    """

    def __repr__(self) -> str:
        """Say where it is and what it holds, by name."""
        datasets, heads = self.dataset_names(), self.heads.names()
        return f"<lake at {self.path}: datasets {_some(datasets)}; heads {_some(heads)}>"

    def __dir__(self) -> list[str]:
        """Name what a notebook needs, for tab completion: not the folders and helpers of the store."""
        return [*vars(Lake), *vars(VectorLake), *vars(MappedLake), *vars(SearchedLake), "connect", "path"]

    @property
    def datasets(self) -> Datasets:
        """The datasets: ``list``, ``show``, ``delete``, ``rename``, ``export``."""
        return Datasets(self)

    @property
    def heads(self) -> Heads:
        """The trained heads: ``list``, ``show``, ``compare``, ``report``, ``calibrate``, ``delete``, ``export``."""
        return Heads(self)

    @property
    def encoders(self) -> Encoders:
        """Encoders: ``list``, ``show``, ``verify``, ``register``, ``delete``, ``label``, ``pretrain``, ``export``."""
        return Encoders(self)

    @property
    def evaluate(self) -> Evaluations:
        """Comparisons: ``extrapolation``, ``transfer``, ``matbench``."""
        return Evaluations(self)

    @property
    def failures(self) -> QueryResult:
        """Rows that are not valid materials, and materials that an encoder or a head does not take, with reasons."""
        return self.sql("SELECT * FROM failures")

    @overload
    def add(
        self,
        what: Any,
        dataset: str,
        *,
        formula: str | None = None,
        structure: str | None = None,
        id: str | None = None,
        max_atoms: int = MAX_ATOMS,
        progress: bool | Progress = True,
    ) -> "ImportReport": ...
    @overload
    def add(
        self,
        what: Any,
        *,
        join: str,
        id: str | None = None,
        progress: bool | Progress = True,
    ) -> "JoinReport": ...
    def add(
        self,
        what: Any,
        dataset: str | None = None,
        *,
        join: str | None = None,
        formula: str | None = None,
        structure: str | None = None,
        id: str | None = None,  # noqa: A002
        max_atoms: int = MAX_ATOMS,
        progress: bool | Progress = True,
    ) -> "ImportReport | JoinReport":
        """Add materials as a dataset, in place of one of that name. It is what ``matlake import`` does.

        Args:
            what: A DataFrame, an Arrow table; a list of formulas, pymatgen ``Structure``s or ASE ``Atoms``; a table or
                file of structures, or a folder of them, by its path; a source by its name.
            dataset: Name of the dataset, which is also its view in SQL.
            join: Add nothing but properties, to the materials of this dataset that have the same ids; columns that it
                had are replaced.
            formula: Column of formulas; by default one by a usual name.
            structure: Column of structures; likewise.
            id: Column of unique ids; likewise, else they are made up.
            max_atoms: Cells with more atoms become failures.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.

        Raises:
            SourceError: It cannot be read, a column is not there, or no row is a material.
            LakeError: The name cannot be a dataset's; there is none to join to; or both are named, or neither is.
        """
        if (dataset is None) == (join is None):
            raise LakeError("name a dataset to add, or with join the one that gets the properties")
        if join is not None and (formula is not None or structure is not None):
            raise LakeError("join adds properties alone", "leave out formula and structure")
        from matlake.api import adding

        with watched(progress, "importing", "rows") as reporter:
            if dataset is None:
                return adding.join(self, what, str(join), id=id, progress=reporter)
            return adding.add(
                self,
                what,
                dataset,
                formula=formula,
                structure=structure,
                id=id,
                max_atoms=max_atoms,
                progress=reporter,
            )

    def embed(
        self,
        *encoders: str | Iterable[str],
        dataset: str | None = None,
        where: str | None = None,
        device: str = "cpu",
        workers: int | None = None,
        shard: str | None = None,
        engine: str = "local",
        address: str | None = None,
        precision: str = "as-named",
        progress: bool | Progress = True,
    ) -> "EmbedReport":
        """Embed what is new or changed; after an interruption, call it again to resume.

        Args:
            encoders: ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or ``NAME@all``, one or several.
            dataset: Only this dataset.
            where: Only rows of ``materials`` that this SQL predicate selects.
            device: ``cpu`` or ``cuda``.
            workers: Threads; by default one per core. With Ray, actors; by default one for each CPU, or GPU.
            shard: ``3/8``: only what the fourth of eight jobs embeds, each a process on any machine.
            engine: ``local``: threads of this process; or ``ray``: actors on the nodes of a Ray cluster, which must all
                reach the lake.
            address: HOST:PORT of the head of the cluster; by default ``$RAY_ADDRESS``, or else Ray is started here.
            precision: ``as-named``; or ``auto``: in int8 where that is faster here and loses nothing. Its vectors are
                those of another encoder, ``NAME-int8``, which the report names.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.

        Raises:
            EncoderError: An encoder, layer or precision is unknown.
            LakeError: No encoder is named, there is no such dataset, or nothing to embed.
            QueryError: ``where`` is not a predicate over ``materials``.
            MissingExtraError: ONNX Runtime, the device or Ray is not there.
            MatlakeError: ``shard`` is not a shard; or there is no such engine, or no such cluster.
        """
        from matlake.store.embedding.embedder import embed

        features = [name for given in encoders for text in as_list(given) for name in split_names(text)]
        if not features:
            raise LakeError("no encoder is named", "name one or more, such as lake.embed('magpie'); see lake.encoders")
        with watched(progress, "embedding", "rows") as reporter:
            return embed(
                self,
                features,
                dataset=dataset,
                where=where,
                device=device,
                workers=workers,
                shard=shard,
                engine=engine,
                address=address,
                precision=precision,
                progress=reporter,
            )

    def sql(self, statement: str, *, memory_limit: str | None = None, max_seconds: float | None = None) -> QueryResult:
        """Run a read-only SQL statement; ``.df()``, ``.pl()``, ``.arrow()`` and ``.numpy()`` give its rows.

        Args:
            statement: One query over ``materials``, ``embeddings``, ``failures``, a dataset by its name, ….
            memory_limit: Memory that it may take, such as ``2GB``; by default a quarter of what there is.
            max_seconds: Stop it with an error after this many seconds; never by default.

        Raises:
            QueryError: The statement is wrong, is not a pure read, reaches outside the lake, or exceeds a limit.
        """
        return QueryResult(self.query(statement, memory_limit=memory_limit, max_seconds=max_seconds))

    def train(
        self,
        target: str | list[str],
        features: str | Iterable[str] = (),
        *,
        model: Any = "auto",
        dataset: str | None = None,
        where: str | None = None,
        split: "str | Split" = "random",
        name: str | None = None,
        seed: int = 0,
        max_fits: int | None = None,
        max_seconds: float | None = None,
        adversarial: str | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
        transform: str = "auto",
        weights: str | None = None,
        uncertainty: str | None = None,
        progress: bool | Progress = True,
    ) -> Head:
        """Train a head, test it on held-out rows, calibrate its intervals, and save it; ``head.training`` says more.

        Args:
            target: Property column, or an SQL expression of columns; several make one head.
            features: Embedded layers, side by side; descriptors such as ``magpie`` need not be embedded. None for
                ``fine-tune:ENCODER``.
            model: Name of a regressor, ``auto``, or a scikit-learn estimator; ``fine-tune:ENCODER`` trains the network
                of an encoder of crystals end to end.
            dataset: Only this dataset.
            where: Only rows of ``materials`` that this SQL predicate selects.
            split: How test rows are chosen: ``random``, ``cluster``, ``element:O``, ….
            name: Name of the head; by default the target and the model.
            seed: Seeds everything random.
            max_fits: Stop the model search after this many fits.
            max_seconds: Stop it after this many seconds.
            adversarial: ``cal`` or ``sal``, for an IR-net.
            minimum: Smallest possible value, in the target's unit.
            maximum: Largest possible value.
            transform: Learn ``log`` or ``sqrt`` of the property; ``none``; or ``auto``.
            weights: Column or SQL expression: how much each row counts.
            uncertainty: Column or SQL expression: standard uncertainty of each label, in the target's unit.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.

        Raises:
            MatlakeError: See ``matlake.train`` and ``matlake.TrainRequest``.
        """
        from matlake.regress.heads.card import Budget
        from matlake.regress.heads.request import TrainRequest
        from matlake.regress.heads.train import train

        request = TrainRequest(
            target=target,
            features=split_names(features) if isinstance(features, str) else as_list(features),
            model=model,
            dataset=dataset,
            where=where,
            split=split,
            name=name,
            seed=seed,
            budget=Budget(max_fits or Budget.fits, max_seconds),
            adversarial=adversarial,
            minimum=minimum,
            maximum=maximum,
            transform=transform,
            weights=weights,
            uncertainty=uncertainty,
        )
        with watched(progress, "choosing a model", "fits") as reporter:
            result = train(self, request, reporter)
        return Head(self, result.card.name.partition(MEMBER)[0], result)

    def finetune(
        self,
        head: str | Head,
        where: str,
        *,
        method: str = "plain",
        name: str | None = None,
        seed: int = 0,
        progress: bool | Progress = True,
    ) -> Head:
        """Fine-tune an IR-net on a target domain, measure it before and after, and save it as a new head.

        Args:
            head: The head of an IR-net.
            where: SQL predicate that selects the materials of the target domain.
            method: ``plain``, ``cal`` or ``cal-inputs``.
            name: Name of the new head; by default that of the old one and the method.
            seed: Seeds everything random.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.

        Raises:
            MatlakeError: See ``matlake.finetune``.
        """
        from matlake.extras import require_extra

        require_extra("train", "fine-tuning")
        from matlake.regress.finetuning.finetune import FinetuneRequest, finetune

        with watched(progress, "fine-tuning", "fits") as reporter:
            result = finetune(self, FinetuneRequest(_name(head), where, method, name, seed), reporter)
        return Head(self, result.card.name, result)

    def head(self, name: str) -> Head:
        """Return a trained head.

        Raises:
            HeadError: There is none of that name.
        """
        return Head(self, name)

    @overload
    def predict(self, head: str | Head, what: Any, *, output: None = None, **options: Any) -> "Predictions": ...
    @overload
    def predict(
        self, head: str | Head, what: str | Path, *, output: str | Path, **options: Any
    ) -> "WrittenPredictions": ...
    def predict(
        self, head: str | Head, what: Any, *, output: str | Path | None = None, **options: Any
    ) -> "Predictions | WrittenPredictions":
        """Predict with a head; see ``Head.predict``. ``lake.head(name)`` is faster when it is asked many times."""
        return self.head(_name(head)).predict(what, output=output, **options)

    def suggest(self, head: str | Head, n: int = 20, **options: Any) -> "Suggestions":
        """Suggest which materials of the lake to measure next; see ``Head.suggest``."""
        return self.head(_name(head)).suggest(n, **options)

    def serve(
        self,
        *heads: str | Head,
        host: str = "127.0.0.1",
        port: int = 8080,
        allowed_hosts: Iterable[str] = (),
        api_key: str | None = None,
        log_level: str = "warning",
        heads_only: bool = False,
    ) -> "RunningServer":
        """Serve heads over HTTP from a thread: an API, its documentation, and a web page.

        Args:
            heads: One head or several.
            host: Address to listen at.
            port: Port; 0 for any that is free.
            allowed_hosts: Names of hosts that requests may be for, such as that of a proxy.
            api_key: Key that requests must have; by default none.
            log_level: ``info`` logs each request on stderr, ``warning`` what went wrong.
            heads_only: Answer only for heads: no datasets, no SQL, no search among the materials of the lake.

        Returns:
            The server: ``server.url``, ``server.stop()``; ``server.wait()`` as the last line of a script.

        Raises:
            HeadError: There is no such head, or none is named.
            SourceError: The address cannot be listened at.
            MissingExtraError: The extra ``serve`` is not installed.
        """
        from matlake.extras import require_extra

        require_extra("serve", "serving")
        from matlake.api.running_server import RunningServer
        from matlake.serving.settings import Settings

        names = tuple(map(_name, heads)) or tuple(self.heads)
        settings = Settings(
            names, host, port, tuple(allowed_hosts), api_key, log_level=log_level, heads_only=heads_only
        )
        return RunningServer(self, settings)

    def quickstart(self, *, progress: bool | Progress = True) -> dict[str, Any]:
        """Go from import to plots on sample data in about two minutes, and return what was found.

        Raises:
            MissingExtraError: The extra ``quickstart`` is not installed.
        """
        from matlake.quickstart import quickstart

        return quickstart(self.path, print, partial(watched, progress), usable_cores())

    def status(self) -> "Status":
        """Count what is in the lake."""
        from matlake.store.status import status

        return status(self)

    def check(
        self, *, repair: bool = False, retention_hours: int = 24, progress: bool | Progress = True
    ) -> "CheckReport":
        """Compare everything with its digest, and repair what can be repaired; see ``matlake.check``."""
        from matlake.store.maintenance.check import check

        with watched(progress, "checking", "parts") as reporter:
            return check(self, repair=repair, retention_hours=retention_hours, progress=reporter)

    def compact(
        self, *, drop_unused: bool = False, retention_hours: int = 24, progress: bool | Progress = True
    ) -> "CompactReport":
        """Merge small parts, and remove unused files; see ``matlake.compact``."""
        from matlake.store.maintenance.compact import compact

        with watched(progress, "compacting", "partitions") as reporter:
            return compact(self, drop_unused=drop_unused, retention_hours=retention_hours, progress=reporter)


def open_lake(
    path: str | LakePath, *, create: bool = False, verify: bool | None = None, as_of: "str | datetime | None" = None
) -> Lake:
    """Open a lake, or make one.

    Args:
        path: Its folder; ``~`` is that of the user.
        create: Make it where there is none.
        verify: Compare every part with its digest before it is read; by default only if $MATLAKE_VERIFY is set.
        as_of: Read it as it was: at a time such as ``"2026-11-01T12:00Z"`` or a ``datetime``, both in UTC unless they
            name another zone; at the training of a head, ``"head:NAME"``; or with versions of datasets beside the
            present rest, ``"NAME=3"``. Heads can be trained from such a lake; its data cannot be changed.

    Raises:
        LakeError: There is no lake, its format is newer than this version reads, or the folder holds something else;
            or the lake has no such moment, or files of it were removed.
    """
    opened = store.open_lake(path, create=create, verify=verify, as_of=as_of)
    return Lake(opened.path.absolute(), opened.verify, opened.moment)  # a notebook may change its folder


def _name(head: str | Head) -> str:
    return head if isinstance(head, str) else head.name


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED]) or "none"
    return f"{shown}, … ({len(names)} in all)" if len(names) > _NAMED else shown
