"""Runs in an environment with pysunspec2: finds and reads a device again and again, tells processor time and points."""

import json
import sys
import time

from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP


def points(group, scope):
    found = {scope + name: point.cvalue for name, point in group.points.items()}
    for name, inner in group.groups.items():
        several = isinstance(inner, list)
        for index, one in enumerate(inner if several else [inner]):
            found |= points(one, f"{scope}{name}.{f'{index}.' if several else ''}")
    return found


def main(port, rounds):
    timings_ms = []
    device = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=20)
    for _ in range(rounds):
        since_s = time.process_time()
        device.scan()
        held = {
            path: value
            for key, same in device.models.items()
            if isinstance(key, int)
            for path, value in points(same[0], f"{key} ").items()
        }
        timings_ms.append(1000 * (time.process_time() - since_s))
    print(json.dumps({"ms": timings_ms, "points": held}))


main(int(sys.argv[1]), int(sys.argv[2]))
