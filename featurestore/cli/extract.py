"""`featurestore extract`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from featurestore.cli.options import SOME_FAILED, LakeOption, ReplaceOption, lake_with_verbs, ray_option
from featurestore.cli.output import say, say_aside, tell, tell_refused


def extract(
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Dataset of the lake; may be given many times. [default: all]")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Checkpoint file, folder that holds one, or timm name; may be given many times."),
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="timm name of the network that the checkpoint files belong to.")
    ] = None,
    model_kwargs: Annotated[
        list[str] | None, typer.Option(help="Argument of the network, name=value; may be given many times.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model in the lake, where one is given; else its file's or timm's.")
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="Which weights of a checkpoint that holds several: auto (EMA if any), raw, ema, or their key."
        ),
    ] = "auto",
    key_map: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON file of regular expressions that turn names in the checkpoint into timm's."),
    ] = None,
    recipes: Annotated[
        Path | None,
        typer.Option(help="JSON file that says how the models were trained, as hparam_info.json of model-soups."),
    ] = None,
    head: Annotated[
        Path | None,
        typer.Option(
            help="NPZ file with weight, bias, normalize, temperature and negatives: a head in the place of the network's own."
        ),
    ] = None,
    input_size: Annotated[
        str | None, typer.Option(help="Preprocessing: pixels of the input, as 224, or height and width as 224x288.")
    ] = None,
    crop_pct: Annotated[
        float | None, typer.Option(help="Preprocessing: the share of the resized image that the input is cropped to.")
    ] = None,
    crop_mode: Annotated[str | None, typer.Option(help="Preprocessing: center, squash or border.")] = None,
    interpolation: Annotated[str | None, typer.Option(help="Preprocessing: bicubic, bilinear, nearest, …")] = None,
    mean: Annotated[str | None, typer.Option(help="Preprocessing: mean of RGB, as 0.485,0.456,0.406.")] = None,
    std: Annotated[str | None, typer.Option(help="Preprocessing: standard deviation of RGB.")] = None,
    decode: Annotated[
        str | None,
        typer.Option(
            help="Preprocessing: exact, or fast: large JPEGs are decoded at a half, quarter or eighth, in other pixels. [default: exact]"
        ),
    ] = None,
    preprocess: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with the preprocessing: timm's fields or config.json, or preprocessor_config.json."
        ),
    ] = None,
    feature: Annotated[
        str | None,
        typer.Option(
            help="What to store: penultimate, which is the default, and layers such as blocks.6, with commas."
        ),
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
    allow_unreadable: Annotated[
        bool,
        typer.Option(
            "--allow-unreadable", help="List images that cannot be read where they lie as failures, and go on."
        ),
    ] = False,
    ray: Annotated[str | None, ray_option("Run")] = None,
    replace: ReplaceOption = False,
    lake: LakeOption = None,
) -> None:
    """Write the activations of models on datasets, each once.

    Example:
        featurestore extract --model vit_base_patch16_224.augreg_in21k_ft_in1k --dataset imagenet-val
        featurestore extract --pool pool.csv --checkpoints /data/checkpoints --device cuda:0,1
    """
    if name is not None and (len(model or ()) != 1 or pool is not None):
        raise typer.BadParameter(
            "names one model, given with --model: a pool's column model names its own.", param_hint="--name"
        )
    summary = lake_with_verbs(lake).extract(
        model,
        dataset=dataset,
        architecture=architecture,
        model_kwargs=model_kwargs,
        name=name,
        weights=weights,
        key_map=key_map,
        recipes=recipes,
        head=head,
        input_size=input_size,
        crop_pct=crop_pct,
        crop_mode=crop_mode,
        interpolation=interpolation,
        mean=mean,
        std=std,
        decode=decode,
        preprocess=preprocess,
        feature=feature,
        pool=pool,
        checkpoints=checkpoints,
        shard=shard,
        soup=soup,
        soup_name=soup_name,
        soup_on=soup_on,
        soup_out=soup_out,
        device=device,
        batch_size=batch_size,
        workers=workers,
        amp=amp,
        compile=compiling,
        dtype=dtype,
        logits=logits,
        allow_unreadable=allow_unreadable,
        ray=ray,
        replace=replace,
        say=say,
    )
    if summary is None:
        return
    say(f"{summary.extracted} extracted, {summary.reused} cache hits, {summary.seconds:.1f} s ({summary.times})")
    tell_refused(summary.refused)
    if summary.failed:
        say_aside(f'{summary.failed:,} samples could not be read: `featurestore sql "from failures"` lists them.')
    tell(
        extracted=summary.extracted,
        reused=summary.reused,
        samples=summary.samples,
        failed=summary.failed,
        times=asdict(summary.times),
    )
    if summary.failed or summary.refused:
        raise typer.Exit(SOME_FAILED)
