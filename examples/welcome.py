"""A controller of the cloud: a node that joins gets the labels of its site.

python -m kubeedge_actors.cloud --config cloud.yaml --data-dir C
"""

from typing import Any

import msgspec

from kubeedge_actors import Module, NodeConnected, on

AGAIN = 2.0
"""Seconds until the next attempt."""


class Welcome(Module):
    """The site of a node is told by its name, up to the last hyphen: `press-7` is at the site `press`."""

    name, uses = "welcome", ("v1/nodes",)

    class Config(msgspec.Struct):
        """Labels by site."""

        sites: dict[str, dict[str, str]]

    config: Config

    @on
    def on_node_connected(self, joined: NodeConnected) -> None:
        """Patch its Node; nobody waits for the answer. One that joins for the first time makes its Node a moment later: tried again."""
        labels = self.config.sites.get(joined.node.rpartition("-")[0])
        if labels:
            patch = {"metadata": {"labels": labels}}
            done = self.client.patch("v1/nodes", "", joined.node, patch)
            done.then(self.labelled, lambda error: self.after(AGAIN, joined))

    def labelled(self, node: dict[str, Any]) -> None:
        """It is done."""
        self.log.info("%s has joined: %s", node["metadata"]["name"], node["metadata"].get("labels"))
