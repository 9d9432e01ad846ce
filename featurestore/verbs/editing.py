"""Verbs that remove, rename and correct what a lake holds; nothing is extracted or scored again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from featurestore.errors import InputError
from featurestore.lake import Lake
from featurestore.names import pick
from featurestore.packages import guard
from featurestore.progress import progress as shown
from featurestore.verbs.arguments import bar_of, listed, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featurestore.edit import Edit
    from featurestore.progress import Bars
    from featurestore.verbs.arguments import Names, Said


class EditingLake(Lake):
    """A lake whose datasets, models, detectors and benchmarks are corrected.

    Each verb makes one commit per partition, in an order that leaves the lake valid if it is killed at any moment.
    """

    def remove(
        self, kind: str, name: str, *, dry_run: bool = False, say: Said = print, progress: Bars | None = shown
    ) -> Edit:
        """Remove a dataset, model, detector or benchmark, with all that was made from it, as `featurestore dataset remove` and its like.

        Args:
            kind: `dataset`, `model`, `detector` or `benchmark`.
            name: Its name; images, and a benchmark's datasets, stay.
            dry_run: Say what would be done, and do nothing.
            say: Is told what goes.
            progress: Shows how far it is.

        Returns:
            What is done, step by step; `gc` gives the disk's room back.

        Raises:
            MissingError: There is no such kind, or the lake knows no such name.
        """
        guard()
        from featurestore.edit import KINDS, read_inventory, removal

        pick("kind", kind, KINDS)
        self.check_exists()
        statistics: Sequence[str] = ()
        if kind == "detector":
            from analysis.scoring.withdrawal import own_statistics

            statistics = tuple(own_statistics(self, name))
        edit = removal(read_inventory(self.storage), kind, name, statistics)
        return self._apply(edit, name, dry_run=dry_run, say=say, progress=progress)

    def rename(
        self, kind: str, old: str, new: str, *, dry_run: bool = False, say: Said = print, progress: Bars | None = shown
    ) -> Edit:
        """Give a dataset, model, detector or benchmark another name wherever it stands, as `featurestore dataset rename` and its like.

        Args:
            kind: `dataset`, `model`, `detector` or `benchmark`.
            old: Its name.
            new: Its new one.
            dry_run: Say what would be done, and do nothing.
            say: Is told what changes.
            progress: Shows how far it is.

        Returns:
            What is done first, step by step.

        Raises:
            MissingError: There is no such kind, or the lake knows no such name.
            InputError: The new name is not allowed for that kind of thing.
            ConflictError: The lake holds something else under the new name.
        """
        guard()
        from analysis.detectors.registry import known_by
        from analysis.lineage.renamed import learned_anew
        from featurestore.edit import KINDS, read_inventory, renaming, summary
        from featurestore.edit import rename as carry_out

        pick("kind", kind, KINDS)
        if kind == "detector" and new in known_by([new]):
            raise InputError(f"{new} is a detector of its own: scores of {old} cannot have its name.")
        self.check_exists()
        edit, tell = renaming(read_inventory(self.storage), kind, old, new, learned_anew), told(say)
        for line in summary(edit, dry_run=dry_run):
            tell(f"{old} -> {new}: {line}")
        if not dry_run:
            carry_out(self.storage, kind, old, new, learned=learned_anew, bar=bar_of(progress, "commits"))
            tell(f"{old} is called {new} now")
        return edit

    def set_dataset(
        self,
        name: str,
        *,
        role: str | None = None,
        benchmark: Names = None,
        leave: Names = None,
        group: str | None = None,
        seen_in: Names | Mapping[str, Sequence[str] | None] = None,
        dry_run: bool = False,
        say: Said = print,
        progress: Bars | None = shown,
    ) -> Edit:
        """Change a dataset's role, group and benchmarks, as `featurestore dataset set`.

        Args:
            name: The dataset.
            role: `fit`, `id`, `val` or `csid`; OOD datasets have no labels and stay `ood`.
            benchmark: Benchmarks that it takes part in from now on.
            leave: Benchmarks that it leaves, with its scores there.
            group: Group of an OOD dataset; an empty text for none.
            seen_in: Pretraining data that hold its classes, or by such data which classes they hold, None for all; an empty text
                takes back what was said.
            dry_run: Say what would be done, and do nothing.
            say: Is told what changes.
            progress: Shows how far it is.

        Returns:
            What is done, step by step.

        Raises:
            MissingError: The lake has no such dataset.
            InputError: It cannot have that role, or be in these benchmarks.
        """
        guard()
        from extract.datasets import read_seen, with_part
        from featurestore.edit import read_inventory, row_change

        tell = told(say)
        asked: Any = {"seen_in": read_seen(seen_in), "joining": listed(benchmark), "leaving": listed(leave)}
        before, after = with_part(self, name, role=role, group=group, **asked)
        held = asdict(before)
        columns = {column: value for column, value in asdict(after).items() if value != held[column]}
        if "benchmarks" in columns:
            columns["benchmarks"] = list(after.benchmarks)
        edit = row_change(read_inventory(self.storage), name, columns)
        self._apply(edit, name, dry_run=dry_run, say=say, progress=progress)
        would = "would have the role" if dry_run else "role"
        benchmarks = ", ".join(after.benchmarks) or "no benchmark"
        tell(f"{name}: {would} {after.role}{f', group {after.ood_group}' if after.ood_group else ''}, in {benchmarks}")
        if "role" in columns or "benchmarks" in columns:
            tell("Run `featurestore score` to judge what it is part of now.")
        return edit

    def set_model(
        self,
        name: str,
        values: Mapping[str, Any] | Sequence[str],
        *,
        dry_run: bool = False,
        say: Said = print,
        progress: Bars | None = shown,
    ) -> Edit:
        """Correct what the lake says of a model's training, and of its layers', as `featurestore model set`.

        Args:
            name: The model.
            values: What is known of it by column, `{"weight_decay": 0.1}`, None where it is not known; or texts as the command takes them.
            dry_run: Say what would be done, and do nothing.
            say: Is told what changes.
            progress: Shows how far it is.

        Returns:
            What is done, step by step.

        Raises:
            MissingError: The lake has no such model, or models have no such column.
            InputError: A value does not have its column's type.
        """
        from featurestore.edit import correction, read_inventory

        self.check_exists()
        given = (
            [f"{column}={_text(value)}" for column, value in values.items()] if isinstance(values, Mapping) else values
        )
        edit = correction(read_inventory(self.storage), name, listed(given))
        return self._apply(edit, name, dry_run=dry_run, say=say, progress=progress)

    def set_benchmark(self, name: str, *, without_overlaps: bool | None = None, say: Said = print) -> bool:
        """Set how a benchmark is judged, as `featurestore benchmark set`; `score` then judges again what that changes.

        Args:
            name: The benchmark.
            without_overlaps: Whether test images whose bytes are also in a dataset of another role are left out of the judging.
            say: Is told what changed.

        Returns:
            Whether it was judged otherwise.

        Raises:
            InputError: Nothing is said to be set.
            MissingError: The lake has no such benchmark.
        """
        guard()
        from analysis.lineage import BenchmarkSettings, set_benchmark

        if without_overlaps is None:
            raise InputError("Say what to set: --without-overlaps or --with-overlaps.")
        changed = set_benchmark(self, name, BenchmarkSettings(without_overlaps))
        how = f"judged {'without' if without_overlaps else 'with'} overlaps"
        told(say)(f"{name} is {how} from the next `featurestore score` on" if changed else f"{name} is {how} already")
        return changed

    def _apply(self, edit: Edit, name: str, *, dry_run: bool, say: Said, progress: Bars | None) -> Edit:
        """Say what an edit does, and do it."""
        from featurestore.edit import carry_out, summary

        tell = told(say)
        if not edit.steps:
            tell(f"{name}: nothing to do, the lake says so already")
            return edit
        rows_alone = all(step.verb == "rewritten" for step in edit.steps)
        for line in (*edit.notes, *(() if rows_alone else summary(edit, dry_run=dry_run))):
            tell(f"{name}: {line}")
        if not dry_run:
            carry_out(self.storage, edit, bar_of(progress, "commits"))
        return edit


def _text(value: Any) -> str:
    """A value of a recipe as the command takes it."""
    return value if isinstance(value, str) else json.dumps(value)
