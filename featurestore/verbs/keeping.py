"""Verbs about a lake as a whole: whether it is sound, what can go, and where else it is to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestore.lake import Lake
from featurestore.progress import progress as shown
from featurestore.verbs.arguments import bar_of, listed, told

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from featurestore.care.garbage import Collection
    from featurestore.care.verify import Fault
    from featurestore.progress import Bars
    from featurestore.transfer import Carried
    from featurestore.verbs.arguments import Names, Said


class KeepingLake(Lake):
    """A lake that is checked, cleaned, copied, merged, and shown to other programs."""

    def verify(self, *, deep: bool = False, say: Said = None, progress: Bars | None = shown) -> Sequence[Fault]:
        """Check that the lake holds what its manifests say, as `featurestore verify`.

        Args:
            deep: Hash every file and check every row too.
            say: Is told each fault as it is found.
            progress: Shows how far it is.

        Returns:
            The faults; none in a sound lake.
        """
        from featurestore.care import verify

        self.check_exists()
        tell, faults = told(say), list[Any]()

        def found(fault: Fault) -> None:
            faults.append(fault)
            tell(str(fault))

        verify.verify(self.storage, found, deep=deep, bar=bar_of(progress, "verify"))
        return faults

    def gc(self, *, older_than: str = "24h", dry_run: bool = False, say: Said = print) -> Collection:
        """Delete what no manifest names any more, and what killed jobs left, as `featurestore gc`.

        Args:
            older_than: Grace period: a whole number and s, m, h, d or w.
            dry_run: Say what would be deleted, and delete nothing.
            say: Is told what was deleted of each table.

        Returns:
            What was, or would be, deleted, and what is younger than the grace period.

        Raises:
            InputError: `older_than` is no duration.
            CorruptionError: A manifest cannot be read; it may name anything, so nothing more is deleted.
        """
        from featurestore.care import garbage
        from featurestore.quantities import parse_duration

        grace, tell = parse_duration(older_than), told(say)
        self.check_exists()
        collected = garbage.collect(self.storage, grace, dry_run=dry_run)
        for line in garbage.summary(collected, dry_run=dry_run):
            tell(line)
        return collected

    def catalog(self, out: str | os.PathLike[str]) -> Path:
        """Write a DuckDB file with every view and question, for any DuckDB client, as `featurestore catalog`.

        Args:
            out: The file.

        Returns:
            The file.

        Raises:
            InputError: The file exists and is no catalog, or its folder does not exist.
        """
        from featurestore.query.duckdb_file import write_catalog

        self.check_exists()
        write_catalog(self.storage, Path(out))
        return Path(out)

    def copy(
        self,
        target: str | os.PathLike[str],
        *,
        model: Names = None,
        dataset: Names = None,
        table: Names = None,
        replace: bool = False,
        dry_run: bool = False,
        say: Said = print,
        progress: Bars | None = shown,
    ) -> Carried:
        """Copy the lake, or a part of it, to another folder or bucket, as `featurestore copy`; each file is checked on the way.

        Args:
            target: Folder or URL to copy it to.
            model: Only these models; * stands for any characters.
            dataset: Only these datasets, likewise.
            table: Only these tables, and those that they name.
            replace: Replace what the target holds under the same keys with other content.
            dry_run: Say what would be copied, and copy nothing.
            say: Is told what is copied, left out, and in conflict.
            progress: Shows how far it is.

        Returns:
            What came, or would come: partitions, fragments, bytes, and partitions that were there already.

        Raises:
            ConflictError: The target holds something else under the same key; nothing is copied.
            CorruptionError: A fragment is not what its manifest says; what was copied before it stays, and is whole.
            MissingError: There is no lake, or it does not hold what is asked for.
        """
        from featurestore import transfer

        self.check_exists()
        restriction = transfer.Restriction(listed(model), listed(dataset), listed(table))
        return transfer.copy(
            self.storage,
            Lake(target).storage,
            restriction,
            say=told(say),
            replacing=replace,
            dry_run=dry_run,
            bar=bar_of(progress, "copy"),
        )

    def merge(
        self,
        other: str | os.PathLike[str] | Lake,
        *,
        as_: str | None = None,
        dry_run: bool = False,
        say: Said = print,
        progress: Bars | None = shown,
    ) -> Carried:
        """Take all that another lake holds into this one, as `featurestore merge`.

        Args:
            other: The other lake, or its folder or URL.
            as_: Take what disagrees under another name, `NAME-SUFFIX`: the suffix.
            dry_run: Say what would be merged, and change nothing.
            say: Is told what comes, and what disagrees.
            progress: Shows how far it is.

        Returns:
            What came, or would come: partitions, fragments, bytes, and partitions that were there already.

        Raises:
            ConflictError: The two disagree; nothing is written.
            MissingError: One of them is not there.
        """
        from analysis.lineage.renamed import learned_anew
        from featurestore import transfer

        source = other if isinstance(other, Lake) else Lake(other)
        aside = None if as_ is None else transfer.Aside(as_, learned_anew)
        source.check_exists()
        self.check_exists()
        bar = bar_of(progress, "merge")
        return transfer.merge(source.storage, self.storage, say=told(say), aside=aside, dry_run=dry_run, bar=bar)
