"""The integrator's commands: map, unmap, explain, check, new-mapping, diff."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from fhir_adapter.flows.check import Checked
    from fhir_adapter.flows.convert import Converted
    from fhir_adapter.flows.diff import Difference
    from fhir_adapter.flows.explain import Explained

T = TypeVar("T")

COVERAGE = ("fields", "mapped", "refused", "constant", "identity")
"""What `check` counts."""

MANY = 20
MANY_RECORDS = 1000
"""So many files or mappings, or records of one file, are worth a progress bar."""

Name = Annotated[str, typer.Argument(help="A mapping by its name, or by its folder (with a /).")]
File = Annotated[str, typer.Argument(help="A file of records, or - for standard input.")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command(name="map")(map_)
    app.command()(unmap)
    app.command()(explain)
    app.command()(check)
    app.command(name="new-mapping")(new_mapping)
    app.command()(diff)


def map_(
    mapping: Name,
    file: Annotated[str, typer.Argument(help="A file of records, a folder of them, or -.")],
    lines: Annotated[bool, typer.Option("--json", help="One Bundle a line, and one issue, also of a file.")] = False,
) -> None:
    """Native records to FHIR: one transaction Bundle per record on standard output."""
    from fhir_adapter.flows.convert import map_file

    if Path(file).is_dir():
        _map_folder(mapping, Path(file))
        return
    raw = input_of(file)
    converted = map_file(mapping, raw, one_a_line=lines, watch=lambda records: watched(records, "map", MANY_RECORDS))
    _print(converted, lines=lines)


def unmap(
    mapping: Name,
    file: Annotated[str, typer.Argument(help="A file of FHIR Bundles, or -.")],
    before: Annotated[str | None, typer.Option(help="The record as it was: what FHIR does not say stays.")] = None,
    lines: Annotated[bool, typer.Option("--json", help="One record a line in JSON, whatever its format.")] = False,
) -> None:
    """FHIR Bundles to native records on standard output, in the mapping's own format."""
    from fhir_adapter.flows.convert import unmap_file

    earlier = input_of(before) if before else None
    _print(unmap_file(mapping, input_of(file), before=earlier, one_a_line=lines), lines=lines)


def explain(
    mapping: Name,
    file: File,
    element: Annotated[
        str | None, typer.Option(help="Where this came from: Goal/1#description, Goal#target, '#status', '' for all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What became of each field of a record, or with --element where FHIR came from. Exit code 1: one was refused."""
    from fhir_adapter.flows.explain import explain_file

    explained = explain_file(mapping, input_of(file), element=element)
    if element and not any(each.elements for each in explained):
        typer.echo(f"no record became anything at {element!r}; --element '' shows all there is", err=True)
    if as_json:
        _print_json([each.as_dict() for each in explained])
    else:
        for each in explained:
            _show_explained(each, by_element=element is not None)
    raise typer.Exit(1 if any(each.refused for each in explained) else 0)


def check(
    mappings: Annotated[list[str], typer.Argument(help="Mappings by name or folder: mappings/*", metavar="MAPPING...")],
    as_json: AsJson = False,
) -> None:
    """What mappings cover and lose, and whether their samples and laws hold. Exit code 0: well, 1: problems, 2: one
    cannot be loaded."""
    from fhir_adapter.flows.check import check_mapping, mappings_in

    checked = [check_mapping(name) for name in watched(mappings_in(mappings), "check")]
    if as_json:
        _print_json([each.as_dict() for each in checked])
    else:
        _show_checked(checked)
    raise typer.Exit(2 if not all(each.loads for each in checked) else 0 if all(each.ok for each in checked) else 1)


def new_mapping(
    name: Annotated[str, typer.Argument(help="What to call it: lower case letters, digits and -.")],
    sample: Annotated[Path, typer.Option("--from", exists=True, dir_okay=False, help="A file with a typical record.")],
    out: Annotated[Path, typer.Option(help="The folder in which the mapping's folder is made.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """A first mapping from a sample record; what had to be guessed is marked `# guess:`."""
    from fhir_adapter.flows.scaffold import write_scaffold

    made = write_scaffold(name, sample, out)
    if as_json:
        _print_json({"folder": str(made.folder), "files": made.files, "guesses": made.guesses})
        return
    typer.echo(f"{made.folder}: {', '.join(made.files)}")
    typer.echo(f"{made.guesses} guesses to look at: grep -n 'guess:' {made.folder}/mapping.yaml")
    typer.echo(f"then: fhir-adapter check {made.folder}/")


def diff(
    old: Annotated[str, typer.Argument(help="The mapping as it was: name or folder.")],
    new: Annotated[str, typer.Argument(help="The mapping as it is: name or folder.")],
    records: Annotated[Path, typer.Argument(help="A folder of records, or one file.", exists=True)],
    as_json: AsJson = False,
) -> None:
    """What changes in FHIR between two versions of a mapping. Exit code 0: nothing, 1: something."""
    from fhir_adapter.flows.convert import files_in
    from fhir_adapter.flows.diff import differences

    files = files_in(records) if records.is_dir() else [records]
    found = [each for file in watched(files, "diff") for each in differences(old, new, file)]
    changed = [each for each in found if not each.same]
    if as_json:
        _print_json([each.as_dict() for each in found])
    else:
        _show_differences(changed, len(found))
    raise typer.Exit(1 if changed else 0)


# ---- input


def input_of(file: str) -> bytes:
    """The bytes of a file, or of standard input."""
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as fault:
        raise typer.BadParameter(f"{file}: {fault.strerror}") from None


def watched(things: Sequence[T], what: str, many: int = MANY) -> Iterable[T]:
    """The things, with a progress bar on a terminal where there are many."""
    if len(things) < many or not sys.stderr.isatty():
        return things
    from rich.console import Console
    from rich.progress import track

    return track(things, what, console=Console(stderr=True), transient=True)


def _map_folder(mapping: str, folder: Path) -> None:
    """Every file of a folder; issues, and a closing line with the counts, as JSON lines on standard error."""
    from fhir_adapter.flows.convert import RECORD_FILES, files_in, map_file

    files = files_in(folder)
    if not files:
        raise typer.BadParameter(f"{folder}: no files of records; their names end in {', '.join(RECORD_FILES)}")
    records = refused = 0
    for file in watched(files, "map"):
        converted = map_file(mapping, file.read_bytes(), one_a_line=True)
        sys.stdout.buffer.write(converted.output)
        told = {issue["record"] for issue in converted.issues if issue["severity"] == "error"}
        records, refused = records + converted.output.count(b"\n") + len(told), refused + len(told)
        for issue in converted.issues:
            typer.echo(json.dumps({"file": file.name, **issue}, ensure_ascii=False), err=True)
    sys.stdout.flush()
    typer.echo(json.dumps({"event": "mapped", "files": len(files), "records": records, "refused": refused}), err=True)
    raise typer.Exit(1 if refused else 0)


# ---- output


def print_issues(issues: Sequence[Any], *, lines: bool = False) -> None:
    """Issues as JSON on standard error: a list, or one a line."""
    shown = [json.dumps(each, ensure_ascii=False) for each in issues] if lines else None
    typer.echo("\n".join(shown) if shown is not None else json.dumps(issues, ensure_ascii=False, indent=2), err=True)


def _print(converted: Converted, *, lines: bool) -> None:
    sys.stdout.buffer.write(converted.output)
    sys.stdout.flush()
    if converted.issues:
        print_issues(converted.issues, lines=lines)
    if not converted.ok:
        raise typer.Exit(1)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))  # str: decimals keep their digits


def _table(title: str, *columns: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _write(*tables: Any) -> None:
    """Tables to standard output; as wide as they need where it is no terminal."""
    from rich.console import Console

    console = Console(soft_wrap=False, markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(width=200, markup=False, highlight=False)
    for table in tables:
        console.print(table)


def _show_explained(each: Explained, *, by_element: bool) -> None:
    tables = [_elements_table(each)] if by_element else [_fields_table(each)]
    if each.issues:
        issues = _table(f"record {each.number}: what to look at", "severity", "field", "message", "expected")
        for issue in each.issues:
            issues.add_row(issue.severity, issue.path, issue.message, issue.expected or "")
        tables.append(issues)
    _write(*[table for table in tables if table.row_count])


def _fields_table(each: Explained) -> Any:
    table = _table(f"record {each.number}", "field", "became", "FHIR, or why not", "rule")
    rules = {
        f"{element.resource}#{element.element}": origin
        for element in each.elements
        for origin in element.origins
        if origin.kind == "rule"
    }
    for field in each.fields:
        short = list(dict.fromkeys(_short(place) for place in field.elements))
        more = f" and {len(short) - 3} more" if len(short) > 3 else ""
        at = dict.fromkeys(rules[place].at for place in field.elements if place in rules)
        told = "; ".join(filter(None, [", ".join(short[:3]) + more, field.reason]))
        table.add_row(field.path, field.became, told, ", ".join(at))
    return table


def _elements_table(each: Explained) -> Any:
    table = _table(f"record {each.number}", "element", "value", "from", "rule", "code row")
    for element in each.elements:
        for origin in element.origins or (None,):
            source = ", ".join(origin.fields) or origin.kind if origin else "?"
            rule = f"{origin.at}  {origin.rule}" if origin else ""
            place = f"{element.resource}#{element.element}"
            table.add_row(place, str(element.value), source, rule, origin.row if origin else "")
    return table


def _short(place: str) -> str:
    """`Goal.description.text` for `Goal/0db8…#description.text`."""
    resource, _, element = place.partition("#")
    type_ = resource.partition("/")[0]
    return f"{type_}.{element}" if element else type_


def _show_checked(checked: Sequence[Checked]) -> None:
    table = _table(
        "", "mapping", "fields", "mapped", "refused", "constant", "identity", "samples", "problems", "notes", ""
    )
    findings = _table("", "mapping", "", "about", "what")
    for each in checked:
        problems = sum(finding.severity == "problem" for finding in each.findings)
        counts = [str(each.coverage.get(word, "-")) for word in COVERAGE]
        notes = len(each.findings) - problems
        table.add_row(each.name, *counts, str(each.samples), str(problems), str(notes), "ok" if each.ok else "PROBLEMS")
        for finding in each.findings:
            findings.add_row(each.name, finding.severity, finding.about, finding.message)
    _write(*([findings] if findings.row_count else []), table)


def _show_differences(changed: Sequence[Difference], records: int) -> None:
    table = _table("", "file", "record", "element", "before", "after", "field", "rule")
    for each in changed:
        for change in each.changes:
            table.add_row(
                each.file, each.record, change.element, change.before, change.after, change.field, change.rule
            )
    if table.row_count:
        _write(table)
    typer.echo(f"{len(changed)} of {records} records change")
