"""The report as a reader meets it: in Chromium, from disk, with the network off."""

from __future__ import annotations

import csv
import io
import shutil
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from analysis.report import write_report
from analysis.studies import accuracy_vs_fpr
from analysis.studies.results import leading, results
from benchmarks.lakes.random_scores import RECIPES, Shape, make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from featurestore import Lake

pytestmark = pytest.mark.browser

EVIL = "<img src=x onerror=\"document.title='broken into'\"></script>"
SIZES = {"desktop": (1280, 900), "tablet": (768, 1024), "phone": (390, 844)}
LONG = "a-custom-vision-transformer-base-patch16-with-many-options-{}"
UNCLIPPED = """() => {
  const faults = [], is_out = (inner, outer) => inner.width && (inner.left < outer.left - 2 || inner.right > outer.right + 2);
  const screen = { left: 0, right: innerWidth };
  for (const element of document.querySelectorAll("body *:not(svg *)")) {
    if (!element.offsetParent || element.closest(".table, pre")) continue;
    const hides = getComputedStyle(element).overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1;
    if (hides || is_out(element.getBoundingClientRect(), screen)) faults.push(element.outerHTML.slice(0, 80));
  }
  for (const cell of document.querySelectorAll("td, th")) if (cell.scrollWidth > cell.clientWidth + 1) faults.push(cell.textContent);
  for (const svg of document.querySelectorAll(".chart svg"))
    for (const text of svg.querySelectorAll("text"))
      if (is_out(text.getBoundingClientRect(), svg.getBoundingClientRect())) faults.push(svg.closest("figure").id + ": " + text.textContent);
  return faults;
}"""
LEGEND = "svg .role-legend-label text"
POINTS = "#accuracy-vs-fpr svg .mark-symbol.role-mark path"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    ood = {"far": ((EVIL, "elk", "fox", "gnu"), 12), "unit-tests": (("black", "uni", "white"), 8)}
    return make(tmp_path_factory.mktemp("browser") / "lake", Shape(models=8, ood=ood, soup=True))


@pytest.fixture(scope="module")
def report(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "report.html"
    write_report(lake, out, open_image=lambda _dataset, sample: Image.new("RGB", (300, 200), (sample, 99, 0)))
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    assert executable, "There is no Chromium: `make test-browser` installs it."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page, and what it complained about or asked the network for."""

    def __init__(self, browser: Browser, report: Path, size: str = "desktop", scheme: str = "light") -> None:
        width, height = SIZES[size]
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=True, accept_downloads=True
        )
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(report.as_uri())
        self.page.wait_for_selector("html[data-ready]", timeout=60_000)


def wait_for_legend(page: Page, figure: str, there: list[str], gone: str) -> None:
    """Wait until a figure is drawn with these names in its legends, and without another."""
    page.wait_for_function(
        "([labels, there, gone]) => (names => there.every(name => names.includes(name)) && !names.includes(gone))"
        "([...document.querySelectorAll(labels)].map(label => label.textContent))",
        arg=[f"#{figure} {LEGEND}", there, gone],
    )


def open_tables(page: Page) -> None:
    page.evaluate("document.querySelectorAll('.listing > details').forEach(details => { details.open = true; })")


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Opened]:
    opened = Opened(browser, report)
    yield opened
    opened.context.close()


def test_it_opens_without_network_errors_or_strangers(opened: Opened) -> None:
    """Every figure is drawn; nothing but the file itself is asked for; a class name with markup stays text."""
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in opened.requests if url.startswith("file:")]) == 1
    for figure in opened.page.query_selector_all("figure.figure"):
        marks = figure.query_selector_all("svg .role-mark path")
        assert marks, figure.get_attribute("id")
    assert opened.page.title() == "Out-of-distribution detection"


def test_a_filter_changes_charts_and_tables(opened: Opened, lake: Lake) -> None:
    frame = accuracy_vs_fpr.data(lake)
    page = opened.page
    of_one = frame.filter(pl.col("detector") == frame["detector"][0])
    points = 2 * len(of_one)  # of FPR and AUROC
    assert page.locator(POINTS).count() == points
    page.locator(".filters summary").click()
    page.locator("#filters input[value=in1k]").uncheck(force=True)
    without = 2 * len(of_one.filter(pl.col("pretraining") != "in1k"))
    assert 0 < without < points
    page.wait_for_function(f"document.querySelectorAll('{POINTS}').length == {without}")
    page.locator("#filters input[value=msp]").uncheck(force=True)
    wait_for_legend(page, "threshold-explorer", there=["mahalanobis", "max-logit"], gone="msp")
    open_tables(page)
    shown = page.locator("#best-detector tbody tr:visible").all_inner_texts()
    assert shown
    assert not [row for row in shown if "msp" in row.split("\t") or "in1k" in row.split("\t")]
    page.locator("#filters button[type=reset]").click()
    page.wait_for_function(f"document.querySelectorAll('{POINTS}').length == {points}")
    assert opened.complaints == []


def test_a_table_sorts_by_number_and_by_text(opened: Opened) -> None:
    open_tables(opened.page)
    heading = opened.page.locator("#best-detector th[data-column=mean_fpr95]")
    cells = opened.page.locator("#best-detector td.share")
    for order in ("ascending", "descending"):
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == order
        values = [float(cell.get_attribute("data-v")) for cell in cells.all()]
        assert values == sorted(values, reverse=order == "descending")
        assert len(set(values)) > 2
    opened.page.locator("#best-detector th[data-column=detector] button").click()
    names = opened.page.locator("#best-detector tbody tr td:nth-child(3)").all_inner_texts()
    assert names == sorted(names)
    assert heading.get_attribute("aria-sort") == "none"


def test_a_choice_redraws_the_heatmap(opened: Opened) -> None:
    colours = "[...document.querySelectorAll('#unit-test-heatmap svg .mark-rect.role-mark path')].map(p => p.getAttribute('fill'))"
    before = opened.page.evaluate(colours)
    opened.page.locator("#unit-test-heatmap select").select_option("msp")
    opened.page.locator("#unit-test-heatmap select").select_option("max-logit")
    opened.page.wait_for_function(f"JSON.stringify({colours}) != {str(before)!r}")
    assert len(opened.page.evaluate(colours)) == len(before) == 9 * 3


def test_hovering_names_the_model(opened: Opened) -> None:
    opened.page.locator(POINTS).first.hover(force=True)
    tip = opened.page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    assert "model" in tip.inner_text()
    assert "weight_decay" in tip.inner_text()


def test_the_data_of_a_figure_downloads_as_csv(opened: Opened, lake: Lake) -> None:
    with opened.page.expect_download() as waiting:
        opened.page.locator("#accuracy-vs-fpr [data-save=csv]").click()
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text(encoding="utf-8"))))
    frame = accuracy_vs_fpr.data(lake)
    assert waiting.value.suggested_filename == "accuracy-vs-fpr.csv"
    assert [row["model"] for row in rows] == frame["model"].to_list()
    assert [float(row["fpr95"]) for row in rows] == pytest.approx(frame["fpr95"].to_list(), rel=1e-5)
    open_tables(opened.page)
    with opened.page.expect_download() as waiting:
        opened.page.locator("#hardest-samples [data-save=csv]").click()
    names = {row["class_name"] for row in csv.DictReader(io.StringIO(waiting.value.path().read_text(encoding="utf-8")))}
    assert EVIL in names


def test_key_numbers_equal_those_of_ask(opened: Opened, lake: Lake) -> None:
    """Every number of the sentences that names a question and a column is in that question's answer."""
    numbers = [
        (element.get_attribute("data-source"), float(element.get_attribute("value")))
        for element in opened.page.query_selector_all(".findings data")
    ]
    asked = {source.split(".")[0] for source, _ in numbers if source}
    assert {"accuracy_fpr_correlation", "accuracy_vs_unit_test_fpr", "best_detector"} <= asked
    assert "effects" in asked
    for source, value in numbers:
        if source:
            question, column = source.split(".")
            answered = lake.sql("from effects") if question == "effects" else lake.ask(question)
            answer = answered.pl()[column].drop_nulls().to_numpy()
            assert np.isclose(answer, value, rtol=1e-5).any(), source


def test_tables_equal_ask(opened: Opened, lake: Lake) -> None:
    shown = opened.page.locator("#best-detector td.share").evaluate_all(
        "cells => cells.map(cell => Number(cell.dataset.v))"
    )
    assert shown == pytest.approx(lake.ask("best_detector").pl()["mean_fpr95"].to_list(), rel=1e-8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_in_light_and_dark(browser: Browser, report: Path, size: str, scheme: str) -> None:
    """Nothing is wider than the screen, charts and pictures have colours, and the paper is as light as was asked for."""
    opened = Opened(browser, report, size, scheme)
    assert opened.complaints == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    too_wide = "[...document.querySelectorAll('.chart')].filter(c => c.scrollWidth > c.clientWidth + 1).map(c => c.parentElement.id)"
    assert opened.page.evaluate(too_wide) == []
    open_tables(opened.page)
    assert opened.page.evaluate(UNCLIPPED) == []
    assert opened.page.locator(".filters").bounding_box()["height"] < SIZES[size][1] / 10
    pixels = np.asarray(Image.open(io.BytesIO(opened.page.screenshot(full_page=True))).convert("RGB")).astype(int)
    assert (pixels[3, 3].mean() > 128) == (scheme == "light")
    for name in ("accuracy-vs-fpr", "unit-test-heatmap", "about-hardest .gallery"):
        taken = opened.page.locator(f"#{name}").first.screenshot()
        part = np.asarray(Image.open(io.BytesIO(taken)).convert("RGB")).astype(int)
        coloured = (part.max(axis=2) - part.min(axis=2) > 60).mean()
        assert coloured > 0.001, name
    opened.page.locator("#theme").click()
    flipped = np.asarray(Image.open(io.BytesIO(opened.page.screenshot())).convert("RGB")).astype(int)
    assert (flipped[3, 3].mean() > 128) != (scheme == "light")
    opened.context.close()


def test_on_paper_there_are_no_controls_and_the_page_is_light(browser: Browser, report: Path) -> None:
    opened = Opened(browser, report, scheme="dark")
    opened.page.emulate_media(media="print")
    assert not opened.page.locator(".tools:visible, .filters:visible, nav:visible").count()
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.page.locator("#accuracy-vs-fpr svg").is_visible()
    assert not opened.page.locator(".source:visible, .listing > details:not([open]):visible").count()
    assert opened.page.locator("#models-table tbody tr:visible").count() == 9
    opened.context.close()


def test_a_legend_names_the_eight_best_of_many_detectors(browser: Browser, tmp_path: Path) -> None:
    """Of ten detectors, the page begins with the eight of the lowest FPR; another in place of one has a colour of its own."""
    lake = make(tmp_path / "lake", Shape(models=3, detectors=tuple(f"d{i}" for i in range(10))))
    write_report(lake, tmp_path / "report.html")
    best = leading(results(lake, "main"))
    opened = Opened(browser, tmp_path / "report.html")
    told = opened.page.locator(f"#threshold-explorer {LEGEND}").all_text_contents()
    assert set(told) & set(best) == set(best[:8])
    opened.page.locator(".filters summary").click()
    opened.page.locator(f"#filters input[value={best[2]}]").uncheck(force=True)
    opened.page.locator(f"#filters input[value={best[9]}]").check(force=True)
    wait_for_legend(opened.page, "threshold-explorer", there=[best[9]], gone=best[2])
    strokes = "[...document.querySelectorAll('#threshold-explorer svg .role-legend-symbol path')].map(path => path.getAttribute('stroke'))"
    opened.page.wait_for_function(f"{strokes}.length == 8 && new Set({strokes}).size == 8")
    assert opened.complaints == []
    opened.context.close()


@pytest.mark.parametrize("models", [1, 3, 16])
def test_long_names_and_custom_architectures_fit_any_screen(browser: Browser, tmp_path: Path, models: int) -> None:
    """Labels show both ends of a name of 60 characters, and all of it on hover."""
    kwargs = {"architecture": LONG.format("vit"), "model_kwargs": '{"depth": 4, "embed_dim": 192, "img_size": 96}'}
    rows = {LONG.format(n): RECIPES[n] | kwargs | {"params": n} for n in range(models)}
    write_report(make(tmp_path / "lake", Shape(models=models), rows), tmp_path / "report.html")
    for size, (width, _) in SIZES.items():
        opened = Opened(browser, tmp_path / "report.html", size)
        open_tables(opened.page)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.page.evaluate(UNCLIPPED) == [], size
        names = opened.page.locator("#models-table td:first-child")
        assert names.first.get_attribute("title") in rows
        assert "…" in names.first.inner_text()
        if models > 1:
            labels = "[...document.querySelectorAll('#unit-test-heatmap .role-axis-label text title')].map(t => t.textContent)"
            assert set(opened.page.evaluate(labels)) == set(rows)
        opened.context.close()


def test_a_copied_statement_is_the_one_beside_it(opened: Opened) -> None:
    """Also where the page may not write to the clipboard: then it is selected."""
    opened.page.locator("#accuracy-vs-fpr .source summary").click()
    opened.page.locator("#accuracy-vs-fpr [data-copy]").first.click()
    assert opened.page.evaluate("String(getSelection())").startswith("select model, detector, ood_dataset")
