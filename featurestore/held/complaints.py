"""What is said of the age of answers: sentences on what is stale, mixed or partial, each with what to run."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from featurestore.held.age import AGEING
from featurestore.layout.judged_scores import JUDGING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from featurestore.held.age import Fault, Held

_WORDS = {"selective": "selective prediction"}
"""What sentences call a table whose name is no noun."""
_NAMED = 3


def complaints(
    held: Held, tables: Collection[str], models: Collection[str] = (), without: Collection[str] = ()
) -> list[str]:
    """Sentences on what an answer rests on that is stale, mixed or partial, each with what to run; none where all is fresh.

    Args:
        held: What the lake holds.
        tables: The tables that it reads.
        models: Only these models; all if empty.
        without: The tables of which stale parts are left out of it.
    """
    stale: dict[Fault, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    partial: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    known: set[str] = set()
    for table in [table for table in AGEING if table in tables]:
        for manifest in held.of(table):
            model = manifest.key.get("model", "")
            if models and model not in models:
                continue
            known.add(model)
            age = held.age(manifest)
            for fault in age.stale:
                stale[fault][table].add(model)
            for dataset, rows in age.fewer.items():
                partial[dataset][table][model] = rows
    return [
        *(_stale(fault, of, len(known), without, held) for fault, of in sorted(stale.items())),
        *(_partial(dataset, of, len(known), held.samples[dataset]) for dataset, of in sorted(partial.items())),
    ]


def _stale(fault: Fault, models_of: Mapping[str, set[str]], known: int, gone: Collection[str], held: Held) -> str:
    models = sorted(set().union(*models_of.values()))
    named = ", ".join(models[:_NAMED]) + (", …" if len(models) > _NAMED else "")
    what = f"{len(models):,} of {known:,} models have {_listed(models_of)}"
    score = "run `featurestore score`"
    if fault.judged:
        why, do = f"judged against another ID test set than {fault.dataset}", score
        gone = {*gone, *(JUDGING if fault.dataset in held.id_sets.values() else ())}
    elif fault.dataset:
        why = f"of other samples than {fault.dataset} has now"
        do = f"run `featurestore extract --replace --dataset {fault.dataset}`, then `featurestore score`"
    else:
        why, do = (
            "from older activations",
            "run `featurestore extract --replace` on all their datasets, then `featurestore score`",
        )
    left = [table for table in models_of if table in gone]
    out = f", and are left out of the {_listed(left)}" if left else ""
    return f"{what} {why} ({named}){out}: {do if fault.extract else score}."


def _listed(tables: Iterable[str]) -> str:
    return " and ".join(_WORDS.get(name, name) for name in tables)


def _partial(dataset: str, models_of: Mapping[str, Mapping[str, int]], known: int, count: int) -> str:
    what, models = _listed(models_of), {m: n for of in models_of.values() for m, n in of.items()}
    told = [f"{model} {rows:,}" for model, rows in sorted(models.items())[:_NAMED]]
    listed = '`featurestore sql "from failures"` lists the others'
    if len(models) == 1:
        ((model, rows),) = models.items()
        return f"{what} of model {model} rest on {rows:,} of {count:,} samples of {dataset}: {listed}."
    named = ", ".join(told) + (", …" if len(models) > _NAMED else "")
    return f"{what} of {len(models):,} of {known:,} models rest on fewer than the {count:,} samples of {dataset} ({named}): {listed}."
