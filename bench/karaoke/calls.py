"""Token check and `get_work_info`, against a granian that answers at once."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import Row, Section, Series, Target
from bench.http import LoadError
from bench.karaoke.party import Party
from bench.karaoke.plan import Plan
from bench.processes import NotHere

TARGET: Final = Target(0.10, "bare granian")
CONNECTIONS: Final = 32


@dataclass
class Calling:
    """The measurement."""

    plan: Plan
    party: Party
    ugc_id: str
    bare_port: int
    scratch: Path

    def run(self) -> Section:
        """Measure in rounds; ours and the bare one take turns.

        Raises:
            NotHere: there is no wrk.

        """
        if not shutil.which("wrk"):
            raise NotHere("wrk, which makes the load, is not installed.")
        info = "/karaoke/user/v2/get_work_info"
        script = self._script({"ugc_id": self.ugc_id})
        own = f"http://127.0.0.1:{self.party.server.port}"
        loads = {"get_work_info": f"{own}{info}", "bare": f"http://127.0.0.1:{self.bare_port}/"}
        rates: dict[str, list[float]] = {}
        for _ in range(self.plan.rounds + 1):  # the first one warms up
            for what, address in loads.items():
                rates.setdefault(what, []).append(self._load(address, script))
            # Refusals are HTTP 200 in this dialect, and fast: before the next round, see that it is none that counts.
            self.party.post(info, {"ugc_id": self.ugc_id}, self.party.user_headers)
        bare, ours = (Series("calls/s", tuple(rates[what][1:])) for what in ("bare", "get_work_info"))
        section = Section(f"Calls of a user, {CONNECTIONS} connections")
        section.rows.append(Row("get_work_info", ours, {TARGET.against: ours.ratio_to(bare)}, TARGET))
        section.rows.append(Row("bare granian", bare, ours=False))
        return section

    def _script(self, body: dict[str, str]) -> Path:
        lines = ['wrk.method = "POST"', f"wrk.body = {json.dumps(json.dumps(body))}"]
        headers = {"Content-Type": "application/json", **self.party.user_headers}
        lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
        path = self.scratch / "call.lua"
        path.write_text("\n".join(lines) + "\n")
        return path

    def _load(self, address: str, script: Path) -> float:
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{self.plan.load_seconds}s", "-s", str(script), address]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = re.search(r"Requests/sec:\s*([\d.]+)", printed)
        if found is None or "Non-2xx" in printed or "Socket errors" in printed:
            raise LoadError(f"wrk {address}: {printed}")
        return float(found[1])
