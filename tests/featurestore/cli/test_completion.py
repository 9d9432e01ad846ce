from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.cli.prompt import Words

if TYPE_CHECKING:
    from featurestore import Lake


def test_completion_knows_what_is_at_hand(four: Lake) -> None:
    """Columns of the views that are named come first; behind a dot, only those of that view or alias."""
    with four.connect() as connection:
        words = Words(connection)

    def offered(text: str) -> list[str]:
        return [word for _, word, _ in words.complete(text)]

    assert offered("from metrics where ")[:2] == ["benchmark", "model"]
    assert offered("select fp") == ["fpr95_difference", "fpr95", "fpr95_ood_positive"] or "fpr95" in offered(
        "select fp"
    )
    assert offered("from metrics as m join models on m.det") == ["detector"]
    assert offered("select accuracy.t") == ["top1", "top5"]
    assert offered("select nothing.t") == []
    assert "best_detector()" in offered("from best_d")
    assert "regexp_matches(" in offered("select regexp_m")
    assert "select" in offered("SEL")
    assert [meaning for _, word, meaning in words.complete("from metrics where detect") if word == "detector"] == [
        "The detector's name"
    ]
