from __future__ import annotations

from tests.featurestore.storage.kill_many import kill_many


def test_a_killed_job_ends_as_if_it_had_not_been_killed(location: str) -> None:
    """20 times SIGKILL at random moments, and a new start each time: nothing half-done, and no difference in the end."""
    tally = kill_many(location, kills=20, seed=1)
    assert tally.kills == 20
    assert (tally.differences, tally.half_done, tally.broken_fragments) == (0, 0, 0)
