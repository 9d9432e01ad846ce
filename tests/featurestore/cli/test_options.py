from __future__ import annotations

from featurestore.cli.options import with_value


def test_an_option_may_be_given_without_its_value() -> None:
    """`--ray` alone is `--ray` with an empty text, wherever it stands; with an address, it takes it."""
    for alone in (["--ray"], ["--ray", "--replace"], ["--ray", "-x"]):
        assert list(with_value("--ray", ["--dataset", "val", *alone])) == ["--dataset", "val", "--ray=", *alone[1:]]
    for given in (["--ray", "head:6379", "--replace"], ["--ray=head:6379"], ["--replace"]):
        assert list(with_value("--ray", given)) == given
