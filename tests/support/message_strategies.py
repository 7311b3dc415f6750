"""Hypothesis strategies for everything that can be said."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st

from kubeedge_actors.wire import constants, message_class, resource
from kubeedge_actors.wire import messages as m
from kubeedge_actors.wire.beehive import BeehiveMessage, Header, Route
from tests.support.plugins.hypothesis_profile import examples

quick = settings(max_examples=examples(150))

words = st.text(max_size=12)
ids = st.uuids(version=4).map(str)
times = st.integers(1, 2**53)
segments = st.text(min_size=1, max_size=12).filter(lambda text: "/" not in text)
namespaces = segments
versions = st.integers(0, 2**64 - 1).map(str) | st.just("")
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=8,
)
objects: st.SearchStrategy[dict[str, Any]] = st.dictionaries(words, json_values, max_size=4)
json_texts = objects.map(lambda value: msgspec.json.encode(value).decode())
answers = json_values.filter(lambda value: not (isinstance(value, str) and value.lstrip(" \t\r\n")[:1] in ("{", "[")))
devices = segments | st.tuples(segments, segments).map("/".join)
types = segments.filter(lambda type: type not in (constants.SERVICEACCOUNTTOKEN, constants.LEASE))
cloud_sources = st.sampled_from(sorted(message_class.CLOUD_SOURCES))
groups = words.filter(lambda group: group not in (constants.GROUP_USER, constants.GROUP_TWIN))
writes = st.sampled_from([constants.INSERT, constants.UPDATE])
methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
topics = st.text(min_size=1, max_size=30)


def _said(kind: type[m.LinkMessage], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, msg_id=ids | st.just(""), timestamp=times, **fields)


def _text(kind: type[m.LinkMessage], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return _said(kind, **fields) | _said(kind, sent_as_object=st.just(True), **fields)


headers = st.builds(
    Header,
    msg_id=words,
    parent_msg_id=words,
    timestamp=st.integers(-(2**63), 2**63 - 1),
    resourceversion=words,
    sync=st.booleans(),
    type=words,
)
routes = st.builds(Route, source=words, destination=words, group=words, operation=words, resource=words)
contents = json_values.map(lambda value: msgspec.Raw(msgspec.json.encode(value)))
records = st.builds(BeehiveMessage, header=headers, route=routes, content=contents)

SAID: dict[type[m.LinkMessage], st.SearchStrategy[Any]] = {
    m.Response: _said(
        m.Response,
        parent_msg_id=ids,
        resource=words,
        content=answers,
        resource_version=versions,
        source=words,
        group=groups,
        operation=st.sampled_from([constants.RESPONSE, constants.APPLICATION_RESPONSE]),
    ),
    m.ErrorResponse: _said(
        m.ErrorResponse, parent_msg_id=ids, resource=words, reason=words, source=words, group=groups
    ),
    m.CustomMessage: _said(
        m.CustomMessage, type=topics, content=json_values.map(lambda value: msgspec.json.encode(value).decode())
    ),
    m.KeepAlive: _said(m.KeepAlive),
    m.RegisterNode: _said(m.RegisterNode, name=segments, object=objects),
    m.UpdateNode: _said(m.UpdateNode, name=segments, object=objects),
    m.PatchNode: _text(m.PatchNode, name=segments, patch=json_texts),
    m.ReportNodeStatus: _said(m.ReportNodeStatus, operation=writes, name=segments, content=objects),
    m.QueryLease: _said(m.QueryLease, name=segments),
    m.WriteLease: _said(m.WriteLease, operation=writes, name=segments, object=objects),
    m.InsertPod: _said(m.InsertPod, namespace=namespaces, name=segments, object=objects),
    m.PatchPod: _text(m.PatchPod, namespace=namespaces, name=segments, patch=json_texts),
    m.ReportPodStatus: _said(m.ReportPodStatus, namespace=namespaces, name=segments, content=objects)
    | _said(m.ReportPodStatus, namespace=namespaces, name=st.just(""), content=st.lists(objects, max_size=3)),
    m.DeletePod: _said(m.DeletePod, namespace=namespaces, name=segments, options=objects | words | st.none()),
    m.QueryObject: _said(m.QueryObject, type=types, namespace=namespaces, name=segments | st.just("")),
    m.RequestToken: _said(m.RequestToken, namespace=namespaces, name=segments, object=objects),
    m.RequestCertificate: _said(m.RequestCertificate, name=segments, object=objects),
    m.ReportEvent: _said(
        m.ReportEvent, operation=writes | st.just(constants.PATCH), namespace=namespaces, name=segments, content=objects
    ),
    m.QueryClusterCa: _said(m.QueryClusterCa),
    m.ApplicationRequest: _said(
        m.ApplicationRequest,
        resource=st.sampled_from([constants.PATH_APPLICATION, constants.PATH_WATCH_SYNC]),
        content=objects,
    ),
    m.MembershipRequest: _text(m.MembershipRequest, content=json_texts),
    m.TwinReported: _said(m.TwinReported, device=devices, report=objects),
    m.DeviceStateReported: _text(m.DeviceStateReported, device=devices, report=json_texts),
    m.BusUploaded: _said(
        m.BusUploaded, resource=words, content=json_values, source=words, parent_msg_id=ids | st.just("")
    ),
    m.NodeTaskReported: _said(m.NodeTaskReported, job_type=segments, job=segments, task_node=segments, content=objects),
    m.ObjectPushed: _said(
        m.ObjectPushed,
        operation=writes | st.just(constants.DELETE),
        type=segments,
        namespace=namespaces,
        name=segments,
        object=objects,
        resource_version=versions,
        source=cloud_sources,
    ),
    m.OutboxAcknowledged: _said(m.OutboxAcknowledged, ids=st.lists(words, max_size=4)),
    m.MembershipUpdate: _said(m.MembershipUpdate, content=objects),
    m.MembershipDetail: _said(m.MembershipDetail, content=objects),
    m.TwinSynced: _said(m.TwinSynced, device=devices, content=objects),
    m.AttributesChanged: _said(m.AttributesChanged, device=devices, content=objects),
    m.ReportStored: _said(m.ReportStored, parent_msg_id=ids, resource=words, content=json_values),
    m.NodeTask: _said(m.NodeTask, job_type=segments, job=segments, task_node=segments, content=objects),
    m.BusPublish: _said(m.BusPublish, topic=topics, payload=json_values),
    m.BusSubscribe: _said(m.BusSubscribe, topic=topics),
    m.BusUnsubscribe: _said(m.BusUnsubscribe, topic=topics),
    m.ServiceBusResponse: _said(
        m.ServiceBusResponse, parent_msg_id=ids, resource=words, content=json_values, source=words
    ),
    m.TargetUrlAdded: _said(m.TargetUrlAdded, url=topics),
    m.TargetUrlRemoved: _said(m.TargetUrlRemoved, url=topics),
    m.ServiceCall: _said(m.ServiceCall, method=methods, target=topics, request=objects),
}
"""One strategy for each type that crosses the link, UnknownMessage apart."""


def _is_sayable(message: Any) -> bool:
    """Not a query that happens to draw one of the fixed paths."""
    return not isinstance(message, m.QueryObject) or f"{message.namespace}/{message.type}" not in resource.FIXED_PATHS


said = st.one_of(*SAID.values()).filter(_is_sayable)

_names = [value for name, value in vars(constants).items() if name.isupper() and isinstance(value, str)]
_paths = st.lists(st.sampled_from(_names), max_size=5).map("/".join) | st.sampled_from(_names) | words
plausible = st.builds(
    BeehiveMessage,
    header=st.builds(Header, msg_id=ids, parent_msg_id=ids | st.just(""), timestamp=times, resourceversion=versions),
    route=st.builds(
        Route,
        source=st.sampled_from(_names) | words,
        group=st.sampled_from([value for name, value in vars(constants).items() if name.startswith("GROUP_")]) | words,
        operation=st.sampled_from(_names) | words,
        resource=_paths,
    ),
    content=(json_values | json_texts).map(lambda value: msgspec.Raw(msgspec.json.encode(value))),
)
"""Records made of KubeEdge's own words in any combination: the likeliest to be taken for something they are not."""
