"""`openstage work …` and `openstage review …` as an operator and a script use them."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from openstage.publishing.tasks import Tasks
from openstage.settings import Settings
from tests.publishing.stage import Stage

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def run(settings: Settings) -> Run:
    async def run_command(*arguments: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "openstage.cli",
            *arguments,
            env=os.environ
            | {
                "OPENSTAGE_DATA": str(settings.folder),
                "OPENSTAGE_DATABASE_URL": settings.database_url,
                "OPENSTAGE_MEDIA_URL": "https://media.example",
                "COLUMNS": "200",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        return process.returncode or 0, output.decode(), errors.decode()

    return run_command


def review_before(stage: Stage) -> Stage:
    stage.tasks = Tasks(stage.database, stage.settings.model_copy(update={"review": "before"}))
    return stage


async def ready_for_review(stage: Stage) -> str:
    file_id = await review_before(stage).handed_in()
    await stage.produce(file_id)
    return file_id


async def answer(run: Run, *arguments: str, code: int = 0) -> Any:
    returned, output, errors = await run(*arguments, "--json")
    assert returned == code, errors
    return [json.loads(line) for line in output.splitlines()] if "watch" in arguments else json.loads(output)


async def test_a_work_from_review_to_refusal(stage: Stage, run: Run) -> None:
    file_id = await ready_for_review(stage)
    slug = (await stage.work(file_id)).slug
    (pending,) = await answer(run, "review", "list")
    assert (pending["file_id"], pending["state"], pending["review"]) == (file_id, "reviewing", "pending")
    mp4 = pending["addresses"]["mp4"]
    assert mp4.startswith("https://media.example/media/r")
    assert mp4.endswith(f"/{slug}/1.mp4")
    assert (await answer(run, "review", "approve", slug))["state"] == "published"
    refused = await answer(run, "review", "refuse", file_id, "--reason", "[red]Not[/red] ours")
    assert (refused["state"], refused["reason"]) == ("refused", "[red]Not[/red] ours")
    _, shown, _ = await run("work", "show", slug)
    assert "[red]Not[/red] ours" in shown
    assert "avc1.64001f" in shown
    assert "loudness" not in shown, "it is a silent film"


async def test_the_loudness_of_a_work_is_shown(stage: Stage, run: Run) -> None:
    file_id = await stage.sent()
    await stage.execute(
        "insert into loudness (work_id, run, integrated_lufs, true_peak_dbtp) select id, run, -14.2, -1 from work"
        " where file_id = %s",
        file_id,
    )
    _, shown, _ = await run("work", "show", file_id)
    assert re.search(r"loudness +-14\.2 LUFS, true peak -1\.0 dBTP", shown)
    assert (await answer(run, "work", "show", file_id))["loudness"]["range_lu"] is None


async def test_works_are_listed_deleted_restored_and_run_again(stage: Stage, run: Run) -> None:
    file_id, unfinished = await ready_for_review(stage), await stage.sent()
    listed, (odd, _, says) = await asyncio.gather(answer(run, "work", "list"), run("work", "list", "--state", "x"))
    assert [work["file_id"] for work in listed] == [unfinished, file_id]
    assert odd == 2
    assert "'x' is not a state" in says
    rerun = await answer(run, "work", "rerun", file_id)
    assert (rerun["state"], rerun["pending"]) == ("reviewing", True)
    assert await stage.jobs(file_id) == ["first"]
    code, _, says = await run("work", "rerun", unfinished)
    assert code == 1
    assert says == "openstage: It can't be run again: it is uploading and has never been processed.\n"
    assert (await answer(run, "work", "delete", file_id))["deleted_at"] is not None
    assert (await answer(run, "work", "restore", file_id))["deleted_at"] is None


async def test_watching_a_work_ends_when_it_is_settled(stage: Stage, run: Run) -> None:
    failing, ready = await stage.handed_in(b""), await stage.handed_in()
    watches = asyncio.gather(answer(run, "work", "watch", failing, code=1), run("work", "watch", ready))
    await review_before(stage).produce(ready)
    await stage.execute(
        "update work set state = 'failed', reason = 'It is empty.', pending = false, claim = '' where file_id = %s",
        failing,
    )
    of_failing, (code, text, _) = await watches
    assert (of_failing[-1]["state"], of_failing[-1]["reason"]) == ("failed", "It is empty.")
    assert code == 0
    assert text.strip().endswith("reviewing")
