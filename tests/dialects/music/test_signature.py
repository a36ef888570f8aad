"""Signatures against vectors that other languages' own encoders made (docs/signing-vectors.json), and their rules."""

import functools
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openstage.dialects.music import signature
from openstage.dialects.music.signature import Reading
from tests.support.node import NODE

DOCS = Path(__file__).parents[3] / "docs"
VECTORS = json.loads((DOCS / "signing-vectors.json").read_text())
SECRET = VECTORS["client_secret"]
CASES = {case["name"]: case for case in VECTORS["cases"]}
HELPERS = dict(re.findall(r"```(\w+)\n(.*?)```", (DOCS / "signing.md").read_text(), re.DOTALL))
NOW = 1473820208
CLIENT = "4fiodcz8xjl6p8nbzfex2"


def pairs(case: dict[str, Any]) -> list[tuple[str, str]]:
    return list(case["parameters"].items())


@pytest.mark.parametrize("reading", Reading)
@pytest.mark.parametrize("name", CASES)
def test_every_reading_of_the_vectors_is_taken(name: str, reading: Reading) -> None:
    case, sign = CASES[name], CASES[name][reading.value]["sign"]
    assert hashlib.md5((case[reading.value]["signed"] + SECRET).encode()).hexdigest() == sign
    found = signature.reading_of(reversed_(pairs(case)), ["another", SECRET], sign)
    assert found is not None
    assert signature.reading_of(pairs(case), ["another"], sign) is None
    # Two readings may give the same string; but where theirs differ, the right one is told.
    if len({case[other.value]["sign"] for other in Reading}) == 3:
        assert found is reading


def reversed_(given: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """In which order parameters are sent doesn't matter."""
    return given[::-1]


def test_the_string_is_the_documents() -> None:
    given = pairs(CASES["the document's example"])
    assert signature.signed_string(given, Reading.RAW) + SECRET == (
        "client_id=4fiodcz8xjl6p8nbzfex2&keyword=云南&nonce_str=1473820208"
        "&client_secret=9b530aa85723c06a90879bee8f5096d7"
    )
    assert signature.sign(given, SECRET) == "130b4d24a9624498799c582ac1e94034"


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("~*!'()", "~%2A%21%27%28%29"),  # Python, Go, PHP's rawurlencode
        ("~*!'()", "%7E%2A%21%27%28%29"),  # PHP's urlencode
        ("~*!'()", "%7E*%21%27%28%29"),  # Java, URLSearchParams
        ("~*!'()", "~*!'()"),  # encodeURIComponent
    ],
)
def test_encoders_may_disagree_about_a_few_characters(text: str, spelt: str) -> None:
    sign = hashlib.md5(f"keyword={spelt}&client_secret={SECRET}".encode()).hexdigest()
    assert signature.reading_of([("keyword", text)], [SECRET], sign) is not None


def test_nothing_else_is_taken() -> None:
    given = [("b", "2 云"), ("a", "1")]
    strings = [
        "b=2+%E4%BA%91&a=1",  # not sorted
        "a=1&b=2+%e4%ba%91",  # small hex digits
        "a=1&b=2",  # cut
        "a=1",
        "a=1&b=2+%E4%BA%91&sign=",  # what isn't signed
        "a=1&b=2%2B%E4%BA%91",  # another value
    ]
    for text in strings:
        sign = hashlib.md5(f"{text}&client_secret={SECRET}".encode()).hexdigest()
        assert signature.reading_of(given, [SECRET], sign) is None, text
    good = signature.sign(given, SECRET)
    for sign in ("", good.upper(), good[:-1], good + " ", "云南", "\udcff"):
        assert signature.reading_of(given, [SECRET], sign) is None
    assert signature.reading_of(given, [], good) is None


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "tags[]"]), st.text(max_size=8)), max_size=4),
    st.lists(st.tuples(st.sampled_from(["a", "b", "tags[]"]), st.text(max_size=8)), max_size=4),
    st.sampled_from([Reading.FORM, Reading.ADDRESS]),
)
def test_other_parameters_have_another_string(
    one: list[tuple[str, str]], other: list[tuple[str, str]], reading: Reading
) -> None:
    ordered = [sorted(each, key=lambda pair: pair[0]) for each in (one, other)]
    if any("\ud800" <= character <= "\udfff" for each in (*one, *other) for character in each[1]):
        return
    same = signature.signed_string(one, reading) == signature.signed_string(other, reading)
    assert same == (ordered[0] == ordered[1])


@pytest.mark.parametrize(
    ("fields", "ambiguous"),
    [
        ([("a", "甲&b=丙")], True),
        ([("a&b", "1")], True),
        ([("a=1", "2")], True),
        ([("a", "x=y+%"), ("sign", "&")], False),
    ],
)
def test_a_raw_string_that_could_stand_for_something_else_is_told(
    fields: list[tuple[str, str]], ambiguous: bool
) -> None:
    assert signature.is_ambiguous(fields) is ambiguous


def test_the_documented_python_helper_signs_the_vectors() -> None:
    namespace: dict[str, Any] = {}
    exec(HELPERS["python"], namespace)
    for case in CASES.values():
        made = namespace["signed"](CLIENT, SECRET, case["parameters"], NOW)
        assert signature.reading_of(list(made.items()), [SECRET], made["sign"]) is Reading.FORM


def run_helper(command: list[str], folder: Path) -> list[str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_documented_javascript_helper_signs_the_vectors(tmp_path: Path) -> None:
    wanted = [case["form"]["sign"] for case in CASES.values()]
    given = json.dumps([case["parameters"] for case in CASES.values()])
    program = HELPERS["javascript"] + (
        f"for (const fields of {given}) console.log(signed('{CLIENT}', '{SECRET}', fields, {NOW * 1000}).get('sign'));"
    )
    (tmp_path / "signing.mjs").write_text(program)
    assert run_helper([str(NODE), "signing.mjs"], tmp_path) == wanted


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK")
def test_the_documented_java_helper_signs_the_vectors(tmp_path: Path) -> None:
    wanted = [case["form"]["sign"] for case in CASES.values()]
    (tmp_path / "Signing.java").write_text(HELPERS["java"])
    calls = []
    for case in CASES.values():
        entries = ", ".join(
            f"Map.entry({json.dumps(name)}, {json.dumps(value)})" for name, value in case["parameters"].items()
        )
        calls.append(f'System.out.println(Signing.signed("{CLIENT}", "{SECRET}", Map.ofEntries({entries}), {NOW}L)'
                     '.replaceAll(".*sign=", ""));')  # fmt: skip
    body = "\n".join(calls)
    (tmp_path / "Main.java").write_text(
        f"import java.util.Map; class Main {{ public static void main(String[] a) throws Exception {{ {body} }} }}"
    )
    run_helper(["javac", "-encoding", "UTF-8", "Signing.java", "Main.java"], tmp_path)
    assert run_helper(["java", "Main"], tmp_path) == wanted


def understood(queries: list[str]) -> bool:
    """Whether each of the vectors' parameters arrives, with a signature that the server takes."""
    for case, query in zip(CASES.values(), queries, strict=True):
        pairs = parse_qsl(query, keep_blank_values=True)
        fields = dict(pairs)
        if not case["parameters"].items() <= fields.items():
            return False
        if signature.reading_of(pairs, [SECRET], fields["sign"]) is not Reading.FORM:
            return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("php") is None, reason="needs PHP")
def test_the_documented_php_helper_signs_the_vectors(tmp_path: Path) -> None:
    (tmp_path / "vectors.json").write_text(json.dumps([case["parameters"] for case in CASES.values()]))
    (tmp_path / "signing.php").write_text(
        f"""<?php
        {HELPERS["php"]}
        foreach (json_decode(file_get_contents('vectors.json'), true) as $fields) {{
            echo http_build_query(signed('{CLIENT}', '{SECRET}', $fields, {NOW}), '', '&'), PHP_EOL;
        }}
        """
    )
    assert understood(run_helper(["php", "signing.php"], tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_the_documented_go_helper_signs_the_vectors(tmp_path: Path) -> None:
    literal = functools.partial(json.dumps, ensure_ascii=False)
    calls = [
        "print(url.Values{"
        + ", ".join(f"{literal(name)}: {{{literal(value)}}}" for name, value in case["parameters"].items())
        + "})"
        for case in CASES.values()
    ]
    helper = HELPERS["go"].replace("package signing", "package main").replace("import (", 'import (\n\t"fmt"')
    call = f'Signed("{CLIENT}", "{SECRET}", parameters, time.Unix({NOW}, 0)).Encode()'
    body = "\n".join(calls)
    (tmp_path / "main.go").write_text(
        f"{helper}\nfunc print(parameters url.Values) {{ fmt.Println({call}) }}\nfunc main() {{\n{body}\n}}\n"
    )
    assert understood(run_helper(["go", "run", "main.go"], tmp_path))
