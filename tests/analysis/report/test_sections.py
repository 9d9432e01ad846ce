"""The report of lakes that lack something, and of ones that have it all."""

from __future__ import annotations

import html
import re
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from analysis.lineage import BenchmarkSettings, set_benchmark
from analysis.report import write_report
from analysis.report.sections import detectors, sections
from benchmarks.lakes.random_scores import Shape, make
from featurestore import Lake
from featurestore.errors import MissingError, StorageError
from tests.analysis.report.conftest import page_of, payload, said
from tests.long import shortened

if TYPE_CHECKING:
    from pathlib import Path

    from tests.analysis.report.conftest import Pages

FAR = {"far": (("dog", "elk", "fox", "gnu"), 12)}
UNIT_TESTS = {"unit-tests": (("black", "uni"), 8)}
ONE_CLASS = {"far": (("dog",), 20)}


def test_what_is_left_out_of_the_judging_is_said(tmp_path: Path) -> None:
    """Only of a benchmark that is judged without overlaps."""
    sentence = "also in a dataset of another role are left out of the judging"
    assert sentence not in said(page_of(tmp_path, Shape(models=2)))
    lake = Lake(tmp_path / "lake")
    set_benchmark(lake, "main", BenchmarkSettings(without_overlaps=True))
    write_report(lake, tmp_path / "without.html")
    assert sentence in said((tmp_path / "without.html").read_text(encoding="utf-8"))


def test_a_whole_lake_shows_every_figure_with_its_source(pages: Pages) -> None:
    page = pages(Shape(models=8, soup=True))
    figures = {name for name, item in payload(page).items() if "spec" in item}
    assert figures == {
        "accuracy-correlation", "accuracy-vs-fpr", "combining-models", "detector-by-pretraining", "detector-ranks", "ensemble-transfer", "geometry", "risk-coverage",
        "geometry-vs-fpr", "recipe-effects", "score-distributions", "soups", "threshold-explorer", "unit-test-heatmap",
    }  # fmt: skip
    for name in payload(page):
        (figure,) = re.findall(rf'<figure id="{name}".*?</figure>', page, re.DOTALL)
        assert 'data-save="csv"' in figure
        assert '<pre class="sql">' in figure, name
        assert ('<pre class="command">python -m analysis.studies.' in figure) == (name in figures), name
    assert "Not shown" in page  # pictures without files


def statements(markup: str) -> list[str]:
    return [html.unescape(sql) for sql in re.findall(r'<pre class="sql">(.*?)</pre>', markup, re.DOTALL)]


def test_every_number_has_sql_that_runs_as_it_stands(tmp_path: Path) -> None:
    """Of the head, each sentence, figure and table; what a table shows is what its statement answers."""
    page = page_of(tmp_path, Shape(models=8, soup=True), metric="auroc")
    lake = Lake(tmp_path / "lake")
    answers = {sql: lake.sql(sql).pl() for sql in set(statements(page))}
    assert len(answers) > 15
    assert [sql for sql, answer in answers.items() if answer.is_empty()] == []
    (header,) = re.findall(r"<header>.*?</header>", page, re.DOTALL)
    assert answers[statements(header)[0]]["model"].n_unique() == 9
    said_lines = re.findall(r"<li>(?:(?!</li>).)*<data (?:(?!</li>).)*</li>", page, re.DOTALL)
    assert len(said_lines) > 8
    assert all(statements(line) for line in said_lines)
    for name, column in (("best-detector", "mean_value"), ("unit-tests", "accuracy"), ("correlation", "spearman")):
        (figure,) = re.findall(rf'<figure id="{name}".*?</figure>', page, re.DOTALL)
        (sql,) = statements(figure)
        values = [float(value) for value in re.findall(r'data-v="([^"]+)"', figure)]
        assert set(np.round(answers[sql][column].drop_nulls().to_numpy(), 6)) <= set(np.round(values, 6)), name
    (models,) = re.findall(r'<figure id="models-table".*?</figure>', page, re.DOTALL)
    best = lake.sql(statements(models)[0]).pl()
    assert list(re.findall(r'<td data-name="best detector">(.*?)</td>', models)) == best["detector"].to_list()[::2]


def test_models_stand_first_with_recipe_accuracy_and_their_best_detector(pages: Pages) -> None:
    """The most accurate first; FPR and AUROC stand side by side, of each OOD set, or of many sets their means."""
    page = pages(Shape(models=4))
    first = re.findall(r'<section id="about-([\w-]+)">', page)[0]
    frame = payload(page)["models-table"]["data"]
    assert first == "models"
    assert [column["name"] for column in frame] == ["model", "recipe", "accuracy", "best detector", *(f"{ood} {name}{end}" for ood in ("far", "unit-tests") for name in ("FPR95", "AUROC") for end in ("", "_low", "_high"))]  # fmt: skip
    low, high = frame[5]["values"][0], frame[6]["values"][0]
    assert f"<small>{low:.2f} to {high:.2f}</small>" in page
    assert frame[2]["values"] == sorted(frame[2]["values"], reverse=True)
    many = dict.fromkeys(("a", "b", "c", "d"), (("dog", "elk"), 8))
    names = [column["name"] for column in payload(pages(Shape(models=2, ood=many)))["models-table"]["data"]]
    assert names[-2:] == ["mean fpr95", "mean auroc"]


def test_long_names_are_shortened_and_whole_where_the_mouse_rests(tmp_path: Path) -> None:
    name = "a-custom-vision-transformer-base-patch16-with-many-options-1"
    assert len(name) == 60
    row = {"params": 1, "weight_decay": 0.1, "model_kwargs": '{"depth": 4}', "architecture": "vit"}
    write_report(make(tmp_path / "lake", Shape(models=1), {name: row}), tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    outside = re.sub(r"<(script|details class=.source).*?</(script|details)>", "", page, flags=re.DOTALL)
    assert f'title="{name}"' in outside
    assert f"<td>{name}" not in outside
    assert "{&#34;" not in outside  # no JSON


def test_methods_are_told_with_versions_and_the_digest_of_the_lake(pages: Pages, tmp_path: Path) -> None:
    """The digest is the same for the same numbers, and another for others."""

    def digest(page: str) -> str:
        text = said(page)
        assert "Holm" in text
        assert f"duckdb {version('duckdb')}" in text
        (found,) = re.findall(r"digest ([0-9a-f]{16})", text)
        return str(found)

    two = digest(pages(Shape(models=2)))
    assert two == digest(page_of(tmp_path, Shape(models=2))) != digest(pages(Shape(models=4)))


def test_the_page_holds_one_copy_of_the_library_and_no_address(pages: Pages) -> None:
    page = pages(Shape(models=4))
    assert page.count("window.vegaEmbed=") == 1
    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!data:|#)', outside)
    assert len(page) < 2_000_000


def test_one_model_and_one_detector(tmp_path: Path) -> None:
    text = said(page_of(tmp_path, Shape(models=1, detectors=("msp",))))
    assert "1 model, 1 detector and 2 OOD sets" in text
    for reason in (
        "it takes 5 models, the lake has 1",
        "only one detector, msp",
        "no two models are known to differ",
        "the lake has one.",
    ):
        assert reason in text
    assert "With one model, this is an observation, not a rule." in text


@pytest.mark.parametrize(
    ("lacks", "says", "absent"),
    shortened(
        [
            (Shape(models=3, ood=FAR), "no OOD set is named unit-tests", "unit-test-heatmap"),
            (Shape(models=3, ood=UNIT_TESTS), "it takes two models and two OOD sets", "ensemble-transfer"),
            (Shape(models=3, ood=ONE_CLASS), "an OOD set with two classes to split", "combining-models"),
            (Shape(models=6, recipes=False), "no two models are known to differ", "recipe-effects"),
            (Shape(models=6, recipes=False), "models with pretraining unknown and detector", "recipe-effects"),
            (Shape(models=6, accuracy=False), "no model's accuracy is known", "accuracy-vs-fpr"),
        ],
        to=3,
    ),
)
def test_what_cannot_be_shown_is_said(lacks: Shape, says: str, absent: str, pages: Pages) -> None:
    page = pages(lacks)
    assert says in said(page)
    assert absent not in payload(page)


@pytest.mark.long
def test_geometry_is_told_as_carefully_as_it_is_known(pages: Pages) -> None:
    """What differs is named with its n; what may be chance among many measures is called so; too few models say nothing."""
    whole = said(pages(Shape(models=12)))
    (found,) = re.findall(r"comparisons of feature spaces by pretraining, (.*?) lie ", whole + " ")[:1]
    assert found == "none can be told from chance; furthest is norm_mean: models with pretraining clip-openai"
    assert "widened for all that were compared, n = 2 checkpoints against 4)" in whole
    assert "Distance of the centred head rows from the centred class means" in whole
    assert re.search(r"of 25 measures|among 25 measures|the 25 measures tried", whole)
    few = said(pages(Shape(models=2)))
    assert "it takes 5 models with both by mahalanobis, the lake has 2" in few
    assert "comparisons of feature spaces" not in few
    without = said(pages(Shape(models=2, geometry=False)))
    assert "Geometry: the lake holds no measures of its feature spaces" in without


def test_class_names_with_markup_are_text(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)></script>"
    page = page_of(tmp_path, Shape(models=3, ood={"far": ((evil, "b"), 10), "unit-tests": ((evil, "c"), 8)}))
    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "<img" not in outside
    assert "onerror=alert(1)></script>" not in outside
    assert evil in said(page)


def test_without_a_place_or_files_the_table_stays_and_says_why(pages: Pages, tmp_path: Path) -> None:
    shape = Shape(models=2)
    without = said(pages(shape))
    assert "say from where they may be taken, with --images FOLDER" in without
    gone = page_of(tmp_path, shape, open_image=lambda _dataset, _sample: None)
    assert "Pictures of 24 of the 24 hardest OOD samples: their files cannot be read" in said(gone)
    assert "hardest-samples" in payload(gone)
    assert '<figure class="gallery"' not in gone


def test_the_folder_is_made_and_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    lake = make(tmp_path / "lake", Shape(models=1))
    write_report(lake, tmp_path / "a" / "b" / "out.html")
    assert (tmp_path / "a" / "b" / "out.html").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot write"):
        write_report(lake, tmp_path / "file" / "out.html")


def test_benchmarks_are_chosen_by_name(tmp_path: Path) -> None:
    lake = make(tmp_path / "lake", Shape(models=1))
    with pytest.raises(MissingError, match="main"):
        write_report(lake, tmp_path / "out.html", benchmark="mian")


def test_ood_sets_without_sentences_are_named(pages: Pages) -> None:
    sets = dict.fromkeys(("a", "b", "c", "d"), (("dog", "elk"), 8))
    text = said(pages(Shape(models=2, ood=sets)))
    assert "Sentences on the best detector: of a, b, c, and not of d." in text
    assert "Sentences on combining models: of a, b, and not of c, d." in text
    assert "Hardest OOD samples: of a, b, c, and not of d." in text


def test_a_report_ranks_by_the_metric_that_is_asked_for(tmp_path: Path) -> None:
    """The sentences, the table and the head of the page name it."""
    text = said(page_of(tmp_path, Shape(models=3, detectors=("msp", "knn")), metric="auroc"))
    assert "Detectors are ranked by auroc" in text
    assert {"mean_auroc", "mean_value"} <= set(Lake(tmp_path / "lake").ask("best_detector", metric="auroc").columns)
    assert [detectors._source(name) for name in ("auroc", "aupr_in")] == [
        "best_detector.mean_auroc",
        "best_detector.mean_value",
    ]
    assert "have the highest auroc: " in text
    assert "no detector is better by auroc" in text


def test_what_fools_a_model_stands_by_ood_set_with_class_prediction_and_score(tmp_path: Path) -> None:
    page = page_of(
        tmp_path, Shape(models=2), open_image=lambda _dataset, sample: Image.new("RGB", (9, 9), (sample, 0, 0))
    )
    galleries = re.findall(r'<figure class="gallery">.*?</figure>', page, re.DOTALL)
    assert len(galleries) == 2
    for gallery, dataset, classes in zip(
        galleries, ("far", "unit-tests"), ("dog|elk|fox|gnu", "black|uni|white"), strict=True
    ):
        assert f"Hardest samples of {dataset}" in said(gallery)
        lines = rf"<span>({classes})</span>.*?<span>score −?[\d.]+</span><span>above \d+\u00a0% of ID</span>"
        assert len(re.findall(lines, gallery)) == 12


def test_links_lead_to_sections_which_answer_first(pages: Pages) -> None:
    page = pages(Shape(models=8, soup=True))
    anchors = re.findall(r'href="#([\w-]+)"', page)
    assert {"about-accuracy", "about-detectors", "about-recipes"} <= set(anchors)
    for anchor in anchors:
        (section,) = re.findall(rf'<section id="{anchor}">.*?</section>', page, re.DOTALL)
        if '<ul class="findings">' in section:
            assert section.index('<ul class="findings">') < section.index("<figure")


def test_sections_have_their_own_anchors() -> None:
    names = [section.name for section in sections()]
    assert len(set(names)) == len(names) > 8
