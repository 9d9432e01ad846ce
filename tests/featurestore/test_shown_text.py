"""What is shown of texts that may be a stranger's, or hold a secret."""

from __future__ import annotations

import pytest

from featurestore.shown_text import plain, redacted, shown


def test_every_character_is_seen_and_ordinary_text_is_as_it_was() -> None:
    assert plain("a\x00\x1b[31m\u202e\u200b\x9b") == r"a\x00\x1b[31m\u202e\u200b\x9b"
    assert plain("Größe\u00a0–\n日本") == "Größe\u00a0–\n日本"


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIA:hunter2@bucket/x", "https://user:hunter2@host:99/x", "az://c/x?sv=1&sig=hunter2&se=2",
        "https://h/x?X-Amz-Credential=hunter2&X-Amz-Signature=hunter2", "https://h/?token=hunter2",
    ],
)  # fmt: skip
def test_no_secret_of_a_url_is_shown(text: str) -> None:
    assert "hunter2" not in shown(f"Cannot open {text}.")


def test_what_is_no_secret_stays() -> None:
    for text in ("s3://bucket/lake", "--param metric=auroc", "where a@b.c", "https://h/x?page=2&signal=3"):
        assert redacted(text) == text
