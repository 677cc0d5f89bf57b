"""`fhir-adapter new-mapping`: a folder with a first mapping from a file of sample records, ready to be checked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.flows.convert import map_file
from fhir_adapter.mapping.inputs.guessed import guessed_input
from fhir_adapter.mapping.scaffold import scaffold


@dataclass(frozen=True, slots=True)
class Made:
    """What was written."""

    folder: Path
    files: list[str]
    guesses: int


def write_scaffold(name: str, sample: Path, out: Path) -> Made:
    """Writes declaration, schema, code tables and the sample with its FHIR into `out/name`.

    Raises BadDeclaration where the name is none or the folder is there, BadRequest where the sample cannot be read.
    """
    folder = out / name
    if re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) is None:
        raise BadDeclaration(f"{name!r} cannot be the name of a mapping: lower case letters, digits and -")
    if folder.exists():
        raise BadDeclaration(f"{folder} is there already")
    guessed = guessed_input(sample.read_bytes())
    made = scaffold(name, guessed.records, guessed.lines, guessed.id_path)
    samples = folder / "samples"
    samples.mkdir(parents=True)
    (folder / "mapping.yaml").write_text(made.declaration, "utf-8")
    (folder / "codes.yaml").write_text(made.codes, "utf-8")
    (folder / "schema.json").write_text(json.dumps(made.schema, ensure_ascii=False, indent=2) + "\n", "utf-8")
    own = samples / sample.name
    own.write_bytes(sample.read_bytes())
    files = ["mapping.yaml", "codes.yaml", "schema.json", f"samples/{own.name}"]
    converted = map_file(f"{folder}/", own.read_bytes())
    if converted.ok:
        ending = "json" if len(guessed.records) == 1 else "ndjson"
        (samples / f"{own.stem}.fhir.{ending}").write_bytes(converted.output)
        files.append(f"samples/{own.stem}.fhir.{ending}")
    return Made(folder, files, made.guesses)
