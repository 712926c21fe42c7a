"""The report in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from atpn_benchmarks.report.page import html_report
from atpn_benchmarks.report.picture import browser, take
from atpn_benchmarks.results import Run
from atpn_deploy.errors import ExportError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.needs("chromium")

DESK, PHONE = (1280, 900), (390, 844)
EVIL = "</script><script>document.title='taken'</script>\"'<img src=x onerror=alert(1)>"

#: Pairs of text and background whose contrast is too low, among all text that is seen.
FAINT = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (colour) => colour.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const found = parts(getComputedStyle(e).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || e.closest("script, style")) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(parts(e.closest("svg") ? style.fill : style.color)), light(behind(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (!(contrast >= 4.5)) found.push([e.textContent.trim().slice(0, 40), contrast]);
  }
  return found;
}"""

#: Words of charts that are seen: their text and box, in the chart's own pixels.
CHART_WORDS = """() => [...document.querySelectorAll("figure > svg")]
  .filter((svg) => svg.getClientRects().length)
  .map((svg) => ({
    box: [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height],
    words: [...svg.querySelectorAll("text:not([transform])")].map((t) => {
      const b = t.getBBox();
      return { text: t.textContent, label: t.classList.contains("label"),
               at: [b.x, b.y, b.x + b.width, b.y + b.height] };
    }),
  }))"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def report(run: Run, phone: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "out.html"
    html_report([run, phone], path)
    return path


@contextmanager
def opened(
    chromium: Browser, path: Path, size: tuple[int, int] = DESK, *, dark: bool = False
) -> Iterator[Page]:
    """The page; fails if it asks for anything but itself, or logs or throws anything."""
    asked: list[str] = []
    complaints: list[str] = []
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
    )
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(path.as_uri())
    yield page
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}
    assert complaints == []
    context.close()


def column(page: Page, table: str, key: int) -> list[str]:
    """The texts of a column, from the top; the first line of each cell."""
    texts = page.locator(f"#{table} tbody tr > td:nth-child({key})").all_inner_texts()
    return [text.split("\n")[0] for text in texts]


def numbers(texts: list[str]) -> list[float]:
    return [float(text) for text in texts if text != "-"]


def heading(page: Page, table: str, text: str) -> int:
    """The place of a column, from 1."""
    heads = page.locator(f"#{table} thead th").all_inner_texts()
    return next(n for n, head in enumerate(heads, 1) if head.split("\n")[0] == text)


def test_the_page_opens_offline_without_a_complaint(chromium: Browser, report: Path) -> None:
    with opened(chromium, report) as page:
        assert page.title() == "atpn-bench: local, ssh:pi@board"
        assert page.locator("section.device").count() == 2
        assert page.locator(".take .name").first.inner_text() == "atpn-lite-int8.tflite"


def test_a_click_sorts_by_value_and_the_next_one_turns_it_round(
    chromium: Browser, report: Path
) -> None:
    with opened(chromium, report) as page:
        place = heading(page, "d1-files", "size")
        before = column(page, "d1-files", 1)
        head = page.locator(f"#d1-files thead th:nth-child({place})")
        head.locator("button").click()
        values = numbers(column(page, "d1-files", place))
        assert values == sorted(values)  # 1.26 comes after 0.808: bytes, not letters
        assert head.get_attribute("aria-sort") == "ascending"
        head.locator("button").click()
        assert numbers(column(page, "d1-files", place)) == values[::-1]
        assert head.get_attribute("aria-sort") == "descending"
        page.locator("#d1-files thead th:nth-child(1) button").click()
        assert head.get_attribute("aria-sort") is None
        names = column(page, "d1-files", 1)
        assert names != before
        assert sorted(names) == sorted(before)
        assert names[0] == "3DDFA_V2 mb0.5"
        assert column(page, "d2-files", 1) == before  # another device's table stays


def test_what_does_not_exist_stays_at_the_end_both_ways(chromium: Browser, report: Path) -> None:
    with opened(chromium, report) as page:
        place = heading(page, "d1-files", "drift")
        button = page.locator(f"#d1-files thead th:nth-child({place}) button")
        for _ in range(2):
            button.click()
            texts = column(page, "d1-files", place)
            assert texts[-5:] == ["-"] * 5
            assert "-" not in texts[:-5]
        assert texts[0] == "0.34"


def test_the_keyboard_sorts_too(chromium: Browser, report: Path) -> None:
    with opened(chromium, report) as page:
        place = heading(page, "d1-files", "size")
        head = page.locator(f"#d1-files thead th:nth-child({place})")
        head.locator("button").focus()
        page.keyboard.press("Enter")
        values = numbers(column(page, "d1-files", place))
        assert values == sorted(values)
        page.keyboard.press("Space")
        assert head.get_attribute("aria-sort") == "descending"
        page.keyboard.press("Tab")
        following = page.evaluate("document.activeElement.closest('th').cellIndex")
        assert following == place


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_follows_the_system_and_the_button(
    chromium: Browser, report: Path, dark: bool
) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    with opened(chromium, report, dark=dark) as page:
        first = page.evaluate(paper)
        assert first == ("rgb(16, 21, 27)" if dark else "rgb(245, 247, 249)")
        page.locator("#theme").click()
        other = page.evaluate(paper)
        assert other == ("rgb(245, 247, 249)" if dark else "rgb(16, 21, 27)")
        page.reload()
        assert page.evaluate(paper) in (first, other)
        page.locator("#theme").click()
        page.locator("#theme").click()
        assert page.locator("#theme").inner_text() in ("Light", "Dark")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_all_text_can_be_read(
    chromium: Browser, report: Path, size: tuple[int, int], dark: bool
) -> None:
    with opened(chromium, report, size, dark=dark) as page:
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert page.evaluate(FAINT) == []


@pytest.mark.parametrize("size", [DESK, PHONE, (320, 600)])
def test_nothing_is_wider_than_the_screen(
    chromium: Browser, report: Path, size: tuple[int, int]
) -> None:
    with opened(chromium, report, size) as page:
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_words_of_charts_lie_inside_and_apart(
    chromium: Browser, report: Path, size: tuple[int, int]
) -> None:
    with opened(chromium, report, size) as page:
        charts = page.evaluate(CHART_WORDS)
        assert len(charts) == 5  # three of the first device, two of the one without peaks
        for chart in charts:
            width, height = chart["box"]
            for word in chart["words"]:
                left, top, right, bottom = word["at"]
                assert left >= 0, word
                assert top >= 0, word
                assert right <= width, word
                assert bottom <= height, word
            labels = [word for word in chart["words"] if word["label"]]
            for n, a in enumerate(labels):
                for b in labels[n + 1 :]:
                    across = min(a["at"][2], b["at"][2]) - max(a["at"][0], b["at"][0])
                    down = min(a["at"][3], b["at"][3]) - max(a["at"][1], b["at"][1])
                    assert min(across, down) <= 0.5, (a, b)


def test_a_point_tells_its_figures_to_mouse_and_finger(chromium: Browser, report: Path) -> None:
    with opened(chromium, report) as page:
        tip = page.locator("#tip")
        assert not tip.is_visible()
        page.locator("#d1 svg.desk path[data-name='atpn-lite-int8.tflite']").first.hover()
        assert tip.is_visible()
        words = tip.inner_text()
        assert "p50 1.81 ms (1.80-1.82), p95 1.86 ms" in words
        assert "1.26 MB" in words
        box = tip.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= DESK[0]
        page.keyboard.press("Escape")
        assert not tip.is_visible()
        page.locator("#d1 g[data-name='faceland98.tflite']").first.click()
        assert "faceland98" in tip.inner_text()
        page.locator("h2").first.click()
        assert not tip.is_visible()


def test_hostile_names_stay_letters(chromium: Browser, run: Run, tmp_path: Path) -> None:
    long = "n" * 200
    rows = (
        replace(run.rows[0], name=EVIL, title=EVIL, model=EVIL, runtime=EVIL),
        replace(run.rows[3], name=long, title=long, model=long),
        replace(run.rows[-8], name=long + "2", title=long),
        *run.rows[-7:],
    )
    hostile = replace(
        run, rows=rows, device=EVIL, machine=replace(run.machine, cpu=long), problems=(EVIL, long)
    )
    html_report([hostile], tmp_path / "out.html")
    for size in (DESK, PHONE):
        with opened(chromium, tmp_path / "out.html", size) as page:
            assert "taken" != page.title()
            assert page.locator("img").count() == 0
            assert EVIL in column(page, "d1-files", 1)
            page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
            page.locator(".bar[data-tip] >> visible=true").first.hover()
            assert page.locator("#tip").is_visible()


def test_a_picture_shows_the_head_of_the_report(
    chromium: Browser, report: Path, tmp_path: Path
) -> None:
    from PIL import Image

    take(chromium, report, tmp_path / "bench.png")
    with Image.open(tmp_path / "bench.png") as image:
        width, height = image.size
    assert width == 1680
    assert 1200 < height < 3200
    with pytest.raises(ExportError, match="there is no report"):
        take(chromium, tmp_path / "absent.html", tmp_path / "bench.png")
