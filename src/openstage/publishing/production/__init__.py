"""Production of a work, one module for each kind of task; `Production` does them."""

from openstage.publishing.production.runner import Production
from openstage.publishing.production.tools import MediaTools

__all__ = ["MediaTools", "Production"]
