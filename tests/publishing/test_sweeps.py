"""What is due to end, ends, and its bytes go for good."""

import pytest

from openstage.database import locks
from openstage.publishing import runs
from openstage.storage.errors import StorageUnavailable
from openstage.uploads.errors import UnknownUpload
from openstage.works import lifecycle, products
from openstage.works.errors import Purged
from tests.publishing.stage import Stage


async def publish(stage: Stage, data: bytes = b"original") -> str:
    file_id = await stage.handed_in(data)
    await stage.produce(file_id)
    assert await stage.state(file_id) == "published"
    return file_id


async def pass_the_grace_time(stage: Stage) -> None:
    await stage.execute(
        "update work set deleted_at = deleted_at - make_interval(secs => %s)", stage.settings.deletion_grace + 1
    )


async def test_a_deleted_work_is_purged_after_the_grace_time(stage: Stage) -> None:
    kept, deleted = await publish(stage), await publish(stage)
    await stage.works.count_playback("nonce", (await stage.work(deleted)).slug)
    await stage.intake.delete(stage.caller, [deleted])
    await stage.upkeep.run()
    assert await stage.store.list(f"works/{deleted}") != []
    await pass_the_grace_time(stage)
    assert await stage.upkeep.purge_deleted() == 1
    assert await stage.upkeep.purge_deleted() == 0
    assert await stage.store.list(f"works/{deleted}") == []
    assert len(await stage.store.list(f"works/{kept}")) == 3
    assert await stage.quota() == (8, 0)
    work = await stage.work(deleted)
    assert (work.title, work.tags, work.pictures) == ("", [], [])
    assert await stage.works.renditions(work.id) == []
    assert await stage.value("select count(*) from playback") == 0
    with pytest.raises(Purged):
        await stage.operations.restore(deleted)
    assert (await stage.works.list(stage.caller)).count == 1


async def test_a_restored_work_is_not_purged(stage: Stage) -> None:
    file_id = await publish(stage)
    await stage.intake.delete(stage.caller, [file_id])
    await pass_the_grace_time(stage)
    await stage.operations.restore(file_id)
    assert await stage.upkeep.purge_deleted() == 0
    assert (await stage.work(file_id)).visible


async def test_works_that_never_were_stored_are_purged_too(stage: Stage) -> None:
    waiting, unfinished = await stage.sent(), await stage.sent()
    await stage.intake.finish(stage.caller, waiting)
    await stage.intake.delete(stage.caller, None)
    await pass_the_grace_time(stage)
    assert await stage.upkeep.purge_deleted() == 2
    for file_id in (waiting, unfinished):
        assert not stage.uploads.staging_path(file_id).exists()
    assert await stage.quota() == (0, 0)


async def test_what_broken_tries_left_of_a_run_in_force_is_removed(stage: Stage) -> None:
    file_id = await publish(stage)
    named = await stage.store.list(f"works/{file_id}")
    run = (await stage.work(file_id)).run
    stray = f"works/{file_id}/{run}/hls/96/00000-stray.m4s"
    await stage.store.put(stray, b"stray")
    assert await stage.upkeep.tidy() == 1
    assert await stage.store.list(f"works/{file_id}") == named
    await stage.store.put(stray, b"of a worker that was thought dead")
    assert await stage.upkeep.tidy() == 0
    await runs.enter_again(stage.database, (await stage.work(file_id)).id, run)
    assert await stage.upkeep.tidy() == 1


async def test_a_retired_rendition_is_served_for_a_while_and_then_goes(stage: Stage) -> None:
    file_id = await stage.handed_in()
    first = await stage.claim(file_id, "first")
    assert first is not None
    source, rung = [await stage.store_rendition(first, quality) for quality in ("s", "1")]
    async with stage.database.transaction() as connection:
        await products.add_rendition(connection, first.work_id, first.run, source)
        await stage.tasks.offer(connection, first)
        assert not await products.retire_source(connection, first.work_id, first.run)  # nothing else plays yet
        await products.add_rendition(connection, first.work_id, first.run, rung)
        assert await products.retire_source(connection, first.work_id, first.run)
    assert [rendition.quality for rendition in await stage.works.renditions(first.work_id)] == ["1"]
    assert await stage.upkeep.remove_retired() == 0
    await stage.execute("update rendition set retired_at = retired_at - interval '2 hours'")
    assert await stage.upkeep.remove_retired() == 1
    assert await stage.store.list(f"works/{file_id}") == sorted([rung.key, *(each.key for each in rung.segments)])


async def test_nothing_is_removed_while_a_backup_runs(stage: Stage) -> None:
    file_id = await publish(stage)
    await stage.execute("insert into production_run (name, work_id) select 'old', id from work")
    await stage.intake.delete(stage.caller, [file_id])
    await pass_the_grace_time(stage)
    objects = await stage.store.list()
    async with stage.database.connection() as backup:
        await backup.execute("select pg_advisory_lock(%s)", (locks.BACKUP,))
        await stage.upkeep.run()
        assert await stage.store.list() == objects
        await backup.execute("select pg_advisory_unlock(%s)", (locks.BACKUP,))
    await stage.upkeep.run()
    assert await stage.store.list() == []


async def test_a_store_that_is_away_keeps_a_work_purgeable(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = await publish(stage)
    await stage.intake.delete(stage.caller, [file_id])
    await pass_the_grace_time(stage)

    async def away(prefix: str) -> None:
        raise StorageUnavailable(f"{prefix} is away")

    with monkeypatch.context() as patch:
        patch.setattr(stage.store, "delete_prefix", away)
        await stage.upkeep.run()
    assert (await stage.work(file_id)).purged_at is None
    await stage.upkeep.run()
    assert (await stage.work(file_id)).purged_at is not None


async def test_unfinished_uploads_expire(stage: Stage) -> None:
    due, fresh = await stage.sent(), await stage.sent()
    await stage.execute(
        "update upload set last_piece_at = now() - make_interval(secs => %s) where file_id = %s",
        stage.settings.upload_lifetime + 1,
        due,
    )
    assert await stage.upkeep.expire_uploads() == 1
    assert await stage.upkeep.expire_uploads() == 0
    assert (await stage.state(due), await stage.state(fresh)) == ("expired", "uploading")
    assert not stage.uploads.staging_path(due).exists()
    assert stage.uploads.staging_path(fresh).exists()
    assert await stage.quota() == (0, 5)


async def test_expiry_does_not_wait_for_a_finish_that_waits_for_it(stage: Stage) -> None:
    file_id = await stage.sent()
    await stage.execute(
        "update upload set last_piece_at = now() - make_interval(secs => %s)", stage.settings.upload_lifetime + 1
    )
    async with stage.database.transaction() as finishing:
        await lifecycle.lock(finishing, stage.caller, file_id)
        assert await stage.upkeep.expire_uploads() == 1
        with pytest.raises(UnknownUpload):
            await stage.uploads.finish(finishing, stage.caller, file_id)
    assert await stage.state(file_id) == "uploading"
    await stage.upkeep.expire_uploads()
    assert await stage.state(file_id) == "expired"


async def test_old_playbacks_are_forgotten_but_stay_counted(stage: Stage) -> None:
    slug = (await stage.work(await publish(stage))).slug
    for nonce in ("old", "new"):
        await stage.works.count_playback(nonce, slug)
    await stage.execute("update playback set started_at = now() - interval '3 days' where nonce = 'old'")
    assert await stage.upkeep.forget_playbacks() == 1
    assert (await stage.works.by_slug(slug)).play_count == 2


async def test_old_jobs_that_ended_badly_are_forgotten(stage: Stage) -> None:
    await stage.handed_in()
    await stage.handed_in()
    await stage.execute("update procrastinate_jobs set status = 'failed'")
    assert await stage.upkeep.forget_jobs() == 0
    await stage.execute(
        "update procrastinate_events set at = now() - interval '4 days'"
        " where job_id in (select min(id) from procrastinate_jobs)"
    )
    assert await stage.upkeep.forget_jobs() == 1
    assert await stage.value("select count(*) from procrastinate_jobs") == 1
