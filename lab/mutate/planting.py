"""Putting a mutant's code into a process that has imported the original.

Where only functions differ, their code objects are exchanged in place, so that whoever holds a reference calls the mutant. Where a
module's or class's own statements differ (constants, tables, defaults), all that may hold the old ones is imported afresh.
"""

import importlib.abc
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

# These hold nothing of what is mutated, and the frames and verdicts of the recorded stories are of their types.
KEPT = (
    "guardian.config",
    "guardian.contract",
    "guardian.frame",
    "guardian.verdict",
    "guardian.hardware",
    "guardian.recording",
    "lab.mutate",
)
AFRESH = ("guardian", "tests", "lab")


def functions_of(module: ModuleType) -> dict[str, FunctionType]:
    """All functions that a module's text defines at its top and in its classes, by qualified name."""
    return {function.__code__.co_qualname: function for function in _functions(vars(module), module.__name__, set())}


def _functions(names: Any, module: str, seen: set[int]) -> Iterator[FunctionType]:
    for value in list(names.values()):
        if id(value) in seen or getattr(value, "__module__", module) != module:
            continue
        seen.add(id(value))
        if isinstance(value, FunctionType):
            yield value
        elif isinstance(value, staticmethod | classmethod):
            yield value.__func__  # type: ignore[misc]
        elif isinstance(value, property):
            yield from (one for one in (value.fget, value.fset) if isinstance(one, FunctionType))
        elif inspect.isclass(value):
            yield from _functions(vars(value), module, seen)


def exchanged(module: ModuleType, code: str) -> bool:
    """Exchange the code of the functions that differ; False, and nothing done, where more than functions differ."""
    assert module.__file__
    old = compile(Path(module.__file__).read_text(encoding="utf-8"), module.__file__, "exec")
    pairs = list(_differing(old, compile(code, module.__file__, "exec")))
    functions = functions_of(module)
    if not all(after is not None and before.co_qualname in functions for before, after in pairs):
        return False
    try:
        for before, after in pairs:
            assert after is not None
            functions[before.co_qualname].__code__ = after
    except ValueError:  # other free variables
        return False
    return True


def _differing(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType | None]]:
    """The outermost functions that differ; (code, None) where a module's or class's own statements do."""
    olds = [one for one in old.co_consts if isinstance(one, CodeType)]
    news = [one for one in new.co_consts if isinstance(one, CodeType)]
    if len(olds) != len(news) or _own(old) != _own(new):
        yield old, None
        return
    for before, after in zip(olds, news, strict=True):
        if before == after:
            continue
        if before.co_flags & inspect.CO_NEWLOCALS:
            yield before, after
        else:
            yield from _differing(before, after)


def _own(code: CodeType) -> tuple[Any, ...]:
    consts = [f"{type(one).__name__} {one!r}" for one in code.co_consts if not isinstance(one, CodeType)]
    return code.co_code, consts, code.co_names, code.co_varnames


def import_afresh(name: str, code: str) -> None:
    """Forget all modules that may hold the old `name`; from now on it is imported from this code."""
    for known in list(sys.modules):
        if known.split(".")[0] in AFRESH and known not in ("guardian", "lab") and not known.startswith(KEPT):
            del sys.modules[known]
    sys.meta_path.insert(0, _Planted(name, code))


class _Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, in a string."""

    def __init__(self, name: str, code: str) -> None:
        self._name, self._code = name, code

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """See MetaPathFinder."""
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(fullname)
        assert found is not None and found.origin
        return importlib.util.spec_from_file_location(
            fullname,
            found.origin,
            loader=self,
            submodule_search_locations=found.submodule_search_locations,  # type: ignore[arg-type]
        )

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual one."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant's code."""
        assert module.__file__
        exec(compile(self._code, module.__file__, "exec"), vars(module))
