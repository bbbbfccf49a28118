"""The trials of a search in a database, through Optuna's storage: SQLite in the run's folder, or a server by URL.

Every change is one transaction: a process that is killed loses no trial that was finished.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from aebert.cost_model.measurer import MeasuredCandidate
from aebert.pruning.candidate import Candidate
from aebert.records.source_kind import SourceKind
from aebert.search.space.search_space import Draw, Proposal
from aebert.search.space.trials import MAXIMISED, Aim, Outcome, Trial
from aebert.support.checked_files import FileTable, parse_json
from aebert.support.errors import AebertError
from aebert.support.sqlite_files import check_sqlite_file

_SQLITE_WAIT_S = 60
_MEASUREMENT = "measurement-"


class _StoredProposal(FileTable):
    round: int
    draw: Draw
    candidate: Candidate


class _StoredOutcome(FileTable):
    value: float
    facts: dict[str, float]
    lost: bool


class _StoredMeasurement(FileTable):
    """`MeasuredCandidate`, its candidate as JSON."""

    candidate: str
    latency_ms: float
    source: SourceKind
    device: str
    design: str


def sqlite_url(path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file."""
    return sqlalchemy.URL.create("sqlite", database=str(path.absolute())).render_as_string()


class Study:
    """Trials by number, in the order in which they were proposed.

    Raises AebertError for a URL that is none, a server that cannot be reached, and a study with other aims.
    """

    def __init__(self, url: str, name: str, aims: Sequence[Aim]) -> None:
        self._aims = tuple(aims)
        directions = [StudyDirection.MAXIMIZE if aim in MAXIMISED else StudyDirection.MINIMIZE for aim in self._aims]
        with _storage_errors(url):
            self._storage = _open_storage(url)
            before = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            try:
                self._study = optuna.create_study(
                    storage=self._storage, study_name=name, directions=directions, load_if_exists=True
                )
            finally:
                optuna.logging.set_verbosity(before)
            self._study_id = self._storage.get_study_id_from_name(name)
            found = self._study.directions
        if found != directions:
            raise AebertError(f"study {name!r}: has {len(found)} aims, not {', '.join(aims)}; start a new search")
        self._url = url

    def close(self) -> None:
        """Give the database back its connections."""
        self._storage.engine.dispose()

    def trials(self) -> list[Trial]:
        """All trials, those without an outcome included. Raises AebertError for a trial that another program wrote."""
        with _storage_errors(self._url):
            frozen = self._study.get_trials(deepcopy=False)
        return [_read_trial(trial) for trial in frozen]

    def add(self, number_of_round: int, proposals: Sequence[Proposal]) -> None:
        """New trials, to be evaluated."""
        with _storage_errors(self._url):
            for proposal in proposals:
                content = {"round": number_of_round, **asdict(proposal)}
                attributes = {"proposal": json.dumps(content, separators=(",", ":"))}
                self._study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs=attributes))

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """What came of a trial. A second telling is ignored."""
        with _storage_errors(self._url), suppress(UpdateFinishedTrialError):
            identity = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, trial.number)
            facts = {"facts": dict(outcome.facts), "lost": outcome.lost, "value": outcome.value}
            # The outcome counts from the second transaction on: until then the trial is evaluated again.
            self._storage.set_trial_user_attr(identity, "outcome", json.dumps(facts))
            self._study.tell(trial.number, list(outcome.values))

    def record(self, trial: Trial, measurement: MeasuredCandidate) -> None:
        """A measured latency of a trial, kept with the study, as a finished trial takes no more attributes."""
        facts = asdict(measurement) | {"candidate": measurement.candidate.to_json()}
        with _storage_errors(self._url):
            self._study.set_user_attr(f"{_MEASUREMENT}{trial.number}", json.dumps(facts))

    def measurements(self) -> dict[int, MeasuredCandidate]:
        """The recorded measurements by trial number."""
        with _storage_errors(self._url):
            stored = self._study.user_attrs
        found = {}
        for key, text in stored.items():
            told = parse_json(_StoredMeasurement, text, f"study: {key}", "give the storage of a search by aebert")
            facts = dict(told) | {"candidate": Candidate.from_json(told.candidate)}
            found[int(key.removeprefix(_MEASUREMENT))] = MeasuredCandidate(**facts)
        return found


def check_storage(url: str) -> None:
    """Raises AebertError for a URL that is none and a server or folder that is not there; writes nothing."""
    with _storage_errors(url):
        address = sqlalchemy.make_url(url)
        if address.get_backend_name() == "sqlite":
            file = Path(address.database or "")
            if not file.absolute().parent.is_dir():
                raise AebertError(f"storage {without_password(url)}: no such folder; check the URL")
            check_sqlite_file(file, "versions of optuna", ("version_info", "studies"))
            return
        engine = sqlalchemy.create_engine(address)
        try:
            engine.connect().close()
        finally:
            engine.dispose()


def _open_storage(url: str) -> optuna.storages.RDBStorage:
    if not url.startswith("sqlite"):
        return optuna.storages.RDBStorage(url)
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _SQLITE_WAIT_S}})
    storage.engine.dispose()
    # A write-ahead log takes one synchronisation per checkpoint instead of several per trial. What a killed process
    # had committed is safe; a power failure may take the last trials.
    sqlalchemy.event.listen(storage.engine, "connect", _use_write_ahead_log)
    return storage


def _use_write_ahead_log(connection: sqlalchemy.engine.interfaces.DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


@contextmanager
def _storage_errors(url: str) -> Iterator[None]:
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError, ImportError, sqlite3.Error, ValueError) as error:
        reason = (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0]
        raise AebertError(f"storage {without_password(url)}: {reason}; check the URL and the server") from None


def without_password(url: str) -> str:
    """``url`` as it may be shown and kept."""
    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return repr(url)


def _read_trial(trial: FrozenTrial) -> Trial:
    source, again = f"study: trial {trial.number} is not one of aebert's", "give the storage of a search by aebert"
    attributes = trial.user_attrs
    stored = parse_json(_StoredProposal, str(attributes.get("proposal", "")), source, again)
    outcome = None
    if trial.state == TrialState.COMPLETE:
        told = parse_json(_StoredOutcome, str(attributes.get("outcome", "")), source, again)
        outcome = Outcome(told.value, tuple(trial.values), told.facts, told.lost)
    return Trial(trial.number, stored.round, Proposal(stored.draw, stored.candidate), outcome)
