from __future__ import annotations

import pkgutil
import re
from importlib import import_module

import pytest

import analysis.detectors
from analysis.detectors import Detector, default_detectors, detectors, get
from featurestore.errors import MissingError

DETECTORS = [
    "msp", "max-logit", "energy", "entropy", "gen", "temp-scaling", "mcm", "kl-matching", "openmax", "mahalanobis",
    "relative-mahalanobis", "mahalanobis-pp", "relative-mahalanobis-pp", "knn", "vim", "residual", "react", "vra",
    "ash-b", "ash-s", "scale", "dice", "gradnorm", "she", "fdbd", "nci", "nnguide", "relation", "cfood", "cosine",
    "rcos", "ssc", "neco", "nan-ratio", "gmm", "weiper", "pnml", "caref", "cadref", "cop", "corp", "kpca-nystrom",
    "radial-mahalanobis", "lts", "doctor", "logit-gap", "excel", "sirc", "sirc-residual", "ctm", "ora", "optfs",
    "neglabel",
]  # fmt: skip
OPENOOD = ["ash-b", "kl-matching", "knn", "nnguide", "react", "residual", "temp-scaling", "vim", "vra"]
EXPECTED = {*DETECTORS, *(f"{name}.openood" for name in OPENOOD)}
HELPERS = {
    "bank",
    "checked_scores",
    "comparison",
    "detector",
    "held_rows",
    "hyperparameter",
    "in_memory",
    "nearest",
    "norm_spread",
    "rank_counts",
    "registry",
    "shaped_energy",
    "testing",
    "value_impact",
}


def test_every_file_is_found_and_none_hides_another() -> None:
    """All detectors of the contract are there, in both conventions where those differ, each once."""
    names = [m.name for m in pkgutil.walk_packages(analysis.detectors.__path__, "analysis.detectors.") if not m.ispkg]
    defined = {name: [d.name for d in vars(import_module(name)).values() if isinstance(d, Detector)] for name in names}
    assert {name.rpartition(".")[2] for name, own in defined.items() if not own} == HELPERS
    assert sorted(name for own in defined.values() for name in own) == list(detectors())
    assert set(detectors()) >= EXPECTED


def test_the_registry_is_read_only() -> None:
    """Nobody adds a detector but by adding a file."""
    with pytest.raises(TypeError):
        detectors()["mine"] = get("msp")  # type: ignore[index]


@pytest.mark.parametrize("name", sorted(detectors()))
def test_descriptions_are_complete(name: str) -> None:
    """A detector says what it is, where it comes from, and what it learns from."""
    detector = get(name)
    assert detector.name == name
    assert re.fullmatch(r"[a-z0-9._-]+", name)
    assert all([detector.title, detector.formula, detector.source, detector.version >= 1])
    assert detector.learns != (detector.fitted_on == "none")
    assert detector.compare or (detector.fit is None) == (not detector.statistics)
    assert (detector.score is None) != (detector.compare is None)
    assert detector.convention == ("openood" if name.endswith(".openood") else "ninco")


def test_a_misspelt_name_gets_a_suggestion() -> None:
    """The nearest name is offered, and the whole list where none is near."""
    with pytest.raises(MissingError, match="'mahalonobis'; did you mean 'mahalanobis'"):
        get("mahalonobis")
    with pytest.raises(MissingError, match=r"there are .*energy"):
        get("zzz")


def test_what_costs_too_much_by_default_has_a_stand_in() -> None:
    """KNN is a baseline that nobody leaves out: a share of the fit set is scored in the place of all of it."""
    usual = {detector.name for detector in default_detectors()}
    assert "knn.sampled" in usual
    assert not usual & {"knn", "knn.openood", "vra.authors"}
    assert {detector.name for detector in detectors().values() if detector.stands_in} == {"knn.sampled"}
