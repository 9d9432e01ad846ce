"""`featurestore dataset …` and `featurestore unit-tests`: what images there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from featurestore.cli.options import DryRunOption, FormatOption, LakeOption, ReplaceOption, lake_at, lake_with_verbs
from featurestore.cli.output import say, tell, tell_edit
from featurestore.cli.render import show

SeenInOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--seen-in",
        metavar="DATA[=FILE]",
        help="Pretraining data, as models name them, that hold the classes of an OOD dataset: all, or those that FILE lists. "
        "'' takes back what was said.",
    ),
]


def dataset_add(
    name: Annotated[str, typer.Argument(help="Name of the dataset in the lake.")],
    path: Annotated[
        str | None,
        typer.Argument(
            help="Where its images lie: file, folder, quoted glob, URL, or hf:NAME@split. Not needed with --from."
        ),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            help="fit (fits detectors), id (ID test), ood, val (ID, tunes), or csid (shifted ID). [default: as in the lake]"
        ),
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Benchmark that it takes part in. [default: as in the lake, else main]")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Group of an OOD dataset, such as near or far.")] = None,
    seen_in: SeenInOption = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="How the images lie: folder, imagenet-val, csv, imglist, ninco, tar, parquet or hf; else it goes by PATH.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV class_name,label that overrides the labels; imagenet-val: the images' labels."),
    ] = None,
    label_kind: Annotated[
        str | None,
        typer.Option(
            help="index, if classes that are integers are labels; imagenet-val: what the labels are: wnid, devkit or index."
        ),
    ] = None,
    label_order: Annotated[
        str | None,
        typer.Option(help="How classes are numbered by their names: natural (2 before 10), text, or imagenet (wnids)."),
    ] = None,
    synsets: Annotated[
        Path | None, typer.Option(help="imagenet-val: the 1,000 wnids, with devkit ids where those are used.")
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(help="csv and imglist: folder or URL of the paths; else the list's own folder, or one near it."),
    ] = None,
    part: Annotated[str | None, typer.Option(help="ninco: ood-classes, unit-tests or popular.")] = None,
    subset: Annotated[str | None, typer.Option(help="ninco: 46 or 64 OOD classes.")] = None,
    inside: Annotated[str | None, typer.Option(help="tar: folder in it that holds the class folders.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="which of several splits, as train, val or test in names of folders or files, or in a list's column."
        ),
    ] = None,
    image_key: Annotated[
        str | None, typer.Option(help="tar: which image of a WebDataset sample that has several, as jpg or seg.png.")
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="parquet, hf and csv: column with the labels.")] = None,
    image_column: Annotated[str | None, typer.Option(help="csv: column with the paths.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="csv: what separates columns: comma, semicolon, tab, pipe or space.")
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="DATASET", help="Take the images of this dataset of the lake, in a role of its own."
        ),
    ] = None,
    classes: Annotated[str | None, typer.Option(help="With --from: only these classes, with commas.")] = None,
    where: Annotated[
        str | None, typer.Option(help="With --from: only samples of which this holds, as \"path like 'a/%'\".")
    ] = None,
    per_class: Annotated[int | None, typer.Option(help="Choose so many images of each class.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of that choice; 0 if not given.")] = None,
    replace: ReplaceOption = False,
    lake: LakeOption = None,
) -> None:
    """Add a dataset: list its images, and remember what they are.

    Example:
        featurestore dataset add imagenet-val /data/imagenet/val --role id
        featurestore dataset add ninco /data/NINCO --role ood --format ninco
    """
    from extract.datasets import FormatOptions, add_dataset, place, read_seen
    from extract.subsets import Choice, add_part

    if (path is None) == (from_ is None):
        raise typer.BadParameter(
            "give where the images lie, or the dataset of the lake that has them.", param_hint="PATH or --from"
        )
    options = FormatOptions(
        labels=labels,
        label_kind=label_kind,
        label_order=label_order,
        split=split,
        image_key=image_key,
        synsets=synsets,
        root=place(root) if root else None,
        part=part,
        subset=subset,
        inside=inside,
        label_column=label_column,
        per_class=per_class,
        seed=seed,
        image_column=image_column,
        delimiter=delimiter,
    )
    seen = read_seen(seen_in or ())
    opened, part_ = lake_at(lake), Choice(tuple(classes.split(",")) if classes else (), where or "", per_class, seed)
    if from_ is not None:
        more = sorted(options.given.keys() - {"per_class", "seed"}) or ["format"] * (format_ is not None)
        if more:
            raise typer.BadParameter(
                "the images of --from are listed in the lake already.", param_hint=f"--{more[0].replace('_', '-')}"
            )
        opened.check_exists()
        row = add_part(
            opened,
            name,
            from_,
            part_,
            role=role,
            benchmark=benchmark,
            group=group,
            seen_in=seen,
            replacing=replace,
            say=say,
        )
    elif path is not None:
        if classes or where:
            raise typer.BadParameter("this is for --from.", param_hint="--classes" if classes else "--where")
        row = add_dataset(
            opened,
            name,
            path,
            role=role,
            benchmark=benchmark,
            group=group,
            seen_in=seen,
            format_=format_,
            options=options,
            replacing=replace,
            say=say,
        )
    told = ("dataset", "role", "benchmarks", "samples", "classes", "digest")
    tell(**{name: getattr(row, name) for name in told})
    say(f"{row.dataset}: {row.size}, role {row.role}, in {', '.join(row.benchmarks)}")


def dataset_list(format_: FormatOption = "table", lake: LakeOption = None) -> None:
    """List the datasets with their roles and benchmarks.

    Example:
        featurestore dataset list
    """
    columns = "dataset, role, ood_group, benchmarks, samples, classes, location"
    show(lake_at(lake).sql(f"select {columns} from datasets order by dataset"), format_)  # noqa: S608 # names of columns


def dataset_set(
    name: Annotated[str, typer.Argument(help="Name of the dataset in the lake.")],
    role: Annotated[
        str | None, typer.Option(help="fit, id, val or csid; OOD datasets have no labels and stay ood.")
    ] = None,
    benchmark: Annotated[list[str] | None, typer.Option(help="Benchmark that it takes part in from now on.")] = None,
    leave: Annotated[list[str] | None, typer.Option(help="Benchmark that it leaves, with its scores there.")] = None,
    group: Annotated[str | None, typer.Option(help="Group of an OOD dataset; '' for none.")] = None,
    seen_in: SeenInOption = None,
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Change a dataset's role, group and benchmarks, and who has seen its classes; nothing is extracted again.

    Example:
        featurestore dataset set ninco --group near
    """
    edit = lake_with_verbs(lake).set_dataset(
        name, role=role, benchmark=benchmark, leave=leave, group=group, seen_in=seen_in, dry_run=dry_run, say=say
    )
    tell_edit(edit, dry_run=dry_run)


def dataset_rename(
    old: Annotated[str, typer.Argument(help="Name of the dataset in the lake.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Rename a dataset wherever it is named; its images stay where they are; nothing is extracted or scored again.

    Example:
        featurestore dataset rename ninco ninco-2023
    """
    tell_edit(lake_with_verbs(lake).rename("dataset", old, new, dry_run=dry_run, say=say), dry_run=dry_run)


def dataset_remove(
    name: Annotated[str, typer.Argument(help="Name of the dataset in the lake.")],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Remove a dataset, and all that was made from it; its images stay where they are.

    Example:
        featurestore dataset remove ninco --dry-run
    """
    tell_edit(lake_with_verbs(lake).remove("dataset", name, dry_run=dry_run, say=say), dry_run=dry_run)


def unit_tests(
    out: Annotated[Path, typer.Argument(help="Folder to write; it becomes a NINCO root.")],
    images: Annotated[Path, typer.Option(help="Folder of images that sizes and pixels are drawn from.")],
    kinds: Annotated[str | None, typer.Option(help="Comma-separated kinds; all 17 by default.")] = None,
    per_kind: Annotated[int, typer.Option(help="Images of each kind.")] = 400,
    seed: Annotated[int, typer.Option(help="Seed of the pixels.")] = 0,
) -> None:
    """Make the synthetic unit-test images.

    Example:
        featurestore unit-tests unit-tests --images /data/imagenet/val
    """
    from featurestore.verbs import VerbLake

    summary = VerbLake.unit_tests(out, images=images, kinds=kinds, per_kind=per_kind, seed=seed)
    tell(folder=str(summary.folder), written=summary.written, reused=summary.reused)
    say(f"{summary.folder}: {summary.written:,} images written, {summary.reused:,} there already")
