"""The `featurestore` command: the one file that knows every room, and opens each only when it is asked for."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path  # typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurestore.cli.optional_value import optional_value
from featurestore.errors import InputError, LakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl

    from featurestore.cli.ask import Draw
    from featurestore.lake import Lake
    from featurestore.query.header import SqlFile

_FAILED, _SOME_SAMPLES_FAILED, _INTERRUPTED = 1, 3, 130

app = typer.Typer(
    name="featurestore",
    help="A feature-cache data lake with a query layer, for out-of-distribution detection on many vision models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Any command takes --debug, which shows the traceback of an error.",
)
dataset_app = typer.Typer(help="Datasets of the lake.", no_args_is_help=True)
app.add_typer(dataset_app, name="dataset")

LakeOption = Annotated[
    str | None, typer.Option("--lake", help="Folder or URL of the lake. [default: $FEATURESTORE_LAKE or ./lake]")
]
FormatOption = Annotated[str, typer.Option("--format", help="table, csv, json, markdown or parquet.")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Swap what the lake holds under the same name.")]
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="Module, or its .py file, with detectors of your own; may be given many times."),
]


def main() -> None:
    """Run the command; turn every error that explains itself into one sentence and exit code 1."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(args=arguments)
    except LakeError as error:
        if debug:
            raise
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(_FAILED)
    except ModuleNotFoundError as error:
        if debug or error.name is None or error.name.partition(".")[0] not in _EXTRA_OF:
            raise
        extra = _EXTRA_OF[error.name.partition(".")[0]]
        sys.stderr.write(f"Error: This command needs {error.name}: pip install 'featurestore[{extra}]'.\n")
        sys.exit(_FAILED)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; run the same command again to go on.\n")
        sys.exit(_INTERRUPTED)


_EXTRA_OF = {
    "torch": "extract", "timm": "extract", "PIL": "extract", "safetensors": "extract", "torchvision": "extract",
    "altair": "report", "vl_convert": "report", "ray": "ray", "sklearn": "demo",
}  # fmt: skip


@dataset_app.command("add")
def dataset_add(
    name: Annotated[str, typer.Argument(help="Name of the dataset in the lake.")],
    path: Annotated[str, typer.Argument(help="Where its images lie: file, folder, quoted glob, or hf:NAME@split.")],
    role: Annotated[str, typer.Option(help="fit (fits detectors), id (ID test), ood, or val (ID, tunes).")],
    benchmark: Annotated[str, typer.Option(help="Benchmark that it takes part in.")] = "main",
    format_: Annotated[
        str, typer.Option("--format", help="How the images lie: folder, imagenet-val, csv, ninco, tar, parquet or hf.")
    ] = "folder",
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV class_name,label that overrides the labels; imagenet-val: the images' labels."),
    ] = None,
    label_kind: Annotated[
        str | None,
        typer.Option(
            help="imagenet-val: what the labels are: wnid, devkit or index; csv: index, if classes are labels."
        ),
    ] = None,
    synsets: Annotated[
        Path | None, typer.Option(help="imagenet-val: the 1,000 wnids, with devkit ids where those are used.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="csv: folder that the paths are relative to; else the CSV's own.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="ninco: ood-classes, unit-tests or popular.")] = None,
    subset: Annotated[str | None, typer.Option(help="ninco: 46 or 64 OOD classes.")] = None,
    inside: Annotated[str | None, typer.Option(help="tar: folder in it that holds the class folders.")] = None,
    label_column: Annotated[str | None, typer.Option(help="parquet and hf: column with the labels.")] = None,
    per_class: Annotated[int | None, typer.Option(help="Choose so many images of each class.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of that choice; 0 if not given.")] = None,
    replace: ReplaceOption = False,
    lake: LakeOption = None,
) -> None:
    """Add a dataset: list its images, and remember what they are."""
    from extract.datasets import FormatOptions, add_dataset

    options = FormatOptions(labels, label_kind, synsets, root, part, subset, inside, label_column, per_class, seed)
    row = add_dataset(
        _lake(lake),
        name,
        path,
        role=role,
        benchmark=benchmark,
        format_=format_,
        options=options,
        replacing=replace,
        report=_say,
    )
    _say(
        f"{row.dataset}: {row.samples:,} samples of {row.classes} classes, role {row.role}, in {', '.join(row.benchmarks)}"
    )


@app.command("unit-tests")
def unit_tests(
    out: Annotated[Path, typer.Argument(help="Folder to write; it becomes a NINCO root.")],
    images: Annotated[Path, typer.Option(help="Folder of images that sizes and pixels are drawn from.")],
    kinds: Annotated[str | None, typer.Option(help="Comma-separated kinds; all 17 by default.")] = None,
    per_kind: Annotated[int, typer.Option(help="Images of each kind.")] = 400,
    seed: Annotated[int, typer.Option(help="Seed of the pixels.")] = 0,
) -> None:
    """Make the synthetic unit-test images."""
    from extract.unit_tests import KINDS, write_unit_tests
    from featurestore.progress import progress

    chosen = kinds.split(",") if kinds else None
    with progress("unit-tests", (len(chosen) if chosen else len(KINDS)) * per_kind) as advance:
        done = 0

        def moved(now: int, _total: int) -> None:
            nonlocal done
            advance(now - done)
            done = now

        summary = write_unit_tests(out, images, kinds=chosen, per_kind=per_kind, seed=seed, progress=moved)
    _say(f"{summary.folder}: {summary.written:,} images written, {summary.reused:,} there already")


@app.command(cls=optional_value("--ray"))
def extract(
    dataset: Annotated[list[str], typer.Option("--dataset", help="Dataset of the lake; may be given many times.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", help="timm name, or a checkpoint file; may be given many times.")
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="timm name of the network that the checkpoint files belong to.")
    ] = None,
    model_kwargs: Annotated[
        list[str] | None, typer.Option(help="Argument of the network, name=value; may be given many times.")
    ] = None,
    recipes: Annotated[
        Path | None,
        typer.Option(help="JSON file that says how the models were trained, as hparam_info.json of model-soups."),
    ] = None,
    head: Annotated[
        Path | None,
        typer.Option(help="NPZ file with weight, bias and normalize: a head in the place of the network's own."),
    ] = None,
    pool: Annotated[
        str | None, typer.Option(help="CSV file with one model per row, or vit-ood-2024 or maha-pp-2025.")
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(help="Folder with the pool's checkpoints; what is not there is listed.")
    ] = None,
    shard: Annotated[str | None, typer.Option(help="Only a part of the models, as 3/16 of sixteen jobs.")] = None,
    soup: Annotated[
        str | None, typer.Option(help="uniform or greedy: average the models, and extract that one in their place.")
    ] = None,
    soup_name: Annotated[str | None, typer.Option(help="Name of that model in the lake.")] = None,
    soup_on: Annotated[
        str | None, typer.Option(help="Labelled dataset of the lake whose accuracy a greedy soup goes by.")
    ] = None,
    soup_out: Annotated[Path, typer.Option(help="Folder for the averaged weights.")] = Path("soups"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, or several as cuda:0,1,2,3.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images per forward pass.")] = 64,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that decode images; by default chosen by the dataset's size.")
    ] = None,
    amp: Annotated[str, typer.Option(help="Mixed precision: off, bf16 or fp16.")] = "off",
    compiling: Annotated[
        bool, typer.Option("--compile", help="Compile the networks first (torch.compile): pays off in long jobs.")
    ] = False,
    dtype: Annotated[str, typer.Option(help="Stored precision: float32, or float16 in half the room.")] = "float32",
    logits: Annotated[
        str, typer.Option(help="stored, or derived: fit datasets get none, and readers compute them from the head.")
    ] = "stored",
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            help="Run on a Ray cluster: that at ADDRESS, else at $RAY_ADDRESS, else a local one, started if need be.",
        ),
    ] = None,
    replace: ReplaceOption = False,
    lake: LakeOption = None,
) -> None:
    """Write the activations of models on datasets, each once."""
    opened = _lake(lake)
    opened.check_exists()  # before torch is imported: a lake that is not there is said at once
    from extract.job.plan import Options
    from extract.job.run import run
    from extract.pools.selection import Selection, select
    from extract.soups.soup import make_soup, soup_options

    averaged = soup_options(soup, soup_name, soup_on, soup_out)
    chosen = Selection(model or (), architecture, model_kwargs or (), pool, checkpoints, shard, recipes, head)
    specs = select(chosen, _say)
    if not specs:
        return
    options = Options(device, batch_size, workers, amp, dtype, replace, compiling=compiling, logits=logits)
    if averaged:
        specs = [make_soup(opened, specs, averaged, options, _say)]
    summary = run(opened, specs, dataset, options, _say, ray_address=ray)
    _say(f"{summary.extracted} extracted, {summary.reused} cache hits, {summary.seconds:.1f} s ({summary.times})")
    if summary.failed:
        sys.stderr.write(
            f'{summary.failed:,} samples could not be read: `featurestore sql "from failures"` lists them.\n'
        )
        raise typer.Exit(_SOME_SAMPLES_FAILED)


@app.command(cls=optional_value("--ray"))
def score(
    model: Annotated[list[str] | None, typer.Option("--model", help="Only these models.")] = None,
    detector: Annotated[
        list[str] | None,
        typer.Option("--detector", help="Only these detectors; all for every one there is, in both conventions."),
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option("--dataset", help="Only these datasets.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Only this benchmark.")] = None,
    plugin: PluginOption = None,
    memory: Annotated[
        str, typer.Option(help="What the statistics that detectors learn from should stay below together.")
    ] = "1GB",
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            help="Fit on a Ray cluster: that at ADDRESS, else at $RAY_ADDRESS, else a local one, started if need be.",
        ),
    ] = None,
    ensemble: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=MODEL/DETECTOR,…",
            help="Combine stored scores by sample, and store them as those of a model NAME.",
        ),
    ] = None,
    combine: Annotated[str, typer.Option(help="How: mean-rank, mean-z or weighted.")] = "mean-rank",
    tune_on: Annotated[
        str | None, typer.Option(help="weighted: the OOD dataset of which half the classes choose the weights.")
    ] = None,
    lake: LakeOption = None,
) -> None:
    """Fit detectors, score activations and compute metrics, where they are missing or stale."""
    from analysis.detectors import registry
    from analysis.scoring.job import Means, Selection, score
    from featurestore.quantities import parse_bytes

    for name in plugin or ():
        _say(f"{name}: {', '.join(registry.load_plugin(name))}")
    opened = _lake(lake)
    if ensemble:
        from analysis.ensembles.ensemble import parse
        from analysis.ensembles.job import score_ensemble

        summary = score_ensemble(opened, parse(ensemble, detector or (), combine, tune_on), benchmark, _say)
    else:
        if tune_on:
            raise InputError("--tune-on chooses the weights of an --ensemble: give one.")
        from analysis.statistics.on_ray import on_ray

        means = Means(parse_bytes(memory), None if ray is None else on_ray(ray or None, registry.plugin_modules()))
        summary = score(opened, Selection(model or (), detector or (), dataset or (), benchmark), _say, means)
        if not detector and registry.costly_detectors():
            costly = ", ".join(found.name for found in registry.costly_detectors())
            _say(f"Left out for their cost: {costly}; --detector NAME asks for one, --detector all for every one.")
    _say(f"{summary.scored} score partitions made, {summary.reused} cache hits, {summary.seconds:.1f} s")


@app.command(cls=optional_value("--plot"))
def ask(
    question: Annotated[
        str | None, typer.Argument(help="Name of a question; none lists them. With --schema: of a view or macro.")
    ] = None,
    param: Annotated[list[str] | None, typer.Option("--param", help="Parameter of the question, name=value.")] = None,
    model: Annotated[list[str] | None, typer.Option("--model", help="Only these models.")] = None,
    detector: Annotated[list[str] | None, typer.Option("--detector", help="Only these detectors.")] = None,
    where: Annotated[
        str | None, typer.Option(help="Only models and results with this condition, e.g. \"pretraining = 'in21k'\".")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what it answers, its parameters, columns and SQL.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Show views and macros, their columns and what these mean.")
    ] = False,
    questions: Annotated[
        Path | None, typer.Option(help="Folder with questions of your own; so is questions/ in the lake.")
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Ask published numbers alone, which need no lake.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the answer into a file: .html, .png or .svg; without a name, QUESTION.html."),
    ] = None,
    format_: FormatOption = "table",
    lake: LakeOption = None,
) -> None:
    """Answer a question about all models."""
    from featurestore.cli import ask as command
    from featurestore.query.filters import Filters

    if schema:
        command.show_schema(question, format_)
        return
    source = command.Source(None if published else _lake(lake), questions)
    if question is None:
        command.list_questions(source)
    elif explain:
        command.explain_question(source, question)
    else:
        filters = Filters(model or (), detector or (), where or "")
        draw = _drawing(Path(f"{question}.html") if plot == Path() else plot)
        command.answer_question(source, question, _parameters(param or []), filters, format_, draw=draw)


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="A SELECT over the views; none opens a prompt, or reads a pipe.")
    ] = None,
    format_: FormatOption = "table",
    lake: LakeOption = None,
) -> None:
    """Run SQL over the lake."""
    if query is not None:
        from featurestore.cli.render import show

        show(_lake(lake).sql(query), format_)
    elif sys.stdin.isatty() and sys.stdout.isatty():
        from featurestore.cli.prompt import converse

        converse(_lake(lake), format_)
    else:
        from featurestore.cli.session import run_piped

        run_piped(_lake(lake), format_)


@app.command()
def status(
    model: Annotated[list[str] | None, typer.Option("--model", help="Only these models.")] = None,
    dataset: Annotated[list[str] | None, typer.Option("--dataset", help="Only these datasets.")] = None,
    format_: FormatOption = "table",
    lake: LakeOption = None,
) -> None:
    """Show what the lake holds of each model on each dataset, and what is missing or stale."""
    import polars as pl

    from analysis.detectors.registry import default_detectors, detectors
    from analysis.lineage.holdings import read_holdings
    from analysis.status.status import status as judge
    from analysis.status.table import long, summary, wide
    from featurestore.cli.render import show_frame

    rows = judge(read_holdings(_lake(lake)), detectors(), model or (), dataset or ())
    usual, now = [detector.name for detector in default_detectors()], datetime.now(UTC)
    table = wide(rows, usual, now) if format_ in {"table", "markdown"} else long(rows, now)
    if format_ == "table" and not sys.stdout.isatty():
        sys.stdout.write("".join(f"{line}\n" for line in _aligned(table.to_pydict())))
    else:
        show_frame(pl.DataFrame(pl.from_arrow(table)), format_)
    if format_ == "table":
        _say(summary(rows, usual))


@app.command()
def gc(
    older_than: Annotated[str, typer.Option(help="Grace period: a whole number and s, m, h, d or w.")] = "24h",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
    lake: LakeOption = None,
) -> None:
    """Delete what no manifest names any more, and what killed jobs left."""
    from featurestore.care import garbage
    from featurestore.quantities import parse_duration

    grace, opened = parse_duration(older_than), _lake(lake)
    opened.check_exists()
    for line in garbage.summary(garbage.collect(opened.storage, grace, dry_run=dry_run), dry_run=dry_run):
        _say(line)


@app.command()
def verify(
    deep: Annotated[bool, typer.Option("--deep", help="Hash every file and check every row too.")] = False,
    lake: LakeOption = None,
) -> None:
    """Check that the lake holds what its manifests say."""
    from featurestore.care import verify
    from featurestore.progress import progress

    opened = _lake(lake)
    opened.check_exists()
    bar = partial(progress, "verify")
    summary = verify.verify(opened.storage, lambda fault: _say(str(fault)), deep=deep, bar=bar)
    _say(str(summary))
    if summary.faults:
        raise typer.Exit(_FAILED)


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="HTML file to write.")],
    figures: Annotated[
        Path | None, typer.Option(help="Folder for each figure as PNG, SVG and CSV, as wide as a paper's column.")
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Benchmark to report on. [default: main, else the first with metrics]")
    ] = None,
    lake: LakeOption = None,
) -> None:
    """Write one HTML page that works offline: findings, interactive figures, tables, and the hardest OOD samples."""
    from analysis.report import write_report

    opened = _lake(lake)
    written = write_report(opened, out, figures=figures, benchmark=benchmark, open_image=_image_opener(opened))
    if figures:
        _say(f"{figures}: {len(written) // 3} figures as PNG, SVG and CSV")
    _say(f"{out}: open it in a browser")


@app.command()
def catalog(
    out: Annotated[Path, typer.Argument(help="DuckDB file to write.")],
    lake: LakeOption = None,
) -> None:
    """Write a DuckDB file with every view and question, for any DuckDB client."""
    from featurestore.query.duckdb_file import write_catalog

    write_catalog(_lake(lake), out)
    _say(f"{out}: open it with any DuckDB client; make it again to see what is added to the lake later")


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Folder for the images, models, lake and report.")] = Path("demo"),
) -> None:
    """Show the whole product on real images, printing each command."""
    from extract.demo.tour import run

    run(folder, main_with)


def main_with(arguments: list[str]) -> None:
    """Run one command in this process.

    Raises:
        LakeError: It failed.
    """
    app(args=arguments, standalone_mode=False)


def _lake(location: str | None) -> Lake:
    from featurestore.lake import Lake

    return Lake(location)


def _aligned(columns: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Texts in columns as plain lines, for a pipe or a file."""
    cells = [[name, *texts] for name, texts in columns.items()]
    widths = [max(map(len, column)) for column in cells]
    return ("  ".join(map(str.ljust, line, widths)).rstrip() for line in zip(*cells, strict=True))


def _drawing(file: Path | None) -> Draw | None:
    """What draws an answer into a file, if there is to be one."""
    if file is None:
        return None
    from analysis.charts.answer_plot import check_file, write_plot

    check_file(file)

    def draw(frame: pl.DataFrame, question: SqlFile) -> None:
        write_plot(frame, question, file)
        _say(f"{file}: {frame.height:,} rows drawn")

    return draw


def _image_opener(lake: Lake) -> Callable[[str, int], Any] | None:
    """What opens a sample's image; nothing does where images cannot be decoded."""
    try:
        from extract.images.pictures import image_opener
    except ModuleNotFoundError:
        return None
    return image_opener(lake)


def _parameters(pairs: list[str]) -> dict[str, str]:
    parsed = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(parsed) != len(pairs):
        raise InputError("--param takes name=value, each name once.")
    return parsed


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
