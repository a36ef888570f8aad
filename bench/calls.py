"""Small authorised calls, against a granian that answers at once."""

import re
import shutil
import subprocess
from dataclasses import dataclass

from bench.figures import Row, Section, Series, Target
from bench.ours import Openstage
from bench.plan import Plan
from bench.processes import NotHere

TARGET = Target(0.12, "bare granian")
CONNECTIONS = 32


@dataclass
class Calling:
    """The measurement."""

    plan: Plan
    ours: Openstage
    published: str
    """`file_id` of a published work."""
    bare_port: int

    def run(self) -> Section:
        """Measure in rounds; ours and the bare one take turns.

        Raises:
            NotHere: there is no wrk.

        """
        if not shutil.which("wrk"):
            raise NotHere("wrk, which makes the load, is not installed.")
        uploading, _ = self.ours.open_upload(1000)
        own = f"http://127.0.0.1:{self.ours.port}"
        status = f"{own}/api/file/fullStatus?access_token={self.ours.token}&file_id="
        loads = {
            "fullStatus of an open upload": status + uploading,
            "fullStatus of a published work": status + self.published,
            "/healthz": f"{own}/healthz",
        }
        bare_address = f"http://127.0.0.1:{self.bare_port}/"
        rates: dict[str, list[float]] = {}
        for _ in range(self.plan.rounds + 1):  # the first one warms up
            for what, address in {**loads, "bare": bare_address}.items():
                rates.setdefault(what, []).append(self._load(address))
        self.ours.cancel(uploading)
        section = Section(f"Small calls, {CONNECTIONS} connections")
        bare = Series("calls/s", tuple(rates["bare"][1:]))
        for what in loads:
            ours = Series("calls/s", tuple(rates[what][1:]))
            target = TARGET if "fullStatus" in what else None
            section.rows.append(Row(what, ours, {TARGET.against: ours.ratio_to(bare)}, target))
        section.rows.append(Row("bare granian", bare, ours=False))
        return section

    def _load(self, address: str) -> float:
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{self.plan.load_seconds}s", address]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = re.search(r"Requests/sec:\s*([\d.]+)", printed)
        if found is None or "Non-2xx" in printed or "Socket errors" in printed:
            raise RuntimeError(f"wrk {address.partition('?')[0]}: {printed}")
        return float(found[1])
