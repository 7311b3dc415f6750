"""The devices of a node that works alone, as its configuration names them: `inventory.py` for any devices.

python -m kubeedge_actors.edge --config node.yaml --data-dir E
"""

import msgspec

from kubeedge_actors import DeviceChanged, Module


class Devices(Module):
    """Makes devices members of this node."""

    name, emits = "devices", (DeviceChanged,)

    class Config(msgspec.Struct):
        """The devices, each as namespace/name."""

        devices: list[str]

    config: Config

    def on_start(self) -> None:
        """Say it at each start; what is known already stays."""
        for device in self.config.devices:
            namespace, _, name = device.partition("/")
            known = {"metadata": {"namespace": namespace, "name": name}}
            self.publish(DeviceChanged(operation="insert", type="device", object=known))
