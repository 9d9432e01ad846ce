"""The OOD samples that a model is surest about."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from analysis.report.section_items import Gallery, Picture, SectionBody, TableView
from analysis.report.sections.section import Section
from analysis.report.sentences import left_out
from featurestore.errors import LakeError
from featurestore.sql_text import quote

if TYPE_CHECKING:
    from analysis.report.context import Context

_EACH, _SETS, _SIDE, _QUALITY = 12, 3, 160, 72
_CAPTION = "Below each: its OOD class, the class that the model predicts, its score, and the share of ID test samples that score lower."


_SAMPLES = """
select sample, class_name, place.file as image, place.member as member from (
    select samples.*, image_place(datasets.format, datasets.location, samples.path) as place
    from samples join datasets using (dataset) where dataset = {dataset} and list_contains({samples}, sample)
)
"""


def build(context: Context) -> SectionBody:
    """The samples with the highest ID ranks of each OOD set, by the best detector, as pictures and as a table."""
    held = context.lake.partitions("scores", benchmark=context.benchmark, model=context.model)
    scored = {manifest.key["dataset"] for manifest in held}
    hardest = {dataset: _hardest(context, dataset) for dataset in context.ood[:_SETS] if dataset in scored}
    if not hardest:
        return SectionBody(not_shown=[f"Hardest OOD samples: the lake holds no scores of {context.model}."])
    sets = [*hardest, *(dataset for dataset in context.ood if dataset not in hardest)]
    shown = {dataset: _pictures(context, part) for dataset, part in hardest.items()}
    caption = "ID rank: the share of ID test samples that score lower."
    sql = [_query(context, dataset) for dataset in hardest]
    table = TableView("hardest-samples", "The same as a table", caption, pl.concat(hardest.values()), sql)
    galleries = [Gallery(f"Hardest samples of {dataset}", _CAPTION, of) for dataset, of in shown.items() if of]
    return SectionBody(
        (),
        [*galleries, table],
        [
            *_why_not(context, len(table.frame), sum(map(len, shown.values()))),
            *left_out("Hardest OOD samples", sets, len(hardest)),
        ],
        f"The OOD samples that {context.best_detector} of the most accurate model, {context.model}, takes for ID most surely.",
    )


def _query(context: Context, dataset: str) -> str:
    """SQL that says the same; predictions are of the activations' logits."""
    key = {
        "benchmark": context.benchmark,
        "model": context.model,
        "detector": context.best_detector,
        "dataset": dataset,
    }
    where = " and ".join(f"{name} = {quote(value)}" for name, value in key.items())
    return f"select dataset as ood_dataset, sample, class_name, id_rank, score, image_place(format, location, path) as image from scores join samples using (dataset, sample) join datasets using (dataset) where {where} order by id_rank desc, score desc, sample limit {_EACH}"  # noqa: S608 # quoted


def _hardest(context: Context, dataset: str) -> pl.DataFrame:
    lake = context.lake
    key = {"benchmark": context.benchmark, "model": context.model, "detector": context.best_detector}
    scores = lake.scan("scores", dataset=dataset, **key)
    ranked = scores.sort("id_rank", "score", "sample", descending=[True, True, False])
    top = ranked.select("sample", "score", "id_rank").head(_EACH).collect()
    names = _samples(context, dataset, top["sample"].to_list())
    predicted = _predictions(context, dataset, top["sample"].to_list())
    return top.join(names, on="sample", how="left", maintain_order="left").select(
        pl.lit(dataset).alias("ood_dataset"), "sample", "class_name", pl.Series("predicted", predicted, pl.String), "id_rank", "score", "image", "member"
    )  # fmt: skip


def _samples(context: Context, dataset: str, samples: list[int]) -> pl.DataFrame:
    """What the samples are, and the files that hold their images."""
    found: pl.DataFrame = context.lake.sql(_SAMPLES.format(dataset=quote(dataset), samples=samples)).pl()
    return found


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
    query = "select distinct dataset, label, class_name from samples where label is not null"
    samples: pl.DataFrame = context.lake.sql(query).pl()
    datasets: pl.DataFrame = context.lake.sql("select dataset, role, benchmarks from datasets").pl()
    own = datasets.filter(pl.col("role").is_in(["id", "fit"]), pl.col("benchmarks").list.contains(context.benchmark))
    return dict(samples.join(own, on="dataset", how="semi").select("label", "class_name").iter_rows())


def _pictures(context: Context, part: pl.DataFrame) -> list[Picture]:
    """Of the samples whose images can be read."""
    if context.open_image is None:
        return []
    opened = ((row, context.open_image(row["ood_dataset"], row["sample"])) for row in part.iter_rows(named=True))
    return [_picture(row, image) for row, image in opened if image is not None]


def _picture(row: dict[str, Any], image: Any) -> Picture:
    image.thumbnail((_SIDE, _SIDE))
    jpeg = io.BytesIO()
    image.convert("RGB").save(jpeg, "JPEG", quality=_QUALITY)
    lines = (
        str(row["class_name"]),
        f"→ {row['predicted']}" if row["predicted"] else "",
        f"score {row['score']:.4g}".replace("-", "−"),
        f"above {100 * row['id_rank']:.0f}\u00a0% of ID",
    )
    return Picture(jpeg.getvalue(), lines)


def _why_not(context: Context, wanted: int, shown: int) -> list[str]:
    if context.open_image is None:
        return ["Pictures of the hardest OOD samples: say from where they may be taken, with `--images FOLDER`."]
    if shown < wanted:
        unread = f"Pictures of {wanted - shown} of the {wanted} hardest OOD samples: their files cannot be read where they were"
        return [f"{unread} when the dataset was added, or lie outside of what `--images` names."]
    return []


SECTION = Section("hardest", "What fools it?", 55, build)
