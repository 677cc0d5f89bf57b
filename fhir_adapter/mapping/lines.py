"""Python source that is written line by line: one function, and the objects that it calls by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fhir_adapter.fhir.paths import Step
from fhir_adapter.mapping.frames import Frame
from fhir_adapter.mapping.model import Run

Walk = Callable[[Frame, Run], None]
"""what a generated function is: the item's frame and the run, both changed in place"""


class Source:
    """Lines of one function, and the objects that they call by name."""

    def __init__(self, name: str, helpers: Mapping[str, Any]) -> None:
        self.head = [f"def {name}(frame, run):", "    nodes, native = frame.nodes, frame.native"]
        """the first lines, with what lists further out have made"""
        self.lines: list[str] = []
        self.depth = 1
        self.names = dict(helpers)
        self.nodes: dict[str, str] = {}
        """anchor -> the variable that holds its node"""
        self.references: dict[str, str] = {}
        """anchor -> the variable that holds the reference to its node"""

    def add(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Lines below a line that ends in a colon."""
        self.add(f"{head}:")
        self.depth += 1
        yield
        self.depth -= 1

    def called(self, name: str, thing: Any) -> str:
        """A name for an object that the source uses."""
        unique = f"{as_name(name)}_{len(self.names)}"
        self.names[unique] = thing
        return unique

    def node(self, anchor: str) -> str:
        """The variable of an anchor; the first use fetches what lists further out have made."""
        if anchor not in self.nodes:
            self.head.append(f"    {self._named(anchor)} = nodes.get({anchor!r})")
        return self.nodes[anchor]

    def own(self, anchor: str) -> None:
        """Declares the variables of an anchor that nothing further out has made."""
        self.references[anchor] = f"to_{self._named(anchor)}"
        self.head.append(f"    {self.nodes[anchor]} = None")

    def _named(self, anchor: str) -> str:
        variable = "the_" + as_name(anchor)
        self.nodes[anchor] = variable if variable not in self.nodes.values() else f"{variable}_{len(self.nodes)}"
        return self.nodes[anchor]

    def reference(self, anchor: str) -> str:
        """The variable of the reference to an anchor's node, for lines where there is one."""
        if anchor not in self.references:
            node = self.node(anchor)
            self.references[anchor] = f"to_{node}"
            self.head.append(f"    to_{node} = {node} and reference_of({node})")
        return self.references[anchor]

    def compiled(self, place: str) -> tuple[Walk, str]:
        """The function and its source."""
        text = "\n".join([*self.head, *self.lines]) + "\n"
        space = dict(self.names)
        exec(compile(text, f"<{place}>", "exec"), space)  # noqa: S102 - made of our own lines; words go in by repr
        return space[text[4 : text.index("(")]], text


def as_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def write_line(node: str, steps: Sequence[Step], value: str) -> str:
    """The statement that does what the compiled path's `write` does."""
    for place, step in enumerate(steps):
        if step.every:
            return f"{node}.setdefault({step.name!r}, []).append({_new_element(steps[place + 1 :], value)})"
        if place < len(steps) - 1:
            node = _entered(node, step)
    last = steps[-1]
    if last.index is not None:
        return f"write_at({node}.setdefault({last.name!r}, []), {last.index}, {value})"
    if last.key is not None:
        return f"{_entered(node, last)}.update({value})"
    return f"{node}[{last.name!r}] = {value}"


def _new_element(steps: Sequence[Step], value: str) -> str:
    """What a new element is, where these steps lead to `value` in it."""
    if not steps:
        return value
    step, inner = steps[0], _new_element(steps[1:], value)
    if step.key is not None:
        return f"{{{step.name!r}: [{{{step.key!r}: {step.value!r}, **{inner}}}]}}"
    return f"{{{step.name!r}: {f'[{inner}]' if step.every or step.index is not None else inner}}}"


def _entered(node: str, step: Step) -> str:
    if step.index is not None:
        return f"enter_at({node}, {step.name!r}, {step.index})"
    if step.key is not None:
        return f"enter_with({node}, {step.name!r}, {step.key!r}, {step.value!r})"
    return f"{node}.setdefault({step.name!r}, {{}})"
