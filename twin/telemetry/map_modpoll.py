"""A configuration of modpoll (CSV) as a draft of a register map.

Rows are ``device,name,unit id``, ``poll,table,start,size,order`` and ``ref,name,address,type,rw,unit,scale``;
an order is that of bytes, then that of words. Source: gavinying/modpoll, modpoll/modbus_task.py.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any

from twin.telemetry.map_draft import ORDERS, Draft, Found, draft

TABLES = {"coil": "coil", "discrete_input": "discrete", "holding_register": "holding", "input_register": "input"}
BYTE_ORDERS = {"BE_BE": ORDERS["ABCD"], "BE_LE": ORDERS["CDAB"], "LE_BE": ORDERS["BADC"], "LE_LE": ORDERS["DCBA"]}
NUMBERS = ("int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64")


def from_modpoll(text: str, title: str) -> Draft:
    """A draft from a configuration file. Raises `ValueError` with the line of what is not understood."""
    found: list[Found] = []
    left_out: list[str] = []
    units: list[tuple[str, int]] = []
    poll: Sequence[str] = ()
    for line, row in enumerate(csv.reader(text.splitlines()), start=1):
        cells = [cell.strip() for cell in row]
        try:
            if not cells or not cells[0]:
                continue
            if "device" in cells[0].lower():
                units.append((cells[1], int(cells[2], 0)))
            elif "poll" in cells[0].lower():
                poll = _poll(cells)
            elif "ref" in cells[0].lower():
                taken = list(_registers(cells, poll, units[-1][1] if units else None))
                found += taken
                left_out += [] if taken else [f"{cells[1]}: its type {cells[3]}"]
        except (IndexError, ValueError, KeyError) as error:
            raise ValueError(f"line {line}: {','.join(row)} is not understood ({error})") from None
    if not found:
        raise ValueError("no ref row under a poll row")
    several = len({unit for _, unit in units}) > 1
    shown = [item if several else _without_unit(item) for item in found]
    remarks = [f"{name} answers as unit id {unit}" for name, unit in units]
    return draft(title, shown, remarks=remarks, left_out=left_out)


def _poll(cells: Sequence[str]) -> Sequence[str]:
    if cells[1].lower() not in TABLES or cells[4].upper() not in BYTE_ORDERS:
        raise ValueError(f"expected one of {', '.join(TABLES)}, and an order of {', '.join(BYTE_ORDERS)}")
    return cells


def _registers(cells: Sequence[str], poll: Sequence[str], unit_id: int | None) -> Iterator[Found]:
    """What a ref row stands for: one register, or the eight bits of a byte of coils."""
    name, address, kind = cells[1], int(cells[2], 0), cells[3].lower()
    table, start = TABLES[poll[1].lower()], int(poll[2], 0)
    keys: dict[str, Any] = {"table": table, "unit_id": unit_id}
    if table in ("coil", "discrete"):
        first = start + 8 * (address - start)
        yield from (_bit(f"{name}_{at}", keys | {"address": at}) for at in range(first, first + 8))
        return
    scale = float(cells[6]) if len(cells) > 6 and cells[6] else None
    unit = cells[5] if len(cells) > 5 and cells[5] else None
    keys |= {"address": address, "scale": scale, **BYTE_ORDERS[poll[4].upper()]}
    if kind in NUMBERS:
        yield Found(name=name, unit=unit, keys=keys | {"type": kind})
    elif kind.startswith("string"):
        yield Found(name=name, unit=None, keys=keys | {"type": "string", "length": (int(kind[6:] or 2) + 1) // 2})


def _bit(name: str, keys: dict[str, Any]) -> Found:
    return Found(name=name, unit=None, keys=keys | {"type": "bit"})


def _without_unit(item: Found) -> Found:
    return Found(name=item.name, unit=item.unit, keys=dict(item.keys) | {"unit_id": None})
