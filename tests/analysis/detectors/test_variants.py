"""Constants that users choose: how they are written, what is refused, and that the numbers are those of the label."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analysis.detectors import Detector, detectors, get
from analysis.detectors.hyperparameter import Hyperparameter, written
from analysis.detectors.registry import choose, default_detectors, known_by
from featurestore.errors import InputError, LakeError, MissingError, NumericalError
from featurestore.names import check_key
from tests.analysis.gathered import scored
from tests.analysis.modelled import headed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

WRITTEN = {
    "knn:k=50": ["knn@k=50"],
    "knn@k=50": ["knn@k=50"],
    "knn:k=10,50,1000": ["knn@k=10", "knn@k=50", "knn"],
    "knn: k = 10, 10": ["knn@k=10"],
    "knn.openood:k=1000": ["knn.openood@k=1000"],
    "vra:high=0.8,low=0.2": ["vra@low=0.2,high=0.8"],
    "vra:low=0.10,high=0.80": ["vra@high=0.8"],
    "vra:low=0.2,0.3,high=0.7,0.8": [
        "vra@low=0.2,high=0.7", "vra@low=0.2,high=0.8", "vra@low=0.3,high=0.7", "vra@low=0.3,high=0.8",
    ],
    "nci:alpha=0.00001": ["nci@alpha=1e-05"],
    "vim:dim=64": ["vim@dim=64"],
    "react:quantile=1": ["react@quantile=1"],
    "msp": ["msp"],
}  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN)
def test_a_text_stands_for_variants_of_one_name_each(text: str) -> None:
    """However it is written; what equals the default is the detector itself, and every name may stand in a key."""
    found = choose([text])
    assert [detector.name for detector in found] == WRITTEN[text]
    for detector in found:
        assert check_key("detector", detector.name) == detector.name
        again = get(detector.name)
        assert (again.name, again.values) == (detector.name, detector.values)


MISTAKES = {
    "knm:k=50": "There is no detector 'knm'; did you mean 'knn'? One of your own comes with --plugin FILE.",
    "knn:kk=50": "knn has no constant 'kk': did you mean 'k'?",
    "msp:k=50": "msp has no constant 'k': it has none.",
    "knn:k=0": "k of knn is a whole number of 1 or more, and 0 is not.",
    "knn:k=2.5": "k of knn is a whole number of 1 or more, and 2.5 is not.",
    "knn:k=many": "k of knn is a whole number of 1 or more, and many is not.",
    "react:quantile=1.5": "quantile of react is a number from 0 to 1, and 1.5 is not.",
    "react:quantile=nan": "quantile of react is a number from 0 to 1, and nan is not.",
    "nci:alpha=inf": "alpha of nci is a number of 0 or more, and inf is not.",
    "knn:": "knn: gives no constants: write knn:k=VALUE.",
    "knn:50": "knn:50 gives no constants: write knn:k=VALUE.",
    "vra:low=0.2,,high=0.7": "vra:low=0.2,,high=0.7 gives no constants: write vra:low=VALUE,high=VALUE.",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_what_cannot_be_is_said_in_a_sentence(text: str) -> None:
    """The nearest name, the bounds, the kind of number."""
    with pytest.raises((InputError, MissingError)) as raised:
        choose([text])
    assert str(raised.value) == MISTAKES[text]


def test_where_one_detector_is_wanted_a_list_is_refused() -> None:
    with pytest.raises(InputError, match=r"knn:k=1,2 stands for 2 detectors, and one is wanted here"):
        get("knn:k=1,2")


def test_names_are_read_back_exactly() -> None:
    """Numbers of any size."""
    for value in (0.1 + 0.2, 1e-300, 1e300, 12345678.9, 1 / 3, 5e-324, 2.0):
        variant = get("nci").with_values(alpha=value)
        assert check_key("detector", variant.name) == variant.name
        assert get(variant.name).values["alpha"] == value
        assert float(written(value)) == value


def test_variants_of_variants_keep_what_was_chosen() -> None:
    """And go back to the detector."""
    first = get("vra").with_values(low=0.2)
    assert first.with_values(high=0.8).name == "vra@low=0.2,high=0.8"
    assert first.with_values(low=0.1).name == "vra"
    assert (first.base, dict(first.values)) == ("vra", {"low": 0.2, "high": 0.9})


def test_of_names_in_a_lake_those_of_variants_are_known() -> None:
    """Another spelling, another constant or another detector is nobody's."""
    names = ["knn@k=50", "knn@k=050", "knn@k=10,50", "knn@j=3", "gone@k=3", "knn@k=0", "mean-rank", "msp"]
    assert [name for name in known_by(names) if name not in detectors()] == ["knn@k=50"]


def scaled(_fit: None, activations: Activations, *, t: float) -> NDArray[np.float64]:
    return activations.max_logit / t


T = Hyperparameter("t", 2.0, 0.5, 8.0, "made up")
SCALED: Detector[None] = Detector(
    "scaled", "Scaled", "max z / t", "none", scaled, needs_logits=True, hyperparameters=(T,)
)

REFUSED: dict[str, Callable[[], Any]] = {
    "gives hyperparameters as a mapping, which nothing reads": lambda: replace(SCALED, hyperparameters={"t": 2.0}),
    "declares the constant t, which none of its functions takes": lambda: replace(get("msp"), hyperparameters=(T,)),
    "declares the constant k, which none": lambda: replace(SCALED, hyperparameters=(T, replace(T, name="k"))),
    "The name of scaled with these values is scaled, not scaled@t=4": lambda: replace(SCALED, name="scaled@t=4"),
    "The name of scaled with these values is scaled@t=4": lambda: replace(SCALED, chosen={"t": 4.0}),
    "t of the declaration is a number from 0.5 to 8, and 9.0": lambda: replace(T, default=9.0),
    "cannot be the name of a constant": lambda: replace(T, name="the T"),
    "has no default, and no rule": lambda: replace(T, default=None),
    "t of scaled is a number from 0.5 to 8, and True": lambda: SCALED.with_values(t=True),
    "t of scaled is a number from 0.5 to 8, and None": lambda: SCALED.with_values(t=None),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_label_that_would_lie_is_refused(message: str) -> None:
    with pytest.raises(InputError, match=message):
        REFUSED[message]()


def test_other_defaults_take_effect() -> None:
    """What `replace` declares is what the functions are given, also of shipped detectors."""
    case = headed(0)
    theirs = replace(SCALED, name="theirs", hyperparameters=(replace(T, default=4.0),))
    assert np.array_equal(theirs.score_block(None, case.queries), case.queries.max_logit / 4)
    assert np.array_equal(SCALED.with_values(t=8).score_block(None, case.queries), case.queries.max_logit / 8)
    ten = replace(get("knn"), hyperparameters=(Hyperparameter("k", 10, 1, math.inf, "K"),))
    statistic = ten.compare_with_all(case.queries)
    assert (
        statistic.name
        == get("knn@k=10").compare_with_all(case.queries).name
        != get("knn@k=11").compare_with_all(case.queries).name
    )


CASE = headed(3, rows=1200, nonnegative=False)


def test_the_jitter_of_gmm_bounds_what_is_added() -> None:
    """A class of two samples in twelve dimensions takes some; none is too little."""
    few = headed(1, rows=30, dim=12, classes=5)
    scored("gmm", few.rows, few.labels, few.queries)
    with pytest.raises(NumericalError, match="adding up to 0 to its diagonal"):
        scored("gmm@jitter=0", few.rows, few.labels, few.queries)


def test_more_than_there_is_says_what_fits() -> None:
    """The K that does is typed as it is told."""
    labels = np.zeros(len(CASE.labels), int)
    with pytest.raises(InputError, match=r"has only 1200: take 1200 or fewer, as with `--detector knn:k=1200`"):
        scored("knn@k=1201", CASE.rows, labels, CASE.queries)
    assert len(scored("knn:k=1200", CASE.rows, labels, CASE.queries)) == len(CASE.queries)
    for name in ("vim@dim=12", "residual@dim=12"):
        with pytest.raises(
            LakeError, match="dim = 12 leaves no residual of features of 12 dimensions: take fewer than 12"
        ):
            scored(name, CASE.rows, CASE.labels, CASE.queries)
    for name in ("vra@low=0.95", "temp-scaling@lowest=5,highest=2"):
        with pytest.raises(InputError, match="the other way round"):
            scored(name, CASE.rows, CASE.labels, CASE.queries)


def test_defaults_are_never_variants() -> None:
    """What is scored unless detectors are named has the names of the detectors alone."""
    assert not [detector.name for detector in default_detectors() if detector.chosen or "@" in detector.name]
