"""Vega, Vega-Lite and vega-embed, which Altair's converter carries, as one script."""

from __future__ import annotations

import subprocess
import sys
from functools import cache, cached_property

import vl_convert

_PRINT = "import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle().encode())"


class Bundle:
    """The script in the making: that takes seconds, in which Python would stand still, and so has a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 # constants
            [sys.executable, "-c", _PRINT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    @cached_property
    def text(self) -> str:
        """The script, which may stand in a page."""
        made, _ = self._process.communicate()
        script: str = made.decode() if self._process.returncode == 0 else vl_convert.javascript_bundle()  # type: ignore[call-arg] # the stub knows no default
        return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@cache
def bundle() -> Bundle:
    """The script of this process's pages, begun when it is first asked for."""
    return Bundle()
