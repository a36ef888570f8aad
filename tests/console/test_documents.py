"""Documents become pages whose links work and whose text stays text."""

import re
from pathlib import Path

import pytest

from openstage.console.documents import Documents, Entry

QUICKSTART = """# Quick `start`

See [operating](operating/README.md#back-up), [the rest](#the-rest) and [elsewhere](https://example.org/a.md).

| a | b |
|---|---|
| 1 | 2 |

## The rest: all of it

<script>alert(1)</script>

![picture](shown.png)
"""


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    (tmp_path / "operating").mkdir()
    (tmp_path / "quickstart.md").write_text(QUICKSTART)
    (tmp_path / "architecture.md").write_text("# Architecture\n")
    (tmp_path / "operating" / "README.md").write_text("# Operating\n\n[backup](backup.md) [quick](../quickstart.md)\n")
    (tmp_path / "operating" / "backup.md").write_text("# Backup\n\n[up](README.md)\n")
    (tmp_path / "shown.png").write_bytes(b"png")
    (tmp_path / "private.toml").write_text("")
    return Documents(tmp_path)


def html(documents: Documents, name: str) -> str:
    document = documents.read(name)
    assert document
    return document.html


def test_contents_begin_with_the_first_steps_and_keep_folders_together(documents: Documents) -> None:
    assert documents.contents == [
        Entry("quickstart", "Quick start", 0),
        Entry("architecture", "Architecture", 0),
        Entry("operating/", "Operating", 0),
        Entry("operating/backup", "Backup", 1),
    ]


def test_links_to_files_become_links_to_pages(documents: Documents) -> None:
    assert re.findall('href="([^"]+)"', html(documents, "quickstart")) == [
        "operating/#back-up",
        "#the-rest",
        "https://example.org/a.md",
    ]
    assert re.findall('href="([^"]+)"', html(documents, "operating/")) == ["backup", "../quickstart"]
    assert re.findall('href="([^"]+)"', html(documents, "operating/backup")) == ["./"]


def test_markdown_is_rendered_and_raw_html_is_not(documents: Documents) -> None:
    page = html(documents, "quickstart")
    assert "<td>1</td>" in page
    assert '<h2 id="the-rest-all-of-it">' in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    "name", ["", "operating", "../quickstart", "quickstart.md", "private.toml", "/etc/passwd", "\0"]
)
def test_only_documents_are_given(documents: Documents, name: str) -> None:
    assert documents.read(name) is None
    assert documents.picture(name) is None


def test_pictures_of_documents_are_given(documents: Documents, tmp_path: Path) -> None:
    assert documents.picture("shown.png") == tmp_path / "shown.png"
