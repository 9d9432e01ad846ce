"""Where the tests' S3 server is, and a place of one's own in it."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import boto3
import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

BUCKET = "featurestore-tests"
KEY, SECRET = "testkey", "testsecret"


def environment(endpoint: str) -> dict[str, str]:
    """The AWS variables with which everything here reaches the server, and nothing of the user's own."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def use(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    """Set AWS variables and drop all others, and any settings file."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "FEATURESTORE_CONFIG", "FEATURESTORE_LAKE"))]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def new_lake(endpoint: str, bucket: str = BUCKET) -> str:
    """The URL of a lake that nobody else uses, in a bucket that exists."""
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    client.create_bucket(Bucket=bucket)
    client.close()
    return f"s3://{bucket}/{uuid.uuid4().hex}"


def real_endpoint() -> str:
    """The real server's endpoint; without one, the test is skipped."""
    endpoint = os.environ.get("FEATURESTORE_TEST_S3")
    if not endpoint:
        pytest.skip("no S3 server: FEATURESTORE_TEST_S3 is not set; `make test-s3` starts one and sets it")
    return endpoint


def real_lake(monkeypatch: pytest.MonkeyPatch) -> str:
    """A new lake on the real server, with the environment that reaches it."""
    endpoint = real_endpoint()
    use(monkeypatch, environment(endpoint))
    return new_lake(endpoint)
