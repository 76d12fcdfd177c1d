"""A device is steered through its models, holds what it was told as long as it is renewed, and then lets go."""

from collections.abc import Callable, Mapping

import pytest

from tests.twin.telemetry.sunspec_rig import (
    NOON,
    RATED_1000_KW,
    SETTINGS_123,
    SETTINGS_124,
    SETTINGS_704,
    SETTINGS_802,
    after,
    contents_of,
    device_of,
)
from twin.telemetry.modbus import RefusedError
from twin.telemetry.sunspec_control import (
    Followed,
    Plan,
    beat,
    carry_out,
    connect,
    limit_generation,
    release,
    set_power,
    set_reactive_power,
)
from twin.telemetry.sunspec_device import HEARTBEAT_PATIENCE_S, SunSpecDevice, WriteRefusedError
from twin.telemetry.sunspec_exchange import Ask, Write, run
from twin.telemetry.sunspec_model import load_model
from twin.telemetry.sunspec_types import Scalar, SunSpecError, Words

Models = Mapping[int, Mapping[str, Scalar]]
BY_704: Models = {702: RATED_1000_KW, 704: SETTINGS_704}
ONLY_PERCENT: Models = {
    702: RATED_1000_KW,
    704: {path: value for path, value in SETTINGS_704.items() if path not in ("WSet", "WSetRvrt")},
}
BY_123: Models = {121: {"WMax": 1_000_000, "WMax_SF": 2}, 123: SETTINGS_123}
BY_124: Models = {124: SETTINGS_124}
OWN_KW = -300.0


def steer(device: SunSpecDevice, p_kw: float, valid_s: float = 8.0, safe_kw: float | None = None) -> Followed:
    return run(carry_out(set_power(contents_of(device.answer), p_kw, valid_s, safe_kw=safe_kw)), device.answer)


def limit(device: SunSpecDevice, limit_kw: float, valid_s: float = 8.0, safe_kw: float | None = None) -> Followed:
    plan = limit_generation(contents_of(device.answer), limit_kw, valid_s, safe_kw=safe_kw)
    return run(carry_out(plan), device.answer)


@pytest.mark.parametrize("models", [BY_704, ONLY_PERCENT, BY_124], ids=["704", "704 percent", "124"])
@pytest.mark.parametrize("p_kw", [250.0, 0.0, -412.0])
def test_a_power_is_taken_held_as_long_as_it_is_renewed_and_then_left(models: Models, p_kw: float) -> None:
    device = device_of(models)
    for cycle in range(20):
        device.step(after(5 * cycle))
        followed = steer(device, p_kw)
        assert (followed.timeout_s, followed.differences) == (8, ())
        assert followed.held == pytest.approx(p_kw)
        assert device.p_kw(OWN_KW) == pytest.approx(p_kw)
    device.step(after(95 + 7.9))
    assert device.p_kw(OWN_KW) == pytest.approx(p_kw)
    device.step(after(95 + 8))
    assert device.p_kw(OWN_KW) == OWN_KW, "not renewed, so it does what it does on its own"


@pytest.mark.parametrize("models", [BY_704, BY_123], ids=["704", "123"])
def test_a_limit_is_taken_held_as_long_as_it_is_renewed_and_then_left(models: Models) -> None:
    device = device_of(models)
    for cycle in range(5):
        device.step(after(5 * cycle))
        followed = limit(device, 120.0)
        assert (followed.timeout_s, followed.differences) == (8, ())
        assert followed.held == pytest.approx(120.0)
        assert device.p_kw(OWN_KW) == pytest.approx(-120.0)
        assert device.p_kw(-90.0) == -90.0, "a limit does not ask for more than there is"
    device.step(after(28))
    assert device.p_kw(OWN_KW) == OWN_KW


@pytest.mark.parametrize("models", [BY_704, ONLY_PERCENT], ids=["watts", "percent"])
def test_on_expiry_a_device_goes_to_the_safe_setpoint_it_was_told(models: Models) -> None:
    device = device_of(models)
    steer(device, -400, safe_kw=-50)
    device.step(after(9))
    assert device.p_kw(OWN_KW) == pytest.approx(-50)
    limit(device, 200, safe_kw=30)
    steer(device, -400)
    assert device.p_kw(OWN_KW) == pytest.approx(-200)
    device.step(after(18))
    assert device.p_kw(OWN_KW) == pytest.approx(-30), "the power is left, the limit has become the safe one"


def test_each_setpoint_has_an_expiry_of_its_own() -> None:
    device = device_of(BY_704)
    limit(device, 100, valid_s=5)
    device.step(after(3))
    steer(device, -400, valid_s=5)
    device.step(after(6))
    assert device.p_kw(OWN_KW) == pytest.approx(-400), "renewing the power must not keep the limit alive"


def test_the_dead_man_is_written_first_and_what_enables_last() -> None:
    for models, plan_of in ((BY_704, set_power), (BY_123, limit_generation), (BY_124, set_power)):
        plan = plan_of(contents_of(device_of(models).answer), 10.0, 8.0)
        first, last = plan.settings[0][0], plan.settings[-1][0]
        assert first == plan.timer
        assert first.endswith("RvrtTms")
        assert last in ("WSetEna", "WMaxLim_Ena", "StorCtl_Mod")
        assert sum(len(write.words) for write in plan.writes) == sum(len(plan.words(path)) for path, _ in plan.settings)


def test_a_dead_man_is_never_longer_than_the_setpoint_is_valid() -> None:
    assert steer(device_of(BY_704), 1, valid_s=7.99).timeout_s == 7
    assert steer(device_of(BY_124), 1, valid_s=1e9).timeout_s == 65534, "as much as its register can hold"


def test_a_limit_above_the_rating_is_the_rating() -> None:
    assert limit(device_of(BY_123), 5000).held == 1000


def test_a_released_device_does_what_it_does_on_its_own_at_once() -> None:
    device = device_of(BY_704)
    plan = set_power(contents_of(device.answer), 100, 60)
    run(carry_out(plan), device.answer)
    assert run(carry_out(release(plan)), device.answer).as_sent
    assert device.p_kw(OWN_KW) == OWN_KW


def without(models: Models, *gone: str) -> Models:
    return {key: {path: value for path, value in values.items() if path not in gone} for key, values in models.items()}


@pytest.mark.parametrize(
    ("models", "act", "said"),
    [
        (without(BY_704, "WSetRvrtTms"), steer, r"704 has no dead-man in this device \(WSetRvrtTms .* for ever"),
        (without(BY_123, "WMaxLimPct_RvrtTms"), limit, "123 has no dead-man"),
        (without(BY_124, "InOutWRte_RvrtTms"), steer, "124 has no dead-man"),
        (without(BY_704, "WSetEna"), steer, "model 704 WSetEna: the device does not implement it"),
        (without(BY_704, "WMax"), limit, "its maximum power is not known"),
        (BY_123, steer, "neither WSet in model 704 nor model 124"),
        ({**BY_124, 702: RATED_1000_KW}, limit, "neither WMaxLimPct in model 704 nor model 123"),
        ({**BY_704, 802: {**SETTINGS_802, "LocRemCtl": 1}}, steer, "in local control"),
    ],
)
def test_what_a_device_cannot_do_is_refused_in_words(
    models: Models, act: Callable[[SunSpecDevice, float], Followed], said: str
) -> None:
    with pytest.raises(SunSpecError, match=said):
        act(device_of(models), 10.0)


def test_impossible_wishes_are_refused_in_words() -> None:
    with pytest.raises(SunSpecError, match=r"WSet: 1e\+15 is outside .* W"):
        steer(device_of(BY_704), -1e12)
    with pytest.raises(SunSpecError, match=r"cannot be valid for 0\.5 s"):
        steer(device_of(BY_704), 1, valid_s=0.5)
    with pytest.raises(SunSpecError, match="a limit is a magnitude, not -1 kW"):
        limit(device_of(BY_704), -1)
    with pytest.raises(SunSpecError, match=r"124 cannot be told what to return to \(0 kW\)"):
        steer(device_of(BY_124), 1, safe_kw=0)


def test_a_device_that_clips_is_found_out_by_reading_back() -> None:
    device = device_of(BY_704)

    def clipping(ask: Ask) -> Words:
        words = device.answer(ask)
        if isinstance(ask, Write):
            device.show(704, {"WSet": max(device.contents(704).number("WSet") or 0.0, -100_000)})
        return words

    plan = set_power(contents_of(device.answer), 400, 8)
    followed = run(carry_out(plan), clipping)
    assert not followed.as_sent
    assert followed.held == 100
    assert followed.differences == ("WSet holds -100000 instead of -400000",)


def test_a_heartbeat_follows_only_what_was_taken_and_counts_up() -> None:
    device = device_of({**BY_704, 802: SETTINGS_802})
    device.show(802, {"CtrlHb": 65533})
    contents = contents_of(device.answer)
    plan = set_power(contents, 100, 8)
    seen = []
    for _ in range(3):
        run(carry_out(plan, heartbeat=contents[802]), device.answer)
        seen.append(device.contents(802).values["CtrlHb"])
    assert seen == [65534, 0, 1]

    def deaf(ask: Ask) -> Words:
        return () if isinstance(ask, Write) and ask.address < contents[802].address else device.answer(ask)

    device.show(704, {"WSet": 0})
    assert not run(carry_out(plan, heartbeat=contents[802]), deaf).as_sent
    assert device.contents(802).values["CtrlHb"] == 1


def test_a_battery_that_no_longer_hears_the_heartbeat_stands_by_until_it_does() -> None:
    device = device_of({**BY_124, 802: SETTINGS_802})
    contents = contents_of(device.answer)
    run(carry_out(set_power(contents, 100, 3600), heartbeat=contents[802]), device.answer)
    device.step(after(HEARTBEAT_PATIENCE_S))
    assert device.p_kw(0) == 100
    device.step(after(HEARTBEAT_PATIENCE_S + 1))
    assert device.p_kw(0) == 0
    run(beat(contents[802]), device.answer)
    assert device.p_kw(0) == 100


def test_reactive_power_is_taken_and_left() -> None:
    vars_: dict[str, Scalar] = dict.fromkeys(("VarSet", "VarSetEna", "VarSetMod", "VarSetRvrtTms"), 0)
    device = device_of({**BY_704, 704: {**SETTINGS_704, **vars_, "VarSet_SF": 1}})
    followed = run(carry_out(set_reactive_power(contents_of(device.answer), 120, 8)), device.answer)
    assert (followed.held, followed.timeout_s, followed.as_sent) == (120, 8, True)
    assert (device.q_kvar(-5), device.p_kw(OWN_KW)) == (120, OWN_KW)
    assert device.contents(704).values["VarSet"] == -120_000, "injected is positive there"
    device.step(after(8))
    assert device.q_kvar(-5) == -5
    with pytest.raises(SunSpecError, match="it has no model 704"):
        set_reactive_power(contents_of(device_of(BY_123).answer), 1, 8)


def test_a_battery_bank_is_disconnected_and_connected() -> None:
    device = device_of({802: {**SETTINGS_802, "SetOp": 1}})
    bank = contents_of(device.answer)[802]
    assert run(connect(bank, connected=False), device.answer) == "DISCONNECTED"
    assert device.p_kw(50) == 0
    assert run(connect(bank, connected=True), device.answer) == "CONNECTED"
    assert device.p_kw(50) == 50
    with pytest.raises(SunSpecError, match="SetOp is not implemented"):
        run(connect(contents_of(device_of({802: SETTINGS_802}).answer)[802], connected=True), device.answer)


def test_a_battery_without_heartbeat_says_so() -> None:
    contents = contents_of(device_of({802: without({802: SETTINGS_802}, "CtrlHb")[802]}).answer)
    with pytest.raises(SunSpecError, match="no heartbeat in this device"):
        run(beat(contents[802]), lambda _: ())


@pytest.mark.parametrize(
    ("path", "words", "code"),
    [
        ("WSet", (1,), 2),
        ("WSetRvrtRem", (0, 1), 2),
        ("WSet_SF", (1,), 2),
        ("VarSet", (0, 1), 2),
        ("WSetEna", (7,), 3),
        ("WSet", (0x8000, 0), 3),
    ],
    ids=["half a point", "not writable", "a scale factor", "not implemented", "no such symbol", "a sentinel"],
)
def test_the_simulated_device_takes_whole_writable_points_only(path: str, words: tuple[int, ...], code: int) -> None:
    device = device_of(BY_704)
    before = device.registers
    place = device.contents(704).places[path]
    with pytest.raises(WriteRefusedError) as refused:
        device.write(Write(device.contents(704).address + place.start, words))
    assert refused.value.code == code
    assert device.registers == before
    with pytest.raises(RefusedError, match="illegal address"):
        device.write(Write(0, (1,)))


def test_the_remaining_time_is_shown() -> None:
    device = SunSpecDevice([load_model(key) for key in BY_704], list(BY_704.values()), NOON)
    steer(device, 100, valid_s=60)
    device.step(after(18))
    assert device.contents(704).values["WSetRvrtRem"] == 42


def test_a_plan_is_made_without_asking_the_device() -> None:
    plan: Plan = set_power(contents_of(device_of(BY_704).answer), 432.1, 7)
    # 704 stands at 40054; WSet is -432100 W in steps of 100 W, with the mode before it.
    assert plan.writes == (
        Write(40085, (0, 7)),
        Write(40084, (0,)),
        Write(40077, (1, 0xFFFF, 0x10000 - 4321)),
        Write(40076, (1,)),
    )
