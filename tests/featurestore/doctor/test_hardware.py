from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.doctor import hardware
from featurestore.doctor.finding import troubles

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MEMINFO = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"


def test_a_container_has_what_it_may_use(tmp_path: Path) -> None:
    """Where it may use less than the machine has; `max` is no limit."""
    (tmp_path / "meminfo").write_text(MEMINFO)
    limit, used = tmp_path / "memory.max", tmp_path / "memory.current"
    used.write_text("1000000000\n")
    told = []
    for text in ("max\n", "4000000000\n", "99999999999999\n"):
        limit.write_text(text)
        told.append(hardware.memory(tmp_path, ((limit, used),)))
    whole = (16_384_000_000, 8_192_000_000)
    assert told == [whole, (4_000_000_000, 3_000_000_000), whole]
    assert hardware.memory(tmp_path / "none") == (0, 0)


def test_little_shared_memory_is_a_trouble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Containers often have 64 MB; workers hand over batches through it."""
    found = list(hardware.examine_hardware(tmp_path))
    assert [finding.topic for finding in found] == ["cores", "memory", "shared memory"]
    monkeypatch.setattr(hardware, "_ENOUGH_SHARED", 1 << 62)
    (said,) = troubles(list(hardware.examine_hardware(tmp_path)))
    assert "--shm-size 8g" in said
    assert len(list(hardware.examine_hardware(tmp_path / "none"))) == 2
