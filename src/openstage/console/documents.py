"""The project's documents as pages: `docs/` of the source tree, or the copy that came in the wheel."""

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
class Entry:
    """A document in the list of contents."""

    name: str
    """Its address below `/docs/`: `quickstart`, `operating/` (that folder's README.md), `operating/backup`."""
    title: str
    depth: int
    """0: stands by itself; 1: belongs to the folder whose README.md comes before it."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document."""

    name: str
    title: str
    html: str


class Documents:
    """What `docs/` holds. Nothing of a request becomes a path: names are looked up in what was found at the start."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[0])
        found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        self._files = {_address(name): path for name, path in found.items() if path.suffix == ".md"}
        self._pictures = {name: path for name, path in found.items() if path.suffix in PICTURES}
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
        self.contents = [
            Entry(name, _title(self._files[name]), depth=1 if "/" in name.rstrip("/") else 0)
            for name in sorted(self._files, key=_place)
        ]

    def read(self, name: str) -> Document | None:
        """Return the document of an address below `/docs/`, or None when there is none."""
        file = self._files.get(name)
        if file is None:
            return None
        tokens = self._markdown.parse(file.read_text("utf-8"))
        _give_anchors(tokens)
        _point_links(tokens)
        _let_code_scroll(tokens)
        html = self._markdown.renderer.render(tokens, self._markdown.options, {})
        return Document(name, _title(file), html)

    def picture(self, name: str) -> Path | None:
        """Return the file of a picture in the documents, or None when there is none of that name."""
        return self._pictures.get(name)


def _address(name: str) -> str:
    """Turn a file name into its address: `operating/README.md` is `operating/`."""
    return name.removesuffix(".md").removesuffix("README")


def _place(name: str) -> tuple[bool, str]:
    """Sort by folder (its README first); the first steps before all."""
    return (name != "quickstart", name)


def _title(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        heading = next((line for line in lines if line.startswith("# ")), f"# {file.stem}")
    return heading[2:].strip().replace("`", "")


def _give_anchors(tokens: list[Token]) -> None:
    """Give headings ids the way code hosts do, so that links between documents land."""
    for heading, inline in itertools.pairwise(tokens):
        if heading.type == "heading_open":
            words = re.sub(r"[^\w\- ]", "", inline.content.lower())
            heading.attrSet("id", words.replace(" ", "-"))


def _point_links(tokens: list[Token]) -> None:
    """Turn links to files (`operating/README.md#proxies`) into links to pages (`operating/#proxies`)."""
    for token in tokens:
        for child in token.children or []:
            target = str(child.attrGet("href") or "")
            if child.type == "link_open" and "://" not in target:
                file, mark, anchor = target.partition("#")
                address = _address(file)
                child.attrSet("href", f"{address or ('./' if file else '')}{mark}{anchor}")


def _let_code_scroll(tokens: list[Token]) -> None:
    """Let the keyboard reach blocks that are wider than the page."""
    for token in tokens:
        if token.type in {"fence", "code_block"}:
            token.attrSet("tabindex", "0")
