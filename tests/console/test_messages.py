"""Every text is there in both languages, and is used."""

import re
from pathlib import Path

import pytest

import openstage.console
from openstage.console.account_messages import ACCOUNT_MESSAGES
from openstage.console.languages import LANGUAGES, clock
from openstage.console.messages import MESSAGES

CONSOLE = Path(openstage.console.__file__).parent


def test_a_message_has_the_same_places_in_both_languages() -> None:
    for key, (english, chinese) in MESSAGES.items():
        assert english, key
        assert chinese, key
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese)), key
        assert not re.search(r"[\u4e00-\u9fff]", english), key


def test_the_pages_use_every_message_and_no_other() -> None:
    templates = "".join(path.read_text() for path in (CONSOLE / "templates").glob("*.html"))
    code = (CONSOLE / "languages.py").read_text()
    used = set(re.findall(r"""\bt\(\s*['"](\w+)['"]""", templates)) | set(re.findall(r'"(play_count\w*)"', code))
    used |= set(re.findall(r'"(waiting_\w+|docs_\w+)"', templates))
    used |= {key for key in MESSAGES if key.startswith("category_")}
    used |= set(re.findall(r'\bt\("(\w+)"', (CONSOLE / "shares.py").read_text()))
    assert used - set(ACCOUNT_MESSAGES) == set(MESSAGES)


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0, "0:00"), (499, "0:00"), (7_000, "0:07"), (59_600, "1:00"), (725_000, "12:05"), (3_723_000, "1:02:03")],
)
def test_durations_are_written_as_players_do(milliseconds: int, shown: str) -> None:
    assert clock(milliseconds) == shown


def test_one_play_is_not_plural() -> None:
    assert LANGUAGES["en"].plays(1) == "1 play"
    assert LANGUAGES["en"].plays(12_345) == "12,345 plays"
    assert LANGUAGES["zh-CN"].plays(12_345) == "12,345 次播放"
