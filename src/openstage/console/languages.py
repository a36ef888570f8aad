"""Which language a page is in, and how that language writes numbers, dates and durations."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from starlette.requests import Request

from openstage.console.account_messages import ACCOUNT_MESSAGES
from openstage.console.certificate_messages import CERTIFICATE_MESSAGES
from openstage.console.messages import MESSAGES

Code = Literal["en", "zh-CN"]
COOKIE: Final = "openstage_lang"
"""Keeps the language that was chosen by hand."""

_ALL: Final = {**MESSAGES, **ACCOUNT_MESSAGES, **CERTIFICATE_MESSAGES}
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


@dataclass(frozen=True)
class Language:
    """One of the languages the pages are written in."""

    code: Code
    name: str

    def text(self, key: str, **values: object) -> str:
        """Return a message with its `{placeholders}` filled in."""
        english, chinese = _ALL[key]
        return (english if self.code == "en" else chinese).format(**values)

    def plays(self, count: int) -> str:
        """Say how often something was played."""
        return self.text("play_count_one" if count == 1 else "play_count", count=f"{count:,}")

    def category(self, number: int | None) -> str:
        """Name a category of the video cloud; empty when there is none of that number."""
        key = f"category_{number}"
        return self.text(key) if key in MESSAGES else ""

    def date(self, moment: dt.datetime) -> str:
        """Write a date (UTC)."""
        day = moment.astimezone(dt.UTC)
        if self.code == "en":
            return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
        return f"{day.year}年{day.month}月{day.day}日"


LANGUAGES: Final[dict[Code, Language]] = {"en": Language("en", "English"), "zh-CN": Language("zh-CN", "简体中文")}


def clock(milliseconds: int) -> str:
    """Write a duration as players do: 0:07, 12:05, 1:02:03."""
    seconds = max(0, round(milliseconds / 1000))
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def chosen(request: Request) -> Language | None:
    """Return the language that `?lang=` asks for, if it asks for one there is."""
    return _known(request.query_params.get("lang", ""))


def choose(request: Request) -> Language:
    """Pick the page's language: `?lang=`, else the one chosen earlier, else the browser's (RFC 9110, 12.5.4)."""
    found = chosen(request) or _known(request.cookies.get(COOKIE, ""))
    if found:
        return found
    for tag in _preferred(request.headers.get("accept-language", "")):
        if found := _known(tag):
            return found
    return LANGUAGES["en"]


def _known(tag: str) -> Language | None:
    primary = tag.lower().replace("_", "-").split("-")[0]
    return {"en": LANGUAGES["en"], "zh": LANGUAGES["zh-CN"]}.get(primary)


def _preferred(header: str) -> Iterator[str]:
    """Give the language ranges of Accept-Language, the best liked first."""
    weighted: list[tuple[float, str]] = []
    for item in header.split(",")[:20]:
        tag, _, parameter = item.partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=") or 1) if parameter else 1.0
        except ValueError:
            continue
        if weight > 0:
            weighted.append((weight, tag.strip()))
    yield from (tag for _, tag in sorted(weighted, key=lambda pair: -pair[0]))
