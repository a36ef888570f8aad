"""The commands scripts rely on: names, JSON, exit codes, one line for what went wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from openstage.cli import COMMANDS
from openstage.settings import Settings

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def run(module_settings: Settings) -> Run:
    def run_command(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        env = os.environ | {
            "OPENSTAGE_DATA": str(module_settings.data),
            "OPENSTAGE_DATABASE_URL": module_settings.database_url,
            "OPENSTAGE_LISTEN": module_settings.listen,
            **variables,
        }
        return subprocess.run(
            [sys.executable, "-m", "openstage.cli", *arguments],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run_command


def answer(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(run: Run, name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_help_names_every_command(run: Run) -> None:
    text = run("--help").stdout
    assert all(name in text for name in COMMANDS)


def test_an_app_through_its_life(run: Run) -> None:
    made = answer(run("app", "create", "--name", "相机 <b>", "--json"))
    assert made.keys() == {"client_id", "client_secret", "name"}
    client_id = made["client_id"]
    shown = answer(run("app", "show", client_id, "--json"))
    assert (shown["name"], shown["state"], shown["quota"]) == ("相机 <b>", "approved", None)
    assert "secret" not in json.dumps(shown)
    for command, state in (
        ("freeze", "frozen"),
        ("approve", "approved"),
        ("reject", "rejected"),
        ("delete", "deleted"),
    ):
        assert answer(run("app", command, client_id, "--json"))["state"] == state
    assert answer(run("app", "set-quota", client_id, "1000", "--json"))["quota"] == 1000
    assert answer(run("app", "set-quota", client_id, "default", "--json"))["quota"] is None
    fresh = answer(run("app", "rotate-secret", client_id, "--json"))
    assert fresh["client_secret"] != made["client_secret"]
    assert client_id in [each["client_id"] for each in answer(run("app", "list", "--json"))]


def test_tables_show_ids_whole_so_that_they_can_be_given_to_the_next_command(run: Run) -> None:
    made = answer(run("app", "create", "--name", "Narrow " * 20, "--json"))
    assert made["client_id"] in run("app", "list", COLUMNS="60").stdout


def test_tables_show_names_as_they_are_and_nothing_as_markup(run: Run) -> None:
    answer(run("app", "create", "--name", "[red]x[/red]\x1b[31m", "--json"))
    text = run("app", "list", COLUMNS="200").stdout
    assert "[red]x[/red]" in text
    assert "\x1b[31m" not in text


@pytest.mark.parametrize(
    "arguments",
    [("app", "show", "nobody"), ("app", "freeze", "nobody"), ("user", "show", "999"), ("work", "show", "nothing")],
)
def test_what_isnt_there_is_one_line_and_exit_code_1(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("openstage: ")


def test_a_wrong_setting_is_named(run: Run) -> None:
    done = run("settings", OPENSTAGE_LISTEN="nonsense", OPENSTAGE_QUOTA="-1")
    assert done.returncode == 1
    assert "OPENSTAGE_LISTEN" in done.stderr
    assert "OPENSTAGE_QUOTA" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_come_from_the_environment_over_the_file(run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("settings") / "openstage.toml"
    file.write_text('review = "before"\nquota = 5\n')
    rows = answer(run("settings", "--json", OPENSTAGE_CONFIG=str(file), OPENSTAGE_QUOTA="7"))
    values = {row["name"]: row for row in rows}
    assert (values["review"]["value"], values["review"]["default"]) == ("before", "none")
    assert values["quota"]["value"] == 7
    assert all(row["help"] and row["variable"] == f"OPENSTAGE_{row['name'].upper()}" for row in rows)


def test_settings_hide_passwords(run: Run) -> None:
    done = run("settings", OPENSTAGE_DATABASE_URL="postgresql://me:s3cret@db.example/openstage")
    assert "s3cret" not in done.stdout
    assert "db.example/openstage" in done.stdout


def test_doctor_finds_what_is_wrong_and_says_what_to_do(run: Run) -> None:
    healthy = run("doctor", "--json")
    states = {finding["name"]: finding["state"] for finding in json.loads(healthy.stdout)}
    assert healthy.returncode == 0, healthy.stdout
    assert {"ffmpeg", "ffmpeg encoders", "sandbox", "data folder", "disk space", "database", "schema", "object store",
            "port", "clock"} <= states.keys()  # fmt: skip
    ill = run(
        "doctor", "--json", OPENSTAGE_FFMPEG="/nowhere/ffmpeg", OPENSTAGE_DATABASE_URL="postgresql://127.0.0.1:1/x"
    )
    problems = {finding["name"]: finding for finding in json.loads(ill.stdout) if finding["state"] == "problem"}
    assert ill.returncode == 1
    assert problems.keys() == {"ffmpeg", "database"}
    assert all(finding["advice"] for finding in problems.values())
