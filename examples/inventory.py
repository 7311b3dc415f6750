"""The devices of a node that works alone. With a cloud, their Device objects say the same, and this module is not needed.

Run it with `python -m kubeedge_actors.edge --name edge-1 --data-dir E --module inventory:Inventory` from this folder.
"""

from kubeedge_actors import DeviceChanged, Module


class Inventory(Module):
    """Makes a thermometer a member of this node."""

    name, group = "inventory", "user"
    emits = (DeviceChanged,)

    def on_start(self) -> None:
        """Say it at each start; what is known already stays."""
        device = {"metadata": {"namespace": "default", "name": "t1"}}
        self.publish(DeviceChanged(operation="insert", type="device", object=device))
