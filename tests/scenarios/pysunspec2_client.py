"""Runs in an environment with pysunspec2, without gridhelm: reads a device, or writes points of one of its models.

pysunspec2_client.py PORT read            every model and point, as JSON
pysunspec2_client.py PORT write ID JSON   a list of [point, value], written in that order
"""

import json
import sys
from typing import Any

from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP  # type: ignore[import-not-found, unused-ignore]

PATIENCE_S = 20


def points(group: Any, scope: str = "") -> dict[str, Any]:
    """Path → value of every point below a group, scaled."""
    found = {scope + name: point.cvalue for name, point in group.points.items()}
    for name, inner in group.groups.items():
        several = isinstance(inner, list)
        for index, one in enumerate(inner if several else [inner]):
            found |= points(one, f"{scope}{name}.{f'{index}.' if several else ''}")
    return found


def main(port: str, action: str, model_id: str = "", settings: str = "[]") -> None:
    """Do `action`."""
    device = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=int(port), timeout=PATIENCE_S)
    device.scan()
    if action == "read":
        models = [model for key, same in device.models.items() if isinstance(key, int) for model in same]
        told = [
            {"id": model.model_id, "address": model.model_addr, "error": model.error_info, "points": points(model)}
            for model in models
        ]
        print(json.dumps(told))
    device.connect()
    for name, value in json.loads(settings):
        point = device.models[int(model_id)][0].points[name]
        point.cvalue = value
        point.write()
    device.disconnect()


main(*sys.argv[1:])
