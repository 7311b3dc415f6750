"""Lets the conformance suite run where actors live in other processes: its actors and messages are made on the spot.

Functions and classes of a test travel as code. What they share with the test (the environment, lists, events, iterators) stays
here, and the other process holds proxies of it. This is for tests: a module's messages are importable classes.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import marshal
import sys
import threading
import types
from collections.abc import Callable
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from kubeedge_actors.supervisors.engines.process.serialization import RefPickler, RefResolver, RefUnpickler

PLAIN = (int, float, str, bytes, type(None), types.BuiltinFunctionType)
SHARED = (list, dict, set, threading.Event)


class Shop:
    """Keeps what tests share with their actors, and does with it what proxies say."""

    def __init__(self) -> None:
        self._listener = Listener(f"\0kubeedge-tests-{id(self)}", backlog=64, authkey=b"tests")
        self.address = self._listener.address
        self._kept: dict[int, Any] = {}
        self._numbers = itertools.count()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="shop", daemon=True)
        self._thread.start()

    def keep(self, obj: Any) -> int:
        """The number of a thing."""
        number = next(self._numbers)
        self._kept[number] = obj
        return number

    def clear(self) -> None:
        """Forget all: a test is over."""
        self._kept.clear()

    def close(self) -> None:
        """Take no more clients."""
        self._closing = True
        Client(self.address, authkey=b"tests").close()  # so that it looks
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            line = self._listener.accept()
            if self._closing:
                line.close()
                return
            threading.Thread(target=self._obey, args=(line,), name="shop-counter", daemon=True).start()

    def _obey(self, line: Connection) -> None:
        while True:
            try:
                number, operation, arguments = ByValueSerializer(self.address).loads(line.recv_bytes())
            except (EOFError, OSError):
                line.close()
                return
            try:
                answer = True, DO[operation](self._kept[number], *arguments)
            except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
                answer = False, error
            with contextlib.suppress(OSError):  # who asked was killed meanwhile
                line.send_bytes(ByValueSerializer(self.address, self).dumps(answer))


DO: dict[str, Callable[..., Any]] = {
    "get": getattr, "call": lambda it, args, more: it(*args, **more), "next": next, "iter": iter, "len": len,
    "item": lambda it, key: it[key], "in": lambda it, each: each in it, "bool": bool,
}  # fmt: skip


class Proxy:
    """Something of the test's, seen from an actor's process."""

    def __init__(self, address: str, number: int) -> None:
        self.__dict__.update(_address=address, _number=number)

    def _do(self, operation: str, *arguments: Any) -> Any:
        line = LINES.__dict__.get(self._address)
        if line is None:
            line = LINES.__dict__[self._address] = Client(self._address, authkey=b"tests")
        carrier = ByValueSerializer(self._address)
        line.send_bytes(carrier.dumps((self._number, operation, arguments)))
        ok, answer = carrier.loads(line.recv_bytes())
        if not ok:
            raise answer
        return answer

    def __getattr__(self, name: str) -> Any:
        return self._do("get", name)

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        return self._do("call", arguments, more)

    def __iter__(self) -> Any:
        return self._do("iter")

    def __next__(self) -> Any:
        return self._do("next")

    def __len__(self) -> int:
        return int(self._do("len"))

    def __bool__(self) -> bool:
        return bool(self._do("bool"))

    def __getitem__(self, key: Any) -> Any:
        return self._do("item", key)

    def __contains__(self, item: Any) -> bool:
        return bool(self._do("in", item))

    def __reduce__(self) -> Any:
        return Proxy, (self._address, self._number)


LINES = threading.local()


class ByValueSerializer:
    """Carries functions and classes as code, and what is kept in the shop as proxies."""

    def __init__(self, address: str, shop: Shop | None = None) -> None:
        self._address, self._shop = address, shop

    def dumps(self, value: object) -> bytes:
        """The value as bytes."""
        out = io.BytesIO()
        TestPacker(out, self._address, self._shop).dump(value)
        return out.getvalue()

    def loads(self, data: bytes, resolver: RefResolver | None = None) -> Any:
        """The value again."""
        return RefUnpickler(data, resolver).load()  # type: ignore[arg-type]

    def __reduce__(self) -> Any:
        return ByValueSerializer, (self._address,)


class TestPacker(RefPickler):
    """A pickler that knows how tests are made."""

    __test__ = False

    def __init__(self, out: io.BytesIO, address: str, shop: Shop | None) -> None:
        super().__init__(out, 5)
        self._address, self._shop = address, shop

    def reducer_override(self, obj: Any) -> Any:
        """Code for what is made on the spot, a proxy for what is shared, pickle's own way for the rest."""
        if type(obj) is Proxy:
            return NotImplemented
        if isinstance(obj, types.FunctionType) and not found(obj):
            return self._function(obj)
        if isinstance(obj, type):
            return NotImplemented if found(obj) else self._class(obj)
        if isinstance(obj, types.ModuleType):
            return sys.modules.get, (obj.__name__,)
        if self._shop is not None and stays(obj):
            return Proxy, (self._address, self._shop.keep(obj))
        if self._shop is not None and (
            hasattr(obj, "__next__") or isinstance(obj, types.MethodType | types.BuiltinMethodType)
        ):
            return Proxy, (self._address, self._shop.keep(obj))
        return NotImplemented

    def _function(self, obj: types.FunctionType) -> Any:
        state = {
            "cells": [self._cell(cell) for cell in obj.__closure__ or ()],
            "defaults": obj.__defaults__, "kwdefaults": obj.__kwdefaults__, "qualname": obj.__qualname__,
        }  # fmt: skip
        arguments = (marshal.dumps(obj.__code__), obj.__module__, obj.__name__, len(obj.__closure__ or ()))
        return make_function, arguments, state, None, None, finish_function

    def _cell(self, cell: types.CellType) -> Any:
        """What is in it; containers and iterators of the test's stay here."""
        try:
            content = cell.cell_contents
        except ValueError:
            return None
        if self._shop is not None and isinstance(content, SHARED):
            return Proxy(self._address, self._shop.keep(content))
        return content

    def _class(self, obj: type) -> Any:
        state = {
            key: value
            for key, value in vars(obj).items()
            if key not in ("__dict__", "__weakref__", "__doc__", "__slots__")
        }
        return (
            make_class,
            (obj.__name__, obj.__bases__, obj.__module__, obj.__qualname__),
            state,
            None,
            None,
            finish_class,
        )


def found(obj: Any) -> bool:
    """True when the other process can import it."""
    at: Any = sys.modules.get(obj.__module__)
    for name in obj.__qualname__.split("."):
        at = getattr(at, name, None)
    return at is obj


def stays(obj: Any) -> bool:
    """True for what has to be one thing only: the environment, and what is in a runtime."""
    from kubeedge_actors.supervisors import ActorSystem, Cell, ManualClock
    from tests.support.env.supervisors import ActorSystemEnv

    return isinstance(obj, ActorSystemEnv | ActorSystem | ManualClock | Cell | threading.Event) or hasattr(
        type(obj), "stays_with_the_test"
    )


def make_function(code: bytes, module: str, name: str, cells: int) -> types.FunctionType:
    """A function without its closure's contents."""
    __import__(module)
    closure = tuple(types.CellType() for _ in range(cells))
    return types.FunctionType(marshal.loads(code), vars(sys.modules[module]), name, None, closure)


def finish_function(obj: types.FunctionType, state: dict[str, Any]) -> None:
    """Fill it in."""
    for cell, content in zip(obj.__closure__ or (), state["cells"], strict=True):
        cell.cell_contents = content
    obj.__defaults__, obj.__kwdefaults__, obj.__qualname__ = state["defaults"], state["kwdefaults"], state["qualname"]


def make_class(name: str, bases: tuple[type, ...], module: str, qualname: str) -> type:
    """A class without its attributes."""
    return type(name, bases, {"__module__": module, "__qualname__": qualname})


def finish_class(obj: type, state: dict[str, Any]) -> None:
    """Fill it in."""
    for key, value in state.items():
        setattr(obj, key, value)
