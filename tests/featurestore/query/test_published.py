from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from featurestore.query import catalog, published

if TYPE_CHECKING:
    from featurestore import Lake


def test_the_table_is_the_papers() -> None:
    """44 models with 16 detectors, in shares; single cells as printed."""
    rows = published.table().to_pylist()
    by = {(row["model"], row["detector"]): row for row in rows}
    assert len(by) == len(rows) == 44 * 16
    assert len({row["model"] for row in rows}) == 44
    assert by["ConvNeXt-B-In21k", "mahalanobis-pp"]["fpr95"] == 0.288
    assert by["ConvNeXt-B-In21k", "relative-mahalanobis-pp"]["fpr95"] == 0.325
    assert by["ConvNeXt-B", "energy"]["fpr95"] == 0.894
    assert by["ViT-so400M-SigLip", "msp"]["accuracy"] == 0.894
    assert all(0 < row["fpr95"] <= 1 and 0.7 < row["accuracy"] < 1 for row in rows)


def test_a_model_that_timm_lacks_has_no_names_of_timm() -> None:
    """Two models of the paper are nowhere to be had; the others have the name that `extract` takes."""
    unknown = {row["model"] for row in published.table().to_pylist() if row["timm_name"] is None}
    assert unknown == {"ResNet50-supcon", "ViT-L16-In21k-orig"}
    named = {row["timm_name"]: row for row in published.table().to_pylist() if row["timm_name"]}
    assert len(named) == 42
    assert named["convnext_base.fb_in1k"]["architecture"] == "convnext_base"
    assert named["convnext_base.fb_in1k"]["pretraining"] == "in1k"


def test_every_lake_has_it(lake: Lake) -> None:
    query = "select fpr95 from published where model = 'ResNet50' and detector = 'gmn'"
    (row,) = [row for row in published.rows() if row["published_name"] == "ResNet50"]
    assert lake.sql(query).fetchall() == [(pytest.approx(float(row["gmn"]) / 100),)]
    with lake.connect() as connection:
        assert connection.sql(query).fetchall() == lake.sql(query).fetchall()


def test_the_view_has_the_tables_columns() -> None:
    assert list(catalog.views()["published"].columns) == published.table().column_names
