"""Submitting a job once, whatever breaks, dies and is run again meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from batch_ways import WAYS, Sync
from fake_batches import FakeBatches, Fault, Json, Reply, answered, chat_answer
from langchain_core.output_parsers import StrOutputParser
from pydantic import BaseModel

from langchain_tamma_openai import (
    AuthenticationError,
    BatchJob,
    BatchStore,
    ConfigurationError,
    ConnectionFailedError,
    InvalidParameterError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
    StorageError,
    no_waiting,
)
from langchain_tamma_openai.batches.journal import Entry


class Killed(BaseException):
    """Ends everything, as a kill does: nobody catches it."""


@pytest.fixture(params=[*WAYS.values()], ids=[*WAYS])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Sync:
    return cast("Sync", request.param(tmp_path / "jobs"))


@pytest.fixture(autouse=True)
def _at_once() -> Iterator[None]:
    with no_waiting():
        yield


BROKEN = httpx2.ReadError("cut")
REFUSED = Reply({"error": {"message": "no", "type": "invalid_request_error"}}, 400)
DOWN = Reply({"error": {"message": "down"}}, 503)

# --- kills: each before and after what the API did ---

KILLS = [
    ("POST /files", False),
    ("POST /files", True),
    ("POST /batches", False),
    ("POST /batches", True),
]


@pytest.mark.parametrize(("step", "is_done"), KILLS)
@pytest.mark.parametrize("again", ["submit", "same id", "load"])
def test_a_kill_neither_loses_nor_repeats(
    way: Sync,
    step: str,
    is_done: bool,  # noqa: FBT001 - a parameter
    again: str,
) -> None:
    api = FakeBatches()
    api.faults = [Fault(step, Killed(), is_done)]
    job_id = None if again == "submit" else "nightly"
    with suppress(Killed):
        way.submit(api.model(), ["a", "b"], job_id=job_id)
    assert len(api.faults) == 1
    assert not api.faults[0].times
    if again == "load":
        job = way.load("nightly", api.model())
    else:
        job = way.submit(api.model(), ["a", "b"], job_id=job_id)
    assert len(api.batches) == 1
    assert [answer.text for answer in way.results(job)] == ["a", "b"]
    inputs = [name for name in api.names.values() if name.startswith("tamma-")]
    assert len(inputs) == 1
    assert not list(Path(way.store).glob("*.jsonl"))


def test_a_kill_in_the_second_file_goes_on_there(
    way: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    from langchain_tamma_openai.batches import limits

    monkeypatch.setattr(limits, "LIMITS", limits.BatchLimits(requests=1))
    api = FakeBatches()
    killed = Fault("POST /batches", Killed(), is_done=True, times=0)
    api.faults = [killed]
    api.answer = lambda name, body: answered(name, chat_answer(body["messages"][0]["content"]))

    def after_first(*_args: Any) -> Json:
        killed.times = len(api.batches)
        return original(*_args)

    original = api._create
    monkeypatch.setattr(api, "_create", after_first)
    with suppress(Killed):
        way.submit(api.model(), ["a", "b", "c"], job_id="three")
    monkeypatch.setattr(api, "_create", original)
    killed.times = 0
    job = way.load("three", api.model())
    assert len(api.batches) == 3
    assert [answer.text for answer in way.results(job)] == ["a", "b", "c"]


def test_a_kill_before_the_inputs_are_whole_leaves_nothing_to_go_on_with(
    way: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = FakeBatches()

    def inputs() -> Iterator[str]:
        yield "a"
        raise Killed

    with suppress(Killed):
        way.submit(api.model(), inputs(), job_id="nightly")
    assert api.requests == []
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with pytest.raises(NotFoundError, match="no job or batch 'nightly'"):
        way.load("nightly", api.model())
    assert way.results(way.submit(api.model(), ["a"], job_id="nightly"))[0].text == "a"


# --- the same job twice ---


def test_the_same_id_and_inputs_are_the_same_job(way: Sync) -> None:
    api = FakeBatches()
    first = way.submit(api.model(), ["a"], job_id="nightly")
    second = way.submit(api.model(), ["a"], job_id="nightly")
    assert first.batch_ids == second.batch_ids
    assert len(api.batches) == 1
    assert way.results(second)[0].text == "a"


def test_the_same_id_with_other_inputs_is_refused(way: Sync) -> None:
    api = FakeBatches()
    way.submit(api.model(), ["a"], job_id="nightly")
    with pytest.raises(InvalidParameterError, match="'nightly' stands for other inputs"):
        way.submit(api.model(), ["b"], job_id="nightly")
    assert len(api.batches) == 1


def test_the_same_inputs_without_an_id_are_two_jobs(way: Sync) -> None:
    api = FakeBatches()
    jobs = [way.submit(api.model(), ["a"]) for _ in range(2)]
    assert len(api.batches) == 2
    assert jobs[0].id != jobs[1].id


def test_a_job_that_is_being_submitted_is_waited_for(tmp_path: Path) -> None:
    api = FakeBatches()
    store = BatchStore(tmp_path)
    lock = store.lock("nightly")
    assert lock.take()
    assert not store.lock("nightly").take()
    looks: list[int] = []

    class Patient(Sync):
        pass

    from langchain_tamma_openai.batches import steps

    def counted(_delay_s: float) -> None:
        looks.append(1)
        if len(looks) == 3:
            lock.give_back()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "pause", counted)
        Patient(store).submit(api.model(), ["a"], job_id="nightly")
    assert (len(looks), len(api.batches)) == (3, 1)


# --- outcomes that nobody knows ---


@pytest.mark.parametrize("reply", [BROKEN, DOWN, Reply("<html>")])
def test_a_batch_made_in_spite_of_an_error_is_found(way: Sync, reply: Any) -> None:
    api = FakeBatches()
    api.faults = [Fault("POST /batches", reply, is_done=True)]
    job = way.submit(api.model(), ["a"])
    assert (len(api.batches), api.count("POST /batches")) == (1, 1)
    assert way.results(job)[0].text == "a"


@pytest.mark.parametrize("reply", [BROKEN, DOWN])
def test_a_batch_that_was_not_made_is_made_again(way: Sync, reply: Any) -> None:
    api = FakeBatches()
    api.faults = [Fault("POST /batches", reply)]
    way.submit(api.model(), ["a"])
    assert (len(api.batches), api.count("POST /batches")) == (1, 2)


def test_nothing_is_repeated_while_the_api_cannot_be_asked(way: Sync) -> None:
    api = FakeBatches()
    api.faults = [
        Fault("POST /batches", BROKEN, is_done=True),
        Fault("GET /batches", DOWN, times=3),
    ]
    with pytest.raises(ConnectionFailedError) as raised:
        way.submit(api.model(), ["a"])
    (note,) = [note for note in raised.value.__notes__ if "BatchJob.load" in note]
    job_id = note.split("'")[1]
    assert api.count("POST /batches") == 1
    assert way.results(way.load(job_id, api.model()))[0].text == "a"
    assert len(api.batches) == 1


def test_a_batch_made_twice_is_cancelled_once(way: Sync) -> None:
    """The API may list a batch late: then a second one is made, and must not be answered too."""
    api = FakeBatches()
    api.faults = [
        Fault("POST /batches", BROKEN, is_done=True),
        Fault("GET /batches", Reply({"data": []})),
        Fault("POST /batches", Killed(), is_done=True),
    ]
    with suppress(Killed):
        way.submit(api.model(), ["a"], job_id="nightly")
    assert len(api.batches) == 2
    job = way.load("nightly", api.model())
    assert len(job.batch_ids) == 1
    states = {batch["id"]: batch["status"] for batch in api.batches}
    assert states.pop(job.batch_ids[0]) != "cancelling"
    assert set(states.values()) == {"cancelling"}


def test_batches_are_found_on_later_pages(way: Sync) -> None:
    api = FakeBatches()
    api.faults = [Fault("POST /batches", Killed(), is_done=True)]
    with suppress(Killed):
        way.submit(api.model(), ["a"], job_id="first")
    for number in range(5):
        way.submit(api.model(), ["b"], job_id=f"other-{number}")
    api.page = 2
    assert way.load("first", api.model()).batch_ids == (api.batches[0]["id"],)
    assert len(api.batches) == 6


# --- errors that are certain ---


def test_a_refusal_leaves_nothing_behind(way: Sync) -> None:
    api = FakeBatches()
    api.faults = [Fault("POST /batches", REFUSED)]
    with pytest.raises(InvalidRequestError) as raised:
        way.submit(api.model(), ["a"], job_id="nightly")
    assert not getattr(raised.value, "__notes__", [])
    assert api.files == {}
    assert [each for each in Path(way.store).iterdir() if each.suffix != ".lock"] == []
    assert way.results(way.submit(api.model(), ["b"], job_id="nightly"))[0].text == "b"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("POST /files", Reply({"error": {"message": "no"}}, 401)), AuthenticationError),
        (Fault("POST /files", DOWN, times=3), ServerError),
        (Fault("POST /files", BROKEN, times=3), ConnectionFailedError),
    ],
)
def test_a_failed_upload_leaves_nothing_behind(
    way: Sync, fault: Fault, kind: type[Exception]
) -> None:
    api = FakeBatches()
    api.faults = [Fault(fault.match, fault.reply, times=fault.times)]
    with pytest.raises(kind):
        way.submit(api.model(), ["a"])
    assert not list(Path(way.store).glob("*.job*"))


def test_an_upload_is_repeated(way: Sync) -> None:
    api = FakeBatches()
    api.faults = [Fault("POST /files", DOWN)]
    job = way.submit(api.model(), ["a"])
    assert api.count("POST /files") == 2
    assert way.results(job)[0].text == "a"


def test_an_answer_that_is_no_batch_is_said_to_be_none(way: Sync) -> None:
    api = FakeBatches()
    job = way.submit(api.model(), ["a"])
    api.faults = [Fault("GET /batches/*", Reply({"hello": 1}))]
    with pytest.raises(ValueError, match=r"is no batch.*\['hello'\]"):
        way.status(job)


# --- the way back ---


class City(BaseModel):
    """A city."""

    name: str


def test_a_job_is_found_by_the_api_alone(way: Sync, tmp_path: Path) -> None:
    api = FakeBatches()
    job = way.submit(api.model(), ["a", "b"], job_id="nightly")
    way.store = tmp_path / "elsewhere"
    for ident in (job.batch_ids[0], "nightly"):
        found = way.load(ident, api.model(), journal=tmp_path / ident)
        assert (found.id, len(found)) == ("nightly", 2)
        assert [answer.text for answer in way.results(found)] == ["a", "b"]


@pytest.mark.parametrize("by_id", [True, False])
def test_all_files_of_a_job_are_found_by_one(
    way: Sync,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_id: bool,  # noqa: FBT001 - a parameter
) -> None:
    from langchain_tamma_openai.batches import limits

    monkeypatch.setattr(limits, "LIMITS", limits.BatchLimits(requests=2))
    api = FakeBatches()
    job = way.submit(api.model(), list("abcde"), job_id="nightly")
    ident = job.batch_ids[1] if by_id else "nightly"
    found = way.load(ident, api.model(), journal=tmp_path / "elsewhere")
    assert found.batch_ids == job.batch_ids
    assert [answer.text for answer in way.results(found)] == list("abcde")


def test_a_batch_that_is_not_ours_keeps_the_order_of_its_file(way: Sync) -> None:
    api = FakeBatches()
    way.submit(api.model(), ["a", "b"])
    batch = api.batches[0]
    batch["metadata"] = None
    text = api.files[batch["input_file_id"]]
    api.files[batch["input_file_id"]] = text.replace(b"tamma-0", b"z").replace(b"tamma-1", b"y")
    api.arrange = lambda lines: lines[::-1]
    store = Path(way.store) / "other"
    found = way.load(batch["id"], api.model(), journal=store)
    assert [answer.text for answer in way.results(found)] == ["a", "b"]
    assert [each.custom_id for each in way.outcomes(found)] == ["z", "y"]


def test_structured_output_is_read_on_another_machine(way: Sync, tmp_path: Path) -> None:
    text = '{"name": "Bern"}'
    api = FakeBatches(lambda name, _body: answered(name, chat_answer(text)))
    structured = api.model().with_structured_output(City)
    job = way.submit(structured, ["a"])
    found = way.load(job.batch_ids[0], structured, journal=tmp_path / "elsewhere")
    assert way.results(found) == [City(name="Bern")]


def test_a_chain_of_ones_own_has_to_be_given_again(
    way: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = FakeBatches()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    chain = api.model() | StrOutputParser()
    job = way.submit(chain, ["a"])
    assert way.results(way.load(job.id, chain)) == ["a"]
    assert way.results(way.load(job.id, api.model()))[0].text == "a"
    bare = way.load(job.id)
    monkeypatch.setattr(bare, "_model", api.model())
    with pytest.raises(ConfigurationError, match=r"BatchJob.load\(id, runnable\)"):
        way.results(bare)


def test_an_unknown_job_is_not_found(way: Sync) -> None:
    api = FakeBatches()
    for ident in ("nothing", "batch_404"):
        with pytest.raises(NotFoundError, match=f"no job or batch '{ident}'"):
            way.load(ident, api.model())


# --- the store ---


def test_a_store_that_cannot_be_used_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    api = FakeBatches()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="TAMMA_OPENAI_BATCH_DIR"):
        api.model().submit_batch(["a"], journal=tmp_path / "file" / "jobs")
    assert api.requests == []


def test_the_store_is_chosen_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAMMA_OPENAI_BATCH_DIR", str(tmp_path / "a"))
    assert BatchStore().path == tmp_path / "a"
    monkeypatch.delenv("TAMMA_OPENAI_BATCH_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "b"))
    assert BatchStore().path == tmp_path / "b" / "langchain-tamma-openai" / "batches"


def test_a_damaged_journal_is_an_error_and_hides_no_other(tmp_path: Path) -> None:
    store = BatchStore(tmp_path)
    store.save(Entry("good", is_ready=True))
    for name, text in {"torn": "{", "later": '{"format": 2, "id": "later"}'}.items():
        (tmp_path / f"{name}.job.json").write_text(text)
        with pytest.raises(StorageError, match=name):
            store.find(name)
    (tmp_path / "odd.job.json").write_text('{"format": 1, "id": "odd", "parts": [{}]}')
    with pytest.raises(StorageError, match="damaged"):
        store.find("odd")
    assert BatchJob.ids(journal=tmp_path) == ["good"]


def test_only_the_owner_can_read_what_is_kept(tmp_path: Path) -> None:
    api = FakeBatches()
    api.faults = [Fault("POST /files", Killed())]
    with suppress(Killed):
        api.model().submit_batch(["secret"], journal=tmp_path / "jobs", job_id="nightly")
    (spool,) = (tmp_path / "jobs").glob("*.jsonl")
    assert b"secret" in spool.read_bytes()
    assert [path.stat().st_mode & 0o077 for path in (spool, spool.parent)] == [0, 0]
    spool.unlink()
    with pytest.raises(StorageError, match="are gone"):
        BatchJob.load("nightly", api.model(), journal=tmp_path / "jobs")
