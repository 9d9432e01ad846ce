"""Other names: what disagrees with another lake is called otherwise on its way there, and the lake that it comes from is left alone.

Names change from what determines others to what follows, and only where the two still disagree after that: activations on another
dataset are no other model. A dataset stays in its benchmarks under its other name; so a benchmark that would have two fit, ID or
validation datasets then, or the same samples in two roles or groups, has another name, too, with all of its datasets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from featurestore.edit import rename
from featurestore.errors import ConflictError
from featurestore.names import check_slug, suggest_slug
from featurestore.storage import Overlay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from featurestore.edit.renaming import Learned
    from featurestore.storage import Storage
    from featurestore.transfer.meeting import Meeting

_KINDS = ("dataset", "model", "benchmark", "detector", "question")
"""What can have another name, each before what may disagree because of it."""


@dataclass(frozen=True, slots=True)
class Aside:
    """How what disagrees is called.

    Attributes:
        suffix: A dataset `far` is `far-SUFFIX`, a question `mine` is `mine_SUFFIX`, as names of questions are.
        learned: How what detectors learned is called, as `featurestore.edit.rename` asks for it.
    """

    suffix: str
    learned: Learned

    def __post_init__(self) -> None:
        check_slug("suffix", self.suffix)

    def name(self, kind: str, old: str) -> str:
        """What something is called."""
        if kind != "question":
            # The constants of a variant are no more in what has another name.
            return f"{suggest_slug(old) if kind == 'detector' else old}-{self.suffix}"
        path, suffix = PurePosixPath(old), self.suffix.replace("-", "_").replace(".", "_")
        return str(path.with_name(f"{path.stem}_{suffix}{path.suffix}"))


def set_aside(source: Storage, aside: Aside, meet: Callable[[Storage], Meeting], say: Callable[[str], None]) -> Meeting:
    """Give other names to what disagrees until nothing does; what still disagrees under its other name is left as it is.

    Args:
        source: The lake that is merged.
        aside: How things are called.
        meet: Lays a lake beside the one that takes it.
        say: Is told in a line of each name, and why.

    Raises:
        ConflictError: The lake holds another thing of that name.
        InputError: The other name is not allowed for that kind of thing.
    """
    overlay, given = Overlay(source), set[tuple[str, str]]()
    meeting = meet(overlay)
    while fresh := dict(_first(meeting, given)):
        for (kind, old), why in sorted(fresh.items()):
            new = aside.name(kind, old)
            _rename(overlay, kind, old, new, aside.learned)
            given.add((kind, new))
            say(f"{kind} {old} is taken as {new} ({why})")
        meeting = meet(overlay)
    return meeting


def _first(meeting: Meeting, given: set[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], str]]:
    """What is to have another name next, all of one kind, with the first reason of each."""
    open_ = [one for one in meeting.disagreements if (one.kind, one.name) not in given]
    kind = next((kind for kind in _KINDS if any(one.kind == kind for one in open_)), None)
    return (((one.kind, one.name), str(one)) for one in reversed(open_) if one.kind == kind)


def _rename(overlay: Overlay, kind: str, old: str, new: str, learned: Learned) -> None:
    if kind != "question":
        try:
            rename(overlay, kind, old, new, learned=learned)
        except ConflictError as error:
            raise _taken(overlay, kind, new) from error
    elif overlay.copy(old, new):
        overlay.delete([old])
    else:
        raise _taken(overlay, kind, new)


def _taken(overlay: Overlay, kind: str, new: str) -> ConflictError:
    return ConflictError(
        f"There is a {kind} {new} in {overlay.location}, too: give another suffix with --as. Nothing was merged."
    )
