"""Mutants: every change that mutmut's operators can make, less those that no test could tell, and a sample of them.

The operators are mutmut's (mutmut.mutation.mutators). Its runner is not used: it mutates nothing outside of plain functions, runs all
mutants there are, and its copies of every function in every module make a tick several times as long.

Not drawn, because by construction nothing behaves otherwise:
    docstrings and other strings that stand alone; type annotations, aliases of types, TypeVars, the bodies of Protocols
    `if TYPE_CHECKING:` blocks and imports
    __slots__, and the keywords of a class (a Struct's frozen, gc, kw_only)
    what is said to the log
    a change after which the bytecode is the same
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper, ParentNodeProvider
from mutmut.mutation.mutators import mutation_operators

from lab.mutate import ROOT, SOURCES

TYPE_NAMES = ("tuple", "list", "dict", "set", "frozenset", "Callable", "Literal", "Annotated", "Iterator", "Sequence", "Mapping")
BARE_TYPES = ("int", "float", "str", "bool", "bytes", "None")


@dataclass(frozen=True)
class Mutant:
    """One change. Lines count from 1; `before` and `after` are the statement."""

    id: str
    file: str
    line: int  # of the change
    lines: tuple[int, int]  # first and last of the statement
    operator: str
    before: str
    after: str
    span: tuple[int, int]  # of the file, bytes
    text: bytes  # ... is replaced by this

    @property
    def code(self) -> str:
        """The whole module with the change."""
        source = (ROOT / self.file).read_bytes()
        return (source[: self.span[0]] + self.text + source[self.span[1] :]).decode()

    @property
    def change(self) -> str:
        """What was changed, short: the differing middle of the statement."""
        before, after = self.before, self.after
        start = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
        end = next((n for n, (a, b) in enumerate(zip(before[::-1], after[::-1], strict=False)) if a != b), 0)
        end = min(end, len(before) - start, len(after) - start)
        old, new = before[start : len(before) - end], after[start : len(after) - end]
        return " ".join(f"{before[max(0, start - 40) : start]}[{old} -> {new}]{before[len(before) - end :][:25]}".split())


def sources() -> list[Path]:
    """The files that are mutated."""
    return sorted(path for pattern in SOURCES for path in ROOT.glob(pattern))


def drawn(sample: int, seed: int) -> list[Mutant]:
    """So many mutants of all, by chance. A smaller sample begins a larger one, and an edit of the code changes few others."""
    everything = [mutant for path in sources() for mutant in mutants_of(path)]
    everything.sort(key=lambda mutant: hashlib.sha256(f"{seed} {mutant.id}".encode()).digest())
    originals = {str(path.relative_to(ROOT)): _bytecode(path.read_text(encoding="utf-8")) for path in sources()}
    chosen: list[Mutant] = []
    for mutant in everything:
        if len(chosen) >= sample:
            break
        try:
            if _bytecode(mutant.code) != originals[mutant.file]:
                chosen.append(mutant)
        except SyntaxError:
            continue
    return chosen


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All of a file, in its order."""
    source = path.read_bytes()
    file = str(path.relative_to(ROOT))
    wrapper = MetadataWrapper(cst.parse_module(source))
    finder = _Finder(wrapper, source)
    counted: Counter[str] = Counter()
    for node, changed, operator in finder.found:
        start, end = finder.span_of(node)
        first, last = finder.span_of(finder.statement_of(node))
        text = wrapper.module.code_for_node(changed).strip().encode()
        before, after = source[first:last].decode(), (source[first:start] + text + source[end:last]).decode()
        what = f"{file}\n{finder.name_of(node)}\n{operator}\n{before}\n{after}"
        counted[what] += 1
        id_ = hashlib.sha256(f"{what}\n{counted[what]}".encode()).hexdigest()[:10]
        lines = source.count(b"\n", 0, first) + 1, source.count(b"\n", 0, last) + 1
        yield Mutant(id_, file, source.count(b"\n", 0, start) + 1, lines, operator, before, after, (start, end), text)


def _bytecode(source: str) -> bytes:
    """What a module's code does, without its lines and columns."""
    return _shape(compile(source, "module", "exec")).encode()


def _shape(code: Any) -> str:
    consts = [_shape(one) if hasattr(one, "co_code") else f"{type(one).__name__} {one!r}" for one in code.co_consts]
    return repr(
        (code.co_name, code.co_code, consts, code.co_names, code.co_varnames, code.co_freevars, code.co_argcount, code.co_exceptiontable)
    )


class _Finder:
    """All changes of a module that are worth drawing: (node, its replacement, operator)."""

    def __init__(self, wrapper: MetadataWrapper, source: bytes) -> None:
        self._module, self._source = wrapper.module, source
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._spans = wrapper.resolve(ByteSpanPositionProvider)
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, str]] = []
        self._visit(wrapper.module)

    def statement_of(self, node: cst.CSTNode) -> cst.CSTNode:
        """The simple statement, or the compound one's own line, that holds the node."""
        while not isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement | cst.BaseSmallStatement):
            above = self._parents[node]
            if isinstance(above, cst.If | cst.While | cst.For | cst.FunctionDef | cst.ClassDef | cst.With | cst.Match | cst.Module):
                return node
            node = above
        return node

    def name_of(self, node: cst.CSTNode) -> str:
        """Of the function or class around it."""
        names = []
        while node in self._parents:
            node = self._parents[node]
            if isinstance(node, cst.FunctionDef | cst.ClassDef):
                names.append(node.name.value)
        return ".".join(reversed(names))

    def span_of(self, node: cst.CSTNode) -> tuple[int, int]:
        """First byte and the one after the last, with the parentheses around it."""
        span = self._spans[node]
        return span.start, span.start + span.length

    def _visit(self, node: cst.CSTNode) -> None:
        if self._tells_nothing(node):
            return
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                self.found += ((node, changed, operator.__name__.removeprefix("operator_")) for changed in operator(node))
        for child in node.children:
            self._visit(child)

    def _tells_nothing(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Import | cst.ImportFrom | cst.Decorator):
            return True
        if isinstance(node, cst.Arg) and isinstance(self._parents[node], cst.ClassDef):
            return True
        if isinstance(node, cst.ClassDef) and any(m.matches(base.value, m.Name("Protocol")) for base in node.bases):
            return True
        if isinstance(node, cst.If) and m.matches(node.test, m.Name("TYPE_CHECKING")):
            return True
        if isinstance(node, cst.Expr) and isinstance(node.value, cst.SimpleString | cst.ConcatenatedString | cst.Ellipsis):
            return True
        if m.matches(node, m.Call(func=m.Attribute(value=m.Name("log")))):
            return True
        if isinstance(node, cst.Assign):
            return m.matches(node.targets[0].target, m.Name("__slots__")) or _is_type(node.value)
        return False


def _is_type(value: cst.BaseExpression) -> bool:
    """Whether an expression is the name of a type: of use to the type checker alone."""
    if isinstance(value, cst.Call):
        return m.matches(value.func, m.Name("TypeVar"))
    if isinstance(value, cst.Subscript):
        return isinstance(value.value, cst.Name) and (value.value.value in TYPE_NAMES or value.value.value == "NDArray")
    if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.BitOr):
        return all(_is_type(side) or (isinstance(side, cst.Name) and side.value in BARE_TYPES) for side in (value.left, value.right))
    return False
