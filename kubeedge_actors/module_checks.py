"""What the author of a module has probably forgotten, found by looking at the class. Never an error: it may be meant."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator
from types import CodeType, FunctionType, ModuleType

from kubeedge_actors.supervisors.typecheck import has_fields

TIMERS = frozenset({"every", "after"})
"""The methods by which a module sends itself something."""


def unmarked_handlers(cls: type, base: type, handlers: Collection[str], handled: Collection[type]) -> list[str]:
    """A sentence for each public method of `cls` that takes one message and that nothing calls: it looks like a handler without `@on`.

    `base`: what its modules have in common, whose methods are meant; `handlers`: the marked methods; `handled`: their message types. A method
    whose name is used in the class, or whose type another one handles, is taken for a part of the module.
    """
    functions = _functions(cls, base)
    used = {name for function in functions.values() for code in _codes(function.__code__) for name in code.co_names}
    found = []
    for name, function in functions.items():
        message_type = None if name.startswith("_") or hasattr(base, name) else _message_type(function)
        if message_type is not None and message_type not in handled and name not in {*used, *handlers}:
            place = f"{function.__code__.co_filename}, line {function.__code__.co_firstlineno}"
            found.append(
                f"{cls.__qualname__}.{name} ({place}) takes a {message_type.__name__}, but without @on nothing calls it"
            )
    return found


def sent_to_itself(cls: type, base: type, accepted: Collection[type]) -> tuple[type, ...]:
    """Those of the accepted types that the class seems to send itself by a timer: a method that sets one names the type, or a value of it."""
    timed = [
        function
        for function in _functions(cls, base).values()
        if not TIMERS.isdisjoint(name for code in _codes(function.__code__) for name in code.co_names)
    ]
    named = [value for function in timed for value in _named_values(function, cls)]
    return tuple(each for each in accepted if any(value is each or type(value) is each for value in named))


def _functions(cls: type, base: type) -> dict[str, FunctionType]:
    """The methods of the class and of its ancestors, without those of `base`."""
    own = [ancestor for ancestor in reversed(cls.__mro__) if not issubclass(base, ancestor)]
    return {
        name: value for ancestor in own for name, value in vars(ancestor).items() if isinstance(value, FunctionType)
    }


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _named_values(function: FunctionType, cls: type) -> Iterator[object]:
    """What the names and constants of a function stand for, as far as that can be told without running it."""
    codes = list(_codes(function.__code__))
    names = {name for code in codes for name in code.co_names}
    spaces = [function.__globals__, vars(cls)]
    spaces += [vars(value) for value in map(function.__globals__.get, names) if isinstance(value, ModuleType)]
    yield from (space[name] for space in spaces for name in names if name in space)
    yield from (constant for code in codes for constant in code.co_consts)
    for closed in function.__closure__ or ():
        try:
            yield closed.cell_contents
        except ValueError:  # it is not set yet
            continue


def _message_type(function: FunctionType) -> type | None:
    """The class of messages that is the annotation of the only argument beside self; None when it is something else."""
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) != 2:
        return None
    annotation = parameters[1].annotation
    try:
        while isinstance(annotation, str):
            annotation = eval(annotation, function.__globals__)
    except Exception:  # noqa: BLE001 - known to a type checker only, or no Python at all: nothing that could be handled
        return None
    return annotation if isinstance(annotation, type) and has_fields(annotation) else None
