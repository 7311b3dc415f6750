"""`Module`, the base class of modules: it routes typed messages to methods by the annotations of the handlers."""

from __future__ import annotations

import inspect
import logging
import os
import sys
import traceback
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, TypeVar, overload

import msgspec

from kubeedge_actors.errors import KubeEdgeActorsError, RegistrationError, UsageError
from kubeedge_actors.module_checks import sent_to_itself, unmarked_handlers
from kubeedge_actors.module_client import ModuleClient, check_types, send_down, send_up
from kubeedge_actors.module_config import ConfiguredFactory, read_config
from kubeedge_actors.supervisors.actor import Actor, Unhandled
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.durable.store import ModuleStore
from kubeedge_actors.supervisors.future import Future, ReplyTo
from kubeedge_actors.supervisors.mailbox import MailboxSpec, Overflow
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.specs import ChildSpec
from kubeedge_actors.supervisors.timer import Timer
from kubeedge_actors.supervisors.typecheck import check_fields
from kubeedge_actors.wire.custom_messages import wire_name
from kubeedge_actors.wire.link_messages import DEFAULT_EXPIRES

Handler = TypeVar("Handler", bound=Callable[..., Any])

ENTRY_POINTS = "kubeedge_actors.modules"
INTERFACES = (Future, ReplyTo, Ref, Timer)
"""Abstract types that a handler may name; all others are matched exactly."""
_MARK = "_kubeedge_actors_batch"


USER = "user"
"""The group of modules that are not built in: trouble of theirs stays theirs."""
HANDLER_DEADLINE = 30.0
"""Seconds after which a handler of a user's module is hung, if its spec says nothing else."""


class HandlerEntry(NamedTuple):
    """The handler of one message type: the method's name, and the batch size (1: one by one)."""

    method: str
    batch: int


@overload
def on(handler: Handler, /) -> Handler: ...
@overload
def on(*, batch: int) -> Callable[[Handler], Handler]: ...
def on(handler: Callable[..., Any] | None = None, /, *, batch: int = 1) -> Any:
    """Make a method the handler of the type its argument is annotated with (a union: of each). What it returns answers
    an ask. With `batch` it takes a list of up to that many messages, and may return a list of answers.
    """

    def mark(function: Handler) -> Handler:
        setattr(function, _MARK, batch)
        return function

    return mark if handler is None else mark(handler)


class Module(Actor):
    """Base class of modules: subclass it, set `name`, write `@on` handlers.

    >>> class Doubler(Module):
    ...     name = "doubler"
    ...     @on
    ...     def double(self, number: int) -> int:
    ...         return 2 * number
    >>> Doubler.accepts()
    (<class 'int'>,)
    """

    name: ClassVar[str] = ""
    group: ClassVar[str] = USER
    emits: ClassVar[tuple[type, ...]] = ()
    version: ClassVar[str] = "1"
    watches: ClassVar[tuple[str, ...]] = ()
    """In the cloud: types of objects (`v1/configmaps`) of which ObjectChanged comes, first for each that is there."""
    uses: ClassVar[tuple[str, ...]] = ()
    """In the cloud: types of objects that `client` may be asked for, beside those of `watches`."""
    Config: ClassVar[type[msgspec.Struct] | None] = None
    """What may be configured: a class with this name in the module's own; `self.config` is then an instance of it."""
    config: Any = None
    mailbox: ClassVar[MailboxSpec] = MailboxSpec()
    """The mailbox that its spec has if nobody says another: `MailboxSpec(durable=True)` keeps what it is told over the end of the process."""
    _handlings: ClassVar[Mapping[type, HandlerEntry]] = {}
    _functions: ClassVar[Mapping[type, Callable[[Any, Any], Any]]] = {}
    _checks_fields: ClassVar[bool] = True
    """Whether each message that the module sends is checked; modules that are built in do not pay for it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._checks_fields = cls.group == USER
        if cls.Config is not None and not (isinstance(cls.Config, type) and issubclass(cls.Config, msgspec.Struct)):
            raise RegistrationError(f"{cls.__qualname__}.Config has to be a subclass of msgspec.Struct")
        handlings = cls._handlings = _handlings(cls, sys._getframe(1).f_locals)
        functions = {message_type: getattr(cls, handling.method) for message_type, handling in handlings.items()}
        cls._functions = {
            message_type: function if handlings[message_type].batch == 1 else _one_by_one(function)
            for message_type, function in functions.items()
        }
        if cls.max_batch in (Actor.max_batch, Module.max_batch):
            # without a batch handler the mailbox need not ask for each message
            plain = all(handling.batch == 1 for handling in handlings.values())
            cls.max_batch = Actor.max_batch if plain else Module.max_batch  # type: ignore[method-assign]

    @classmethod
    def accepts(cls) -> tuple[type, ...]:
        """The message types that its handlers take."""
        return tuple(cls._handlings)

    @classmethod
    def spec(cls, factory: Callable[[], Actor] | None = None, *, config: object = None, **overrides: Any) -> ChildSpec:
        """The child spec of this module; `factory` makes an instance (default: the class), `overrides` are fields.

        `config`: an instance of its Config, or plain data for it. Error: RegistrationError for a config that does not fit.
        """
        if not cls.name:
            raise RegistrationError(f"{cls.__qualname__} has no name")
        if not isinstance(cls.emits, tuple) or not all(isinstance(message_type, type) for message_type in cls.emits):
            raise RegistrationError(f"{cls.__qualname__}.emits has to be a tuple of types, not {cls.emits!r}")
        check_types(f"{cls.__qualname__}.watches", cls.watches)
        check_types(f"{cls.__qualname__}.uses", cls.uses)
        facts: dict[str, Any] = {
            "watches": cls.watches,
            "name": cls.name,
            "accepts": cls.accepts(),
            "emits": cls.emits,
            "group": cls.group,
            "version": cls.version,
            "mailbox": cls.mailbox,
        }
        if cls.group == USER:
            overrides["mailbox"] = _never_waited_for(overrides.get("mailbox", cls.mailbox))
            facts |= {"handler_deadline": HANDLER_DEADLINE, "untrusted": True}
            from_afar = tuple(each for each in cls.accepts() if wire_name(each))
            self_sent = (*sent_to_itself(cls, Module, cls.accepts()), *from_afar)
            facts |= {"self_sent": self_sent, "warnings": cls._probably_forgotten()}
        make: Callable[[], Actor] = factory or cls
        if cls.Config is not None or config is not None:
            make = ConfiguredFactory(make, read_config(cls, cls.Config, config))
        return ChildSpec(**{**facts, "factory": make, **overrides})

    @classmethod
    def _probably_forgotten(cls) -> tuple[str, ...]:
        marked = {entry.method for entry in cls._handlings.values()}
        return tuple(unmarked_handlers(cls, Module, marked, cls._handlings))

    def receive(self, message: object) -> object:
        """Hand the message to its handler."""
        function = self._functions.get(type(message)) or self._inherited(type(message))
        if function is None:
            raise Unhandled(f"{type(self).__name__} has no handler for {type(message).__name__}")
        return function(self, message)

    def _inherited(self, message_type: type) -> Callable[[Any, Any], Any] | None:
        """The handler of the interface that the message implements: a ReplyTo told to oneself is a local or a remote one."""
        return next((self._functions.get(base) for base in INTERFACES if issubclass(message_type, base)), None)

    def max_batch(self, message_type: type) -> int:
        """As declared with `@on(batch=...)`."""
        handling = self._handlings.get(message_type)
        return 1 if handling is None else handling.batch

    def receive_batch(self, messages: list[Any]) -> list[object] | None:
        """Hand the messages to their handler."""
        answers: list[object] | None = getattr(self, self._handlings[type(messages[0])].method)(messages)
        return answers

    # --- the context, within reach --------------------------------------------------------------------------------

    def tell(self, to: str | Ref, message: object) -> None:
        """Send a message to an actor, by name or Ref."""
        if self._checks_fields:
            check_fields(message)
        self.context.tell(to, message)

    def ask(self, to: str | Ref, message: object, timeout: float = 5.0) -> Future:
        """Send a request: the future of its answer, whose `get` waits and whose `then` does not."""
        if self._checks_fields:
            check_fields(message)
        return self.context.ask(to, message, timeout)

    def publish(self, message: object) -> int:
        """Send a message to every actor that accepts its type; returns how many they are."""
        if self._checks_fields:
            check_fields(message)
        return self.context.publish(message)

    def up(self, message: object) -> Future:
        """Send a message of one's own (a Message with a `wire` name) from a node to the cloud; the future is completed when it is kept for
        that. Errors: UsageError, TypeError at once; AnswerLost by the future when the outbox takes no more.
        """
        if self._checks_fields:
            check_fields(message)
        return send_up(self.context, message)

    def down(self, node: str, message: object, expires: float = DEFAULT_EXPIRES) -> Future:
        """Send a message of one's own from the cloud to a node, for which it waits `expires` seconds; the future is completed when it is
        kept. Errors: UsageError, TypeError at once; AnswerLost by the future when it can not arrive, as for an unknown node.
        """
        if self._checks_fields:
            check_fields(message)
        return send_down(self.context, node, message, expires)

    @property
    def client(self) -> ModuleClient:
        """The Kubernetes API, for a module of the cloud; its answers are futures."""
        return ModuleClient(self.context, (*self.watches, *self.uses))

    def after(self, seconds: float, message: object) -> Timer:
        """Send this module a message in `seconds`, once."""
        return self.context.after(seconds, message)

    def every(self, seconds: float, message: object) -> Timer:
        """Send this module a message every `seconds`."""
        return self.context.every(seconds, message)

    def reply_later(self, message: object = None) -> ReplyTo:
        """Take over the answer to the message being handled."""
        return self.context.reply_later(message)

    @property
    def store(self) -> ModuleStore:
        """The durable mapping of this module: what a turn puts is there when the turn counts. Error: StoreError when there is no data directory."""
        return self.context.store

    @property
    def delivery(self) -> int:
        """1 when the message in hand is delivered for the first time, more when a delivery of it has failed, in this process or, from a durable
        mailbox, in another. What was handled in the last moment before a `kill -9`, and not committed, comes again as if for the first time.
        """
        return self.context.delivery

    @property
    def clock(self) -> Clock:
        """The actor system's clock."""
        return self.context.clock

    @property
    def log(self) -> logging.Logger:
        """This module's logger."""
        return self.context.log

    @property
    def ref(self) -> Ref:
        """The handle of this module, to hand to others and to driver threads."""
        return self.context.ref


def _never_waited_for(mailbox: MailboxSpec) -> MailboxSpec:
    """Who publishes does not know who listens, so nobody waits for a listener: what it does not get to is dropped, counted and told."""
    return replace(mailbox, published=Overflow.DROP_OLDEST)


def _one_by_one(function: Callable[[Any, list[Any]], list[object] | None]) -> Callable[[Any, Any], object]:
    """The batch handler as one for a single message."""

    def handle(module: Module, message: Any) -> object:
        answers = function(module, [message])
        return answers[0] if answers else None

    return handle


def _handlings(cls: type[Module], namespace: Mapping[str, Any]) -> dict[type, HandlerEntry]:
    handlers: dict[type, HandlerEntry] = {}
    for method, function in _marked(cls).items():
        batch: int = getattr(function, _MARK)
        for message_type in _accepted(cls, method, function, batch, namespace):
            if message_type in handlers:
                raise RegistrationError(
                    f"{cls.__qualname__} has two handlers for {message_type.__name__}: {handlers[message_type].method} and {method}"
                )
            handlers[message_type] = HandlerEntry(method, batch)
    return handlers


def _marked(cls: type[Module]) -> dict[str, Callable[..., Any]]:
    """The handlers by name; one that a subclass overrides without `@on` stays a handler of the same types."""
    return {
        name: function
        for ancestor in reversed(cls.__mro__)
        for name, function in vars(ancestor).items()
        if hasattr(function, _MARK)
    }


def _accepted(
    cls: type[Module], method: str, function: Callable[..., Any], batch: int, namespace: Mapping[str, Any]
) -> tuple[type, ...]:
    where = f"{cls.__qualname__}.{method}"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise RegistrationError(
            f"{where} is async: a handler is a plain method, and may block, which delays its module only"
        )
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) != 2:
        raise RegistrationError(f"{where} has to take self and one message")
    annotation = parameters[1].annotation
    if annotation is inspect.Parameter.empty:
        raise RegistrationError(f"{where} does not say by an annotation which message it handles")
    while isinstance(annotation, str):  # quoted under `from __future__ import annotations`, it is a text of a text
        try:
            annotation = eval(annotation, getattr(function, "__globals__", {}), dict(namespace))
        except Exception as error:
            raise RegistrationError(
                f"{where} handles {annotation!r}, which is unknown here ({error}); it has to be imported at run time"
            ) from error
    if batch > 1:
        if typing.get_origin(annotation) is not list:
            raise RegistrationError(f"{where} takes batches, so its message has to be a list[...]")
        (annotation,) = typing.get_args(annotation)
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    accepted: tuple[Any, ...] = typing.get_args(annotation) if union else (annotation,)
    for message_type in accepted:
        if not isinstance(message_type, type):
            hint = ": a list needs @on(batch=...)" if typing.get_origin(message_type) is list else ""
            raise RegistrationError(f"{where} handles {message_type!r}, which is not a type of messages{hint}")
    return accepted


def load_module(path: str) -> type[Module]:
    """The module class at `package.file:Class`. Error: UsageError, one sentence, when there is none."""
    where, colon, name = path.partition(":")
    if not (where and colon and name):
        raise UsageError(f"a module is given as package.file:Class, not {path!r}")
    file = _imported(path, where)
    loaded = getattr(file, name, None)
    if loaded is None:
        raise UsageError(f"the module {path!r} can not be loaded: there is no {name} in {file.__file__ or where}")
    if not (isinstance(loaded, type) and issubclass(loaded, Module)):
        raise UsageError(f"{path!r} is not a subclass of kubeedge_actors.Module")
    return loaded


def _imported(path: str, where: str) -> types.ModuleType:
    import importlib

    importlib.invalidate_caches()  # the file may have been written a moment ago
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{where}.".startswith(f"{error.name}."):
            raise UsageError(f"the module {path!r} can not be loaded: {error}; looked in {_searched()}") from error
        raise UsageError(f"the module {path!r} can not be loaded: {_where(error)}") from error
    except KubeEdgeActorsError:
        raise
    except Exception as error:
        raise UsageError(f"the module {path!r} can not be loaded: {_where(error)}") from error


def _searched() -> str:
    """The folders in which modules are looked for, without those of Python itself."""
    library = os.path.dirname(os.__file__)
    folders = dict.fromkeys(os.path.abspath(entry) for entry in sys.path)
    return ", ".join(
        each for each in folders if os.path.isdir(each) and each not in (library, f"{library}/lib-dynload")
    )


def _where(error: Exception) -> str:
    """The error of somebody's file in one line, with the place in it."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError):  # it tells the place itself
        return text
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    written = [place for place in places if not place[0].startswith("<frozen ")]  # those are Python's import itself
    return f"{text} ({written[-1][0]}, line {written[-1][1]})" if written else text
