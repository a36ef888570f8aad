"""Dates on this dialect's wire: `2017-01-01 23:23:23`, in the time zone of the server's setting."""

import datetime as dt
import re
from zoneinfo import ZoneInfo

from openstage.dialects.music.errors import BadParameter
from openstage.dialects.music.parameters import Parameters, excerpt

_DATE = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})(?:[ T](?P<time>\d{2}:\d{2}(?::\d{2})?)(?P<zone>Z|[+-]\d{2}:\d{2})?)?", re.ASCII
)
_EPOCH = re.compile(r"\d{9,10}", re.ASCII)
_LAST = dt.time(23, 59, 59)


class Dates:
    """Reads and writes dates."""

    def __init__(self, zone: str) -> None:
        """Take the zone of dates that name none (IANA name, such as `Asia/Shanghai`)."""
        self._zone = ZoneInfo(zone)

    def write(self, moment: dt.datetime | None) -> str | None:
        """Write a date as the document does; None stays None."""
        return None if moment is None else moment.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")

    def read(self, parameters: Parameters, name: str, *, end: bool = False) -> dt.datetime | None:
        """Read a date; None if missing.

        Taken are the document's form (also with `T`, without seconds, with `Z` or an offset), a day alone (its first
        second, or its last where `end`), and seconds of the epoch.

        Raises:
            BadParameter: it is none of these, or no day of the calendar.

        """
        value = parameters.text(name)
        if not value:
            return None
        if _EPOCH.fullmatch(value):
            return dt.datetime.fromtimestamp(int(value), dt.UTC)
        try:
            return self._parse(value, end=end)
        except (ValueError, OverflowError) as error:
            raise BadParameter(
                f"{name} must be a date such as 2017-01-01 23:23:23 (or 2017-01-01, or seconds of the epoch), "
                f"not {excerpt(value)}."
            ) from error

    def _parse(self, value: str, *, end: bool) -> dt.datetime:
        found = _DATE.fullmatch(value)
        if found is None:
            raise ValueError
        day = dt.date.fromisoformat(found["day"])
        time = dt.time.fromisoformat(found["time"]) if found["time"] else _LAST if end else dt.time()
        zone = dt.datetime.fromisoformat(f"{day}T00:00{found['zone']}").tzinfo if found["zone"] else self._zone
        return dt.datetime.combine(day, time, zone).astimezone(dt.UTC)
