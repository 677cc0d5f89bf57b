"""`fhir-adapter merge`: three versions of a plan, by hand, in the manner of `git merge-file`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_adapter.errors import BadRequest


def _file(words: str) -> Any:
    return typer.Option(exists=True, dir_okay=False, help=words)


def merge(
    base: Annotated[Path, _file("What its author had before its eyes: a Bundle or one resource.")],
    ours: Annotated[Path, _file("The plan as it is now.")],
    theirs: Annotated[Path, _file("The plan as its author now says that it is.")],
    by: Annotated[str, typer.Option(help="The author of theirs, as the plan refers to it: Organization/region.")],
    rules: Annotated[str, typer.Option(help="Who owns what: default, or the name of a mapping.")] = "default",
) -> None:
    """Merge what one organisation says into a plan; exit code 1 if something is left to decide."""
    from fhir_adapter.flows.merge_files import merge_files, said_at

    if "/" not in by and ":" not in by:
        raise typer.BadParameter(f"--by {by}: expected a reference as the plan has it, such as Organization/region")
    said = theirs.read_bytes()
    try:
        # when it was said, as far as the file tells: the same files give the same output
        now = said_at(said) or datetime.fromtimestamp(int(theirs.stat().st_mtime), UTC)
        merged = merge_files(base.read_bytes(), ours.read_bytes(), said, by=by, now=now, rules=rules)
    except BadRequest as fault:
        raise typer.BadParameter(str(fault)) from None
    sys.stdout.buffer.write(merged.output)
    sys.stdout.flush()
    raise typer.Exit(0 if merged.clean else 1)
