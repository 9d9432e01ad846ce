"""The OOD samples that a model is surest about."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analysis.report.content import Content, Gallery, Picture, Section, Source, TableView
from featurestore.errors import LakeError

if TYPE_CHECKING:
    from analysis.report.context import Context

_EACH, _SETS, _SIDE, _QUALITY = 12, 3, 160, 72
_CAPTION = "Below each: its OOD class, the class that the model predicts, its score, and the share of ID test samples that score lower."


def build(context: Context) -> Content:
    """The samples with the highest ID ranks of each OOD set, by the best detector, as pictures and as a table."""
    detector = context.detectors[0]
    scored = {
        m.key["dataset"] for m in context.lake.partitions("scores", benchmark=context.benchmark, model=context.model)
    }
    hardest = [_hardest(context, detector, dataset) for dataset in context.ood[:_SETS] if dataset in scored]
    if not hardest:
        return Content(not_shown=[f"Hardest OOD samples: the lake holds no scores of {context.model}."])
    frame = pl.concat(hardest)
    pictures = {
        str(part["ood_dataset"][0]): [_picture(context, row) for row in part.iter_rows(named=True)] for part in hardest
    }
    shown = {dataset: [picture for picture in of if picture.jpeg] for dataset, of in pictures.items()}
    table = TableView(
        "hardest-samples", "The same as a table", "ID rank: the share of ID test samples that score lower.", frame,
        _source(context, detector),
    )  # fmt: skip
    galleries = [Gallery(f"Hardest samples of {dataset}", _CAPTION, of) for dataset, of in shown.items() if of]
    return Content(
        (),
        [*galleries, table],
        _why_not(context, len(frame), sum(map(len, shown.values()))),
        f"The OOD samples that {detector} of the most accurate model, {context.model}, takes for ID most surely.",
    )


def _source(context: Context, detector: str) -> Source:
    """SQL to show: names of models, detectors and benchmarks are slugs, and it is not run."""
    where = (
        f"benchmark = '{context.benchmark}' and model = '{context.model}' and detector = '{detector}' and role = 'ood'"
    )
    query = f"select dataset, sample, class_name, score, id_rank from scores join samples using (dataset, sample) join datasets using (dataset) where {where} order by id_rank desc, score desc limit {_EACH}"  # noqa: S608
    return Source(f'featurestore sql "{query}" --lake {context.lake.location}', query, "sql")


def _hardest(context: Context, detector: str, dataset: str) -> pl.DataFrame:
    lake = context.lake
    scores = lake.scan("scores", benchmark=context.benchmark, model=context.model, dataset=dataset, detector=detector)
    ranked = scores.select("sample", "score", "id_rank").sort(
        "id_rank", "score", "sample", descending=[True, True, False]
    )
    top = ranked.head(_EACH).collect()
    names = lake.scan("samples", dataset=dataset).select("sample", "path", "class_name").collect()
    predicted = _predictions(context, dataset, top["sample"].to_list())
    return top.join(names, on="sample", how="left", maintain_order="left").select(
        pl.lit(dataset).alias("ood_dataset"), "sample", "class_name", pl.Series("predicted", predicted, pl.String), "id_rank", "score", "path"
    )  # fmt: skip


def _predictions(context: Context, dataset: str, samples: list[int]) -> list[str | None]:
    """The ID class with the largest logit, for each sample; None where there are no activations any more."""
    found: dict[int, int] = {}
    try:
        for numbers, logits in context.lake.batches(model=context.model, dataset=dataset, columns=("sample", "logits")):
            for row in np.flatnonzero(np.isin(numbers, samples)):
                found[int(numbers[row])] = int(logits[row].argmax())
    except LakeError:
        return [None] * len(samples)
    names = _class_names(context)
    return [names.get(found[sample], str(found[sample])) if sample in found else None for sample in samples]


def _class_names(context: Context) -> dict[int, str]:
    samples: pl.DataFrame = context.lake.sql(
        "select distinct dataset, label, class_name from samples where label is not null"
    ).pl()
    datasets: pl.DataFrame = context.lake.sql("select dataset, role, benchmarks from datasets").pl()
    own = datasets.filter(pl.col("role").is_in(["id", "fit"]), pl.col("benchmarks").list.contains(context.benchmark))
    return dict(samples.join(own, on="dataset", how="semi").select("label", "class_name").iter_rows())


def _picture(context: Context, row: dict[str, object]) -> Picture:
    image = context.open_image(str(row["ood_dataset"]), int(str(row["sample"]))) if context.open_image else None
    lines = (
        str(row["class_name"]),
        f"→ {row['predicted']}" if row["predicted"] else "",
        f"score {row['score']:.4g}".replace("-", "−"),
        f"above {100 * float(str(row['id_rank'])):.0f}\u00a0% of ID",
    )
    if image is None:
        return Picture(b"", lines)
    image.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    image.convert("RGB").save(content, "JPEG", quality=_QUALITY)
    return Picture(content.getvalue(), lines)


def _why_not(context: Context, wanted: int, shown: int) -> list[str]:
    if context.open_image is None:
        return ["Pictures of the hardest OOD samples: Pillow is not installed; pip install 'featurestore[extract]'."]
    if shown < wanted:
        return [
            f"Pictures of {wanted - shown} of the {wanted} hardest OOD samples: their files cannot be read where they were when the dataset was added."
        ]
    return []


SECTION = Section("hardest", "What fools it", 55, build)
