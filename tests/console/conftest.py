"""The pages' scripts are those of the source tree: they are built before the tests when they aren't up to date."""

from tests.support.browser import browse
from tests.support.frontend import ROOT, assets, npm

__all__ = ["ROOT", "assets", "browse", "npm"]
