"""The project's documents as pages: `docs/*.md` from the source tree, or the copy that came in the wheel."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

FOLDERS: Final = (Path(__file__).parent / "docs", Path(__file__).parents[3] / "docs")
PICTURES: Final = frozenset({".png", ".jpg", ".svg"})


@dataclass(frozen=True, slots=True)
class Document:
    """One document."""

    name: str
    """File name without `.md`, as in `/docs/{name}`."""
    title: str
    html: str


class Documents:
    """Reads documents when they are asked for: there are few, and an operator may be writing them."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[0])
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])

    def titles(self) -> list[tuple[str, str]]:
        """Return name and title of each document, the first steps first."""
        names = sorted(path.relative_to(self._folder).with_suffix("").as_posix() for path in self._folder.rglob("*.md"))
        ordered = sorted(names, key=lambda name: ("/" in name, name not in {"index", "quickstart"}, name))
        return [(name, self._title(name)) for name in ordered]

    def read(self, name: str) -> Document | None:
        """Return a document, or None when there is none of that name."""
        # Only names that the folder holds: nothing of the request becomes a path.
        if name not in {known for known, _ in self.titles()}:
            return None
        tokens = self._markdown.parse((self._folder / f"{name}.md").read_text("utf-8"))
        _give_anchors(tokens)
        _point_links(tokens)
        html = self._markdown.renderer.render(tokens, self._markdown.options, {})
        return Document(name, self._title(name), html)

    def picture(self, name: str) -> Path | None:
        """Return the file of a picture in the documents, or None when there is none of that name."""
        pictures = (path for path in self._folder.rglob("*") if path.suffix in PICTURES)
        return {path.relative_to(self._folder).as_posix(): path for path in pictures}.get(name)

    def _title(self, name: str) -> str:
        with (self._folder / f"{name}.md").open(encoding="utf-8") as file:
            heading = next((line for line in file if line.startswith("# ")), f"# {name}")
        return heading[2:].strip().replace("`", "")


def _give_anchors(tokens: list[Token]) -> None:
    """Give headings ids the way code hosts do, so that links between documents land."""
    for heading, inline in itertools.pairwise(tokens):
        if heading.type == "heading_open":
            words = re.sub(r"[^\w\- ]", "", inline.content.lower())
            heading.attrSet("id", words.replace(" ", "-"))


def _point_links(tokens: list[Token]) -> None:
    """Turn links to files (`operating.md#backup`) into links to pages (`operating#backup`)."""
    for token in tokens:
        for child in token.children or []:
            target = str(child.attrGet("href") or "")
            if child.type == "link_open" and "://" not in target:
                child.attrSet("href", re.sub(r"\.md(?=#|$)", "", target))
