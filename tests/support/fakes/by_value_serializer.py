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

    def keep(self, thing: Any) -> int:
        """The number of a thing."""
        number = next(self._numbers)
        self._kept[number] = thing
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
                number, what, arguments = ByValueSerializer(self.address).loads(line.recv_bytes())
            except (EOFError, OSError):
                line.close()
                return
            try:
                answer = True, DO[what](self._kept[number], *arguments)
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

    def _do(self, what: str, *arguments: Any) -> Any:
        line = LINES.__dict__.get(self._address)
        if line is None:
            line = LINES.__dict__[self._address] = Client(self._address, authkey=b"tests")
        carrier = ByValueSerializer(self._address)
        line.send_bytes(carrier.dumps((self._number, what, arguments)))
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

    def __contains__(self, each: Any) -> bool:
        return bool(self._do("in", each))

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

    def _function(self, it: types.FunctionType) -> Any:
        state = {
            "cells": [self._cell(each) for each in it.__closure__ or ()],
            "defaults": it.__defaults__, "kwdefaults": it.__kwdefaults__, "qualname": it.__qualname__,
        }  # fmt: skip
        made = (marshal.dumps(it.__code__), it.__module__, it.__name__, len(it.__closure__ or ()))
        return make_function, made, state, None, None, finish_function

    def _cell(self, cell: types.CellType) -> Any:
        """What is in it; containers and iterators of the test's stay here."""
        try:
            content = cell.cell_contents
        except ValueError:
            return None
        if self._shop is not None and isinstance(content, SHARED):
            return Proxy(self._address, self._shop.keep(content))
        return content

    def _class(self, it: type) -> Any:
        state = {
            key: each
            for key, each in vars(it).items()
            if key not in ("__dict__", "__weakref__", "__doc__", "__slots__")
        }
        return make_class, (it.__name__, it.__bases__, it.__module__, it.__qualname__), state, None, None, finish_class


def found(it: Any) -> bool:
    """True when the other process can import it."""
    at: Any = sys.modules.get(it.__module__)
    for name in it.__qualname__.split("."):
        at = getattr(at, name, None)
    return at is it


def stays(it: Any) -> bool:
    """True for what has to be one thing only: the environment, and what is in a runtime."""
    from kubeedge_actors.supervisors import ActorSystem, Cell, ManualClock
    from tests.support.env.supervisors import ActorSystemEnv

    return isinstance(it, ActorSystemEnv | ActorSystem | ManualClock | Cell | threading.Event) or hasattr(
        type(it), "stays_with_the_test"
    )


def make_function(code: bytes, module: str, name: str, cells: int) -> types.FunctionType:
    """A function without its closure's contents."""
    __import__(module)
    closure = tuple(types.CellType() for _ in range(cells))
    return types.FunctionType(marshal.loads(code), vars(sys.modules[module]), name, None, closure)


def finish_function(it: types.FunctionType, state: dict[str, Any]) -> None:
    """Fill it in."""
    for cell, content in zip(it.__closure__ or (), state["cells"], strict=True):
        cell.cell_contents = content
    it.__defaults__, it.__kwdefaults__, it.__qualname__ = state["defaults"], state["kwdefaults"], state["qualname"]


def make_class(name: str, bases: tuple[type, ...], module: str, qualname: str) -> type:
    """A class without its attributes."""
    return type(name, bases, {"__module__": module, "__qualname__": qualname})


def finish_class(it: type, state: dict[str, Any]) -> None:
    """Fill it in."""
    for key, each in state.items():
        setattr(it, key, each)
