"""What stands in a device's registers arrives as it is meant, or is marked for what it is."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.twin.telemetry.telemetry_rig import (
    NOON,
    Request,
    controlling,
    free_port,
    modbus,
    read_until,
    scripted,
    serving,
    site_of,
    snapshot,
)
from twin.errors import InputError
from twin.points import Quality, Snapshot
from twin.telemetry.register_map import HOUSE_MAPS, Register, read_map

pytestmark = pytest.mark.sockets
MAPS = sorted(path.stem for path in HOUSE_MAPS.glob("*.yaml"))


def resolution(register: Register) -> float:
    reach = max(abs(register.min), abs(register.max))
    return 1e-6 * reach if register.type == "float32" else 0.51 * register.scale


@pytest.mark.parametrize("name", MAPS)
def test_every_point_of_every_map_goes_round_with_sign_and_sentinel(name: str) -> None:
    parsed = read_map(HOUSE_MAPS / f"{name}.yaml")
    points = {point: item for point, item in parsed.points.items() if isinstance(item, Register)}
    site = site_of({"link": modbus("device", name, free_port())})
    with serving(site) as server, controlling(site) as plant:
        for share in (0.02, 0.35, 0.98):
            shown = {point: item.min + share * (item.max - item.min) for point, item in points.items()}
            server.show(snapshot(device=shown))
            seen = read_until(plant, lambda image: not image.lost)
            for point, register in points.items():
                reading = seen.readings[f"device.{point}"]
                assert reading.quality is Quality.GOOD
                assert reading.value == pytest.approx(shown[point], abs=resolution(register))
        server.show(snapshot(device={"p_kw": 1.0}))
        silent = plant.read(NOON)
        for point in points.keys() - {"p_kw"}:
            reading = silent.readings[f"device.{point}"]
            assert (reading.quality, reading.reason) == (Quality.BAD, "the device says that it has no value")
        assert "device" not in silent.lost


def test_what_was_never_shown_is_no_reading() -> None:
    site = site_of({"link": modbus("device", "grid_meter", free_port())})
    with serving(site), controlling(site) as plant:
        image = read_until(plant, lambda image: "no value" in image.lost.get("device", ""))
        assert not image.readings


def test_the_energy_counter_is_fine_enough_for_a_demand_interval_and_wide_enough_for_a_century() -> None:
    site = site_of({"link": modbus("grid", "grid_meter", free_port())})
    century_kwh, demand_kw = 10_000 * 24 * 365 * 100.0, 3912.345
    with serving(site) as server, controlling(site) as plant:
        counters_kwh = []
        for kwh in (century_kwh, century_kwh + demand_kw * 900 / 3600):
            server.show(snapshot(grid={"import_kwh": kwh}))
            image = read_until(plant, lambda image: not image.lost)
            counters_kwh.append(image.readings["grid.import_kwh"].value)
    assert (counters_kwh[1] - counters_kwh[0]) * 4 == pytest.approx(demand_kw, abs=0.01)


def test_two_units_behind_one_gateway_are_told_apart() -> None:
    port = free_port()
    site = site_of({"a": modbus("a", "genset", port, unit_id=1), "b": modbus("b", "ups", port, unit_id=7)})
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(a={"p_kw": -1500.0, "fuel_l": 12.3}, b={"p_kw": 44.0, "load_kw": 900.0}))
        image = read_until(plant, lambda image: not image.lost)
        shown = {point: image.readings[point].value for point in ("a.p_kw", "a.fuel_l", "b.p_kw", "b.load_kw")}
        assert shown == pytest.approx({"a.p_kw": -1500.0, "a.fuel_l": 12.3, "b.p_kw": 44.0, "b.load_kw": 900.0})


def test_an_unknown_unit_is_named_as_silent() -> None:
    port = free_port()
    served = site_of({"a": modbus("a", "ups", port, unit_id=1)})
    asked = site_of({"a": modbus("a", "ups", port, unit_id=1), "b": modbus("b", "ups", port, unit_id=9)})
    with serving(served) as server, controlling(asked) as plant:
        server.show(snapshot(a={"p_kw": 4.0}))
        image = read_until(plant, lambda image: "a" not in image.lost and "does not answer" in image.lost.get("b", ""))
        assert image.lost["b"] == (f"b: Modbus 127.0.0.1:{port} unit 9: the device behind the gateway does not answer")


@pytest.mark.parametrize("words", [(1, 2, 3, 4, 5, 6), (1, 2, 3, 4), ()], ids=["longer", "shorter", "empty"])
def test_a_reply_of_another_length_than_asked_is_refused(words: tuple[int, ...]) -> None:
    with scripted(lambda request: request.registers(*words)) as device:
        site = site_of({"link": modbus("office", "load_meter", device.port)})
        with controlling(site) as plant:
            image = read_until(plant, lambda image: "registers instead of 5" in image.lost.get("office", ""))
            assert f"answered {len(words)} registers instead of 5 reading input 0..4" in image.lost["office"]
            assert not image.readings


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "illegal function"),
        (2, "illegal address"),
        (3, "illegal value"),
        (4, "device failure"),
        (6, "device busy"),
        (10, "gateway path unavailable"),
        (11, "the device behind the gateway does not answer"),
        (99, "exception 99"),
    ],
)
def test_exceptions_are_told_in_words(code: int, words: str) -> None:
    with scripted(lambda request: request.exception(code)) as device:
        site = site_of({"link": modbus("office", "load_meter", device.port)})
        with controlling(site) as plant:
            image = read_until(plant, lambda image: words in image.lost.get("office", ""))
            assert f"Modbus 127.0.0.1:{device.port} unit 1: {words}" in image.lost["office"]


def test_one_refused_block_costs_only_its_own_points() -> None:
    def answer(request: Request) -> bytes:
        return request.exception(2) if request.function == 4 else request.registers(*[100] * request.count)

    with scripted(answer) as device:
        site = site_of({"link": modbus("genset", "genset", device.port)})
        with controlling(site) as plant:
            image = read_until(plant, lambda image: not image.lost)
            assert image.readings["genset.p_kw"].value == pytest.approx(-10.0)
            assert "genset.fuel_l" not in image.readings


def test_an_implausible_value_is_bad_and_says_so() -> None:
    site = site_of({"link": modbus("battery", "battery_inverter", free_port())})
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(battery={"p_kw": 21_000.0, "v_pu": 1.0}))
        image = read_until(plant, lambda image: not image.lost)
        assert image.readings["battery.p_kw"].quality is Quality.BAD
        assert "outside the plausible range" in image.readings["battery.p_kw"].reason
        assert image.readings["battery.v_pu"].quality is Quality.GOOD


def test_a_value_that_does_not_change_does_not_grow_old() -> None:
    site = site_of({"link": modbus("office", "load_meter", free_port())})
    with serving(site) as server, controlling(site) as plant:
        server.show(snapshot(office={"p_kw": 200.0}))
        later = NOON + timedelta(hours=1)
        image: Snapshot = read_until(plant, lambda image: not image.lost, later)
        assert image.age_s("office.p_kw") == 0.0
        assert image.readings["office.p_kw"].quality is Quality.GOOD


@pytest.mark.parametrize(("max_age_s", "taken"), [({}, False), ({"office": 90.0}, True)])
def test_a_group_that_is_read_less_often_than_its_values_live_is_refused(
    max_age_s: dict[str, float], taken: bool, tmp_path: Path
) -> None:
    text = (HOUSE_MAPS / "load_meter.yaml").read_text() + "groups: {slow: {period_s: 60}}\n"
    (tmp_path / "slow.yaml").write_text(text.replace("min: 0.5,", "min: 0.5, group: slow,"))
    site = site_of({"link": modbus("office", "slow.yaml", free_port())}, max_age_by_device_s=max_age_s)
    if taken:
        with controlling(site, tmp_path / "site.yaml") as plant:
            assert plant.read(NOON).lost
    else:
        with pytest.raises(InputError, match=r"group slow every 60 s, where 30 s is stale"):
            controlling(site, tmp_path / "site.yaml").__enter__()


def test_a_value_that_jumps_once_costs_one_reading_and_a_true_jump_is_believed_a_reading_later(tmp_path: Path) -> None:
    text = (HOUSE_MAPS / "load_meter.yaml").read_text().replace("max: 50000}", "max: 50000, max_rate_per_s: 100}", 1)
    (tmp_path / "calm.yaml").write_text(text)
    site = site_of({"link": modbus("office", "calm.yaml", free_port())})
    with serving(site, tmp_path / "site.yaml") as server, controlling(site, tmp_path / "site.yaml") as plant:
        server.show(snapshot(office={"p_kw": 200.0}))
        read_until(plant, lambda image: not image.lost)
        seen = []
        for cycle, power_kw in enumerate((210.0, 4000.0, 220.0, 230.0, 4000.0, 4010.0, 4020.0), start=1):
            server.show(snapshot(office={"p_kw": power_kw}))
            seen.append(plant.read(NOON + timedelta(seconds=cycle)).readings["office.p_kw"])
    good = [reading.quality is Quality.GOOD for reading in seen]
    assert good == [True, False, True, True, False, True, True]
    assert "jumped by 3790 within 1 s" in seen[1].reason
    assert seen[1].value == 210.0
