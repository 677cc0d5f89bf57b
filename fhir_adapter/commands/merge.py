"""`fhir-adapter merge`: three versions of a plan, by hand, in the manner of `git merge-file`."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fhir_adapter.errors import BadRequest, BadUsage

_REFERENCE = re.compile(r"[A-Za-z]+/\S+|[A-Za-z]+:\S+")
"""Type/id, or an address."""


def merge(
    base: Annotated[Path, typer.Option(help="What its author had before its eyes: a Bundle or one resource.")],
    ours: Annotated[Path, typer.Option(help="The plan as it is now.")],
    theirs: Annotated[Path, typer.Option(help="The plan as its author now says that it is.")],
    by: Annotated[str, typer.Option(help="The author of theirs, as the plan refers to it: Organization/region.")],
    rules: Annotated[str, typer.Option(help="Who owns what: default, or the name of a mapping.")] = "default",
) -> None:
    """Merge what one organisation says into a plan; exit code 1 if something is left to decide."""
    from fhir_adapter.flows.merge_files import merge_files

    if not _REFERENCE.fullmatch(by):
        raise BadUsage(f"--by: {by!r} is no reference as the plan has it, such as Organization/region")
    files = [_read(name, file) for name, file in (("--base", base), ("--ours", ours), ("--theirs", theirs))]
    # when it was said, as far as the file tells: the same files give the same output
    written = datetime.fromtimestamp(int(theirs.stat().st_mtime), UTC)
    try:
        merged = merge_files(*files, by=by, now=written, rules=rules)
    except BadRequest as fault:
        raise BadUsage(str(fault)) from None
    sys.stdout.buffer.write(merged.output)
    sys.stdout.flush()
    raise typer.Exit(0 if merged.clean else 1)


def _read(option: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as fault:
        raise BadUsage(f"{option}: {file}: {(fault.strerror or 'cannot be read').lower()}") from None
