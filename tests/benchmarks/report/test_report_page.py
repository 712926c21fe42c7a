from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from atpn_benchmarks.report.page import html_report
from atpn_benchmarks.results import Run
from atpn_deploy.errors import ExportError, MissingToolError

pytest.importorskip("jinja2")

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Tree(HTMLParser):
    """Whether every element is closed, in order, and which ids and addresses there are."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        self.addresses += [str(found[name]) for name in ("href", "src") if name in found]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def written(tmp_path: Path, *runs: Run) -> str:
    path = tmp_path / "out.html"
    html_report(runs, path)
    return path.read_text(encoding="utf-8")


def parsed(text: str) -> Tree:
    tree = Tree()
    tree.feed(text)
    tree.close()
    return tree


def test_a_page_is_well_formed_and_asks_for_nothing(run: Run, phone: Run, tmp_path: Path) -> None:
    tree = parsed(text := written(tmp_path, run, phone))
    assert tree.open == []
    assert len(tree.ids) == len(set(tree.ids))
    for address in tree.addresses:
        assert address == "data:," or address.removeprefix("#") in tree.ids
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttp", text)


def test_devices_are_sections_of_their_own(run: Run, phone: Run, tmp_path: Path) -> None:
    text = written(tmp_path, run, phone)
    first, second = text.split('<section class="device"')[1:]
    assert "AMD EPYC 9R45" in first
    assert "AMD EPYC 9R45" not in second
    assert "Cortex-A76" in second
    assert "The peaks of this core were not measured." in second
    assert "not known" in second


def test_every_row_is_on_the_page_with_its_state(run: Run, tmp_path: Path) -> None:
    text = written(tmp_path, run)
    for row in run.rows:
        assert row.title in text
    for reason in ("off by 7.71 px", "needs macOS", "no TFLite flatbuffer", "after 6 of 26 rounds"):
        assert reason in text
    assert text.count('class="badge"') == 2


def test_hostile_names_are_letters_and_no_markup(run: Run, tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}"
    long = "n" * 200
    rows = (
        replace(run.rows[0], name=evil, title=evil, reason=evil, runtime=evil),
        replace(run.rows[3], name=long, title=long, model=long),
        replace(run.rows[-8], name=evil + "2", title=evil),
        replace(run.rows[-1], name=evil + "3", title=evil, reason=evil),
    )
    operators = replace(run.rows[0].operators[0], name=evil, kind=evil, module=evil)
    rows = (replace(rows[0], operators=(operators,)), *rows[1:])
    machine = replace(run.machine, cpu=evil, features=(evil,), system=evil)
    hostile = replace(run, rows=rows, machine=machine, device=evil, problems=(evil,))
    text = written(tmp_path, hostile)
    assert text.count("<script>") == 1
    assert "<img" not in text
    assert "{{ 7*7 }}" in text
    assert parsed(text).open == []


def test_a_run_without_a_valid_file_says_so(run: Run, tmp_path: Path) -> None:
    text = written(tmp_path, replace(run, rows=run.rows[-5:], peaks=None))
    assert "No file of ATPN has a figure that holds" in text
    assert parsed(written(tmp_path, replace(run, rows=()))).open == []


def test_no_run_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="at least one run"):
        html_report([], tmp_path / "out.html")


def test_a_report_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    few = replace(run, rows=run.rows[:1])
    with pytest.raises(ExportError, match="cannot be written"):
        html_report([few], tmp_path / "absent" / "out.html")
    assert list(tmp_path.iterdir()) == []


def test_without_jinja2_the_pip_line_is_given(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingToolError, match=r"atpn-deploy\[bench\]"):
        html_report([run], tmp_path / "out.html")
