"""The `featurestore` command: a module for each stage or kind of its commands, and what they print with."""

from featurestore.cli.app import main

__all__ = ["main"]
