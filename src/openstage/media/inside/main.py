"""Run one task on one file and print its result as JSON: `python -I -S main.py ORDER`.

ORDER is a JSON object: `task` (a module beside this one), `packages` (the folder that holds PyAV), `path`, `formats`
(demuxers that may be used), `max_pixels`, and what the task wants besides.
"""

import importlib
import json
import os
import sys


def main() -> None:
    """Print the task's result."""
    order = json.loads(sys.argv[1])
    sys.path.append(order["packages"])
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    import av.logging  # noqa: PLC0415 - found only now

    av.logging.set_level(av.logging.PANIC)
    task = importlib.import_module(f"inside.{order['task']}")
    json.dump(task.result(order), sys.stdout)


if __name__ == "__main__":
    main()
