from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from extract.machine import networks

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_driver_whose_gpu_torch_does_not_see_is_a_trouble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """That is a torch without CUDA, or for another driver; without a driver it is a machine without a GPU."""
    assert networks.is_hidden(tmp_path)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    troubles = []
    for hidden in (False, True):
        monkeypatch.setattr(networks, "is_hidden", lambda hidden=hidden: hidden)
        gpus, weights = networks.examine_networks((tmp_path,))
        troubles.append(len(gpus.troubles))
        assert (gpus.values["gpus"], weights.values["bytes_of_folder"]) == ([], {str(tmp_path): 0})
    assert troubles == [0, 1]
