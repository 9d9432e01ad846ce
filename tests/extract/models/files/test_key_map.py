"""Key maps: rules in turn, on all names; none idle, no name twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from extract.models.files import StoredWeights, outline, read_state_dict
from featurestore import InputError

if TYPE_CHECKING:
    from pathlib import Path


def _mapped(folder: Path, rules: str, suffix: str = "csv") -> StoredWeights:
    torch.save(
        {"module.enc.0.w": torch.ones(1), "module.fc.w": torch.ones(2), "module.aux": torch.ones(3)}, folder / "m.pth"
    )
    (folder / f"k.{suffix}").write_text(rules)
    return StoredWeights(folder / "m.pth", key_map=folder / f"k.{suffix}")


def test_rules_are_applied_in_turn_after_prefixes_and_nothing_drops_an_array(tmp_path: Path) -> None:
    stored = _mapped(tmp_path, "from,to\n# layers\n^enc\\.(\\d+),blocks.\\1\n^fc,head\n^aux$,\n")
    assert read_state_dict(stored).keys() == {"blocks.0.w", "head.w"}
    assert str(outline(stored).notes[-1]) == "names: 3 of 3 renamed, 1 left out (--key-map k.csv)"
    assert stored.ingredients().keys() == {"key_map_sha256"}
    as_json = _mapped(tmp_path, '{"^enc\\\\.(\\\\d+)": "blocks.\\\\1", "^fc": "head", "^aux$": ""}', "json")
    assert read_state_dict(as_json).keys() == {"blocks.0.w", "head.w"}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("a,b\n", "must begin with the header from,to"),
        ("from,to\na\n", "no pair of from and to: a"),
        ("from,to\n(,b\n", "cannot turn '\\('"),
        ("from,to\nfc,\\3\n", "cannot turn 'fc'"),
        ("from,to\nnothing,b\n", "apply to no array of the file: nothing"),
        ("from,to\n^.*$,x\n", "calls both"),
    ],
)
def test_a_map_that_does_not_do_what_it_says_is_a_sentence(tmp_path: Path, rules: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_state_dict(_mapped(tmp_path, rules))
    with pytest.raises(InputError, match="Cannot read the key map"):
        read_state_dict(StoredWeights(tmp_path / "m.pth", key_map=tmp_path / "gone.csv"))
