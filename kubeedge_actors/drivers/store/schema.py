"""The tables of an edge database, as a list of steps from one version of them to the next.

Seven tables are KubeEdge's, so that a node can keep its database when it changes over (source: KubeEdge
edge/pkg/metamanager/dao/models); `desired`, `outbox` and `twin_history` are
ours. A step is never changed once it was released.
"""

from __future__ import annotations

from typing import Final

from kubeedge_actors.osutil.sealed_tables import SealedTable

META: Final = ("key", "type", "value")
OBJECT: Final = ("key", "group_version_resource", "namespace", "name", "resource_version", "value")
DEVICE: Final = ("id", "name", "description", "state", "last_online")
ATTRIBUTE: Final = ("deviceid", "name", "value", "optional", "attr_type", "metadata")
TWIN: Final = (
    "deviceid",
    "name",
    "expected",
    "actual",
    "expected_meta",
    "actual_meta",
    "expected_version",
    "actual_version",
    "optional",
    "attr_type",
    "metadata",
)
DESIRED: Final = ("deviceid", "name", "value")
HISTORY: Final = ("deviceid", "name", "slot", "number", "at", "expected", "actual")
OUTBOX: Final = ("msg_id", "frame", "key", "number")
SEALED: Final = (
    SealedTable("meta", ("key",), ("value",)),
    SealedTable("meta_v2", ("key",), ("value",)),
    SealedTable("outbox", ("msg_id",), ("frame",)),
)
"""What may hold secrets: what the cloud sent, and what goes to it."""

_KUBEEDGE: Final = """
CREATE TABLE IF NOT EXISTS meta (key text, type text, value text, PRIMARY KEY (key));
CREATE TABLE IF NOT EXISTS meta_v2 (
    key text, group_version_resource text, namespace text, name text, resource_version integer, value text,
    PRIMARY KEY (key)
);
CREATE TABLE IF NOT EXISTS device (
    id text, name text, description text, state text, last_online text, PRIMARY KEY (id)
);
CREATE TABLE IF NOT EXISTS device_attr (
    id integer PRIMARY KEY AUTOINCREMENT, deviceid text, name text, description text, value text, optional numeric,
    attr_type text, metadata text
);
CREATE TABLE IF NOT EXISTS device_twin (
    id integer PRIMARY KEY AUTOINCREMENT, deviceid text, name text, description text, expected text, actual text,
    expected_meta text, actual_meta text, expected_version text, actual_version text, optional numeric,
    attr_type text, metadata text
);
CREATE TABLE IF NOT EXISTS sub_topics (topic text, PRIMARY KEY (topic));
CREATE TABLE IF NOT EXISTS target_urls (url text, PRIMARY KEY (url));
"""
# In a database of the original a property may stand twice (it has no such index), and "" is what was never given.
_FROM_KUBEEDGE: Final = """
DELETE FROM device_attr WHERE id NOT IN (SELECT max(id) FROM device_attr GROUP BY deviceid, name);
DELETE FROM device_twin WHERE id NOT IN (SELECT max(id) FROM device_twin GROUP BY deviceid, name);
UPDATE device_twin SET expected = NULL WHERE expected = '' AND coalesce(expected_meta, '') = '';
UPDATE device_twin SET actual = NULL WHERE actual = '' AND coalesce(actual_meta, '') = '';
CREATE UNIQUE INDEX device_attr_identity ON device_attr (deviceid, name);
CREATE UNIQUE INDEX device_twin_identity ON device_twin (deviceid, name);
CREATE INDEX meta_type ON meta (type);
"""
_ADDED: Final = """
CREATE TABLE desired (deviceid text NOT NULL, name text NOT NULL, value text NOT NULL, PRIMARY KEY (deviceid, name));
CREATE TABLE outbox (
    number integer PRIMARY KEY AUTOINCREMENT, msg_id text NOT NULL UNIQUE, frame text NOT NULL, key text NOT NULL
);
"""

_HISTORY: Final = """
CREATE TABLE twin_history (
    deviceid text NOT NULL, name text NOT NULL, slot integer NOT NULL, number integer NOT NULL, at integer NOT NULL,
    expected text, actual text, PRIMARY KEY (deviceid, name, slot)
) WITHOUT ROWID;
"""

MIGRATIONS: Final = (_KUBEEDGE + _FROM_KUBEEDGE + _ADDED, _HISTORY)
"""Step n takes `PRAGMA user_version` n to n + 1; its statements end with a semicolon and hold none."""


def statements(step: str) -> list[str]:
    """The single statements of a step."""
    return [statement for part in step.split(";") if (statement := part.strip())]
