"""A hall with its cooling: one of five technologies in the hall, one plant (or two) that takes the heat outdoors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, cast

from annotated_types import Ge, Gt

from twin.cooling.duty import Duty, duty
from twin.cooling.hall import Nodes, held_kwh_per_kw, warmed
from twin.cooling.plants import HallPlant
from twin.cooling.stream import Stream, joined
from twin.cooling.technologies import HallTechnology
from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.noise import Seed
from twin.numeric import Num, clip, count_true, larger, ratio, smaller, where
from twin.quick import quick
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather

Q_PER_P = 0.426
"""Motors behind drives at a power factor of 0.92."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class HallState:
    """What of the past the hall still feels."""

    above_supply_k: Nodes
    """Rack, row and hall above facility water, as far as the load did it."""
    excess_kwh: Num
    """Heat that the plant could not take, and the hall still holds."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """Heat that stayed in the hall, over one step."""

    end_kwh: Num
    unmet_kwh: Num
    """What found no room: the hall is so warm that its equipment throttles."""
    back_fraction: Num
    """Of the step, in which the plant fetches heat back."""
    over_limit_fraction: Num
    """Of the step, in which the inlet temperature is above its limit."""


def above_fraction(start: Num, end: Num, level: Num) -> Num:
    """Of a straight way from `start` to `end`: the part above `level`."""
    top, bottom = larger(start, end), smaller(start, end)
    return clip(ratio(top - level, top - bottom, count_true(top > level)), 0.0, 1.0)


def charge(loop: Stream, work: Duty, rated_kw: Num) -> Num:
    """Power for each kW of heat that comes earlier or later than the load that it belongs to.

    The present mean, above idling; and no more than brings the plant to its rated power when all of a rated load that
    has just ended is still to come.
    """
    mean = ratio(work.held.electric_kw - work.idle.electric_kw, loop.heat_kw)
    free_kw = larger(rated_kw - larger(work.held.electric_kw, work.more.electric_kw), 0.0)
    return smaller(mean, free_kw / (LATE_RATIO * loop.rated_heat_kw))


LATE_RATIO = 1.1
"""Heat of the equipment with its fans and pumps, at most, over rated heat."""
MOST_L_PER_KWH = 2.5
"""Water for each kWh, at most, of heat that comes late; see `twin.cooling.water`."""


@DEVICES.add("hall_cooling")
@dataclass(frozen=True, slots=True, kw_only=True)
class HallCooling:
    """Takes the heat of what it serves, a little later than it arises, and knows how warm that makes the hall.

    The technology holds the inlet temperature (`inlet_c`: air, coolant or bath at the equipment) by asking the plant
    for water of some temperature. Where the plant cannot give it, the loop first warms within the technology's limit;
    what is left then heats the hall, which is counted (`over_limit_h`) and fetched back later. A hall that is
    `shut_off_k` above its limit holds no more: the equipment would throttle, and the heat is `unmet_heat_kwh`.

    Notes
    -----
    Heat reaches the plant through a network of rack, row and hall (`twin.cooling.hall`). Within a step the plant runs
    at the steady load; heat that comes later or earlier than that is charged at the present mean of power and water
    for each kW (see `charge`). So a step is exact: two halves are one; but for the time above the limit, which goes by
    a straight way through the step, and is exact while the load is steady. Temperatures of the network count from
    facility water; what its drift with weather and part load stores is left out (some 0.1 kWh for each kW of rated
    heat in a day of 20 K). Heat that comes late when no load is left is taken, and not charged.

    Server fans are within the power of what it serves, up to 25 °C inlet; what they draw beyond that is in `p_kw`.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = None
    account: ClassVar[Account] = Account.COOLING
    setpoint: ClassVar[str | None] = None
    instruments: ClassVar[tuple[str, ...]] = ("heat_kw", "supply_c", "inlet_c")
    example: ClassVar[Mapping[str, Any]] = {
        "type": "hall_cooling",
        "bus": "cooling",
        "serves": ["hall"],
        "rated_heat_kw": 1500,
        "technology": {"cold_plate": {"residual_air_fraction": 0.15}},
        "plant": {"dry_coolers": {"rated_heat_kw": 1600, "pump_kw": 10, "fan_kw": 60}},
        "air_plant": {
            "chillers": {
                "rated_heat_kw": 300,
                "chiller_count": 2,
                "tower": {"rated_heat_kw": 360, "fan_kw": 5, "pump_kw": 4},
                "economiser": "integrated",
                "pump_kw": 3,
            }
        },
    }

    type: Literal["hall_cooling"] = "hall_cooling"
    bus: str
    serves: tuple[str, ...]
    """Devices whose heat it takes."""
    rated_heat_kw: Annotated[float, Gt(0)]
    """Of the equipment; pumps, fans and exchangers of the hall are sized for it."""
    technology: HallTechnology
    plant: HallPlant
    """Takes the heat of the hall, or of its liquid where there is an `air_plant`."""
    air_plant: HallPlant | None = None
    """Takes the heat of the air beside cold plates, colder than the liquid can be."""
    inlet_c: float | None = None
    """Held at the equipment; the technology's own temperature if not given."""
    shut_off_k: Annotated[float, Gt(0)] = 10.0
    """Above the limit of the inlet temperature, where the equipment throttles."""
    fetch_fraction: Annotated[float, Ge(0)] = 0.25
    """Rate, of rated heat, at which the plant fetches back heat that stayed in the hall."""

    def __post_init__(self) -> None:
        if self.inlet_c is not None and self.technology.two_phase is not None:
            raise ValueError("no inlet_c: a two-phase bath is as warm as its fluid boils")
        if self.air_plant is not None and self.technology.cold_plate is None:
            raise ValueError("no air_plant: only cold plates leave heat to the air beside them")

    @property
    def rated_kw(self) -> float:
        """All fans and pumps of the hall, at the warmest inlet, and all plants at full power."""
        hall_kw = self.rated_heat_kw * self.technology.chosen.hall_electric_fraction
        return hall_kw + self.plant.rated_kw + (self.air_plant.rated_kw if self.air_plant else 0.0)

    @property
    def free_setpoint(self) -> float:
        return 0.0

    @property
    def safe_setpoint(self) -> float:
        return 0.0

    def initial(self) -> HallState:
        return HallState(above_supply_k=(0.0, 0.0, 0.0), excess_kwh=0.0)

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        return {"dry_bulb_c": weather.dry_bulb_c, "wet_bulb_c": weather.wet_bulb_c}

    def step(
        self, state: HallState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[HallState]:
        heat_kw: Num = 0.0
        for item in served:
            heat_kw = heat_kw + item.heat_kw
        hours, thermal = step_s / SECONDS_PER_HOUR, self.technology.chosen.thermal
        loops = self._loops(heat_kw, drive["dry_bulb_c"], drive["wet_bulb_c"])
        duties = self._duties(loops, drive["dry_bulb_c"], drive["wet_bulb_c"])
        through_kw: Num = 0.0
        for loop in loops:
            through_kw = through_kw + loop.heat_kw + loop.outdoor_kw
        above_k = warmed(thermal, state.above_supply_k, through_kw / self.rated_heat_kw, step_s)
        kept_kwh_per_kw = held_kwh_per_kw(thermal, above_k) - held_kwh_per_kw(thermal, state.above_supply_k)
        arriving = ratio(through_kw - kept_kwh_per_kw * self.rated_heat_kw / hours, through_kw)
        excess = self._excess(state.excess_kwh, loops, duties, arriving, hours)
        p_kw, water_l_per_h, rejected_kw, clamped = self._used(loops, duties, arriving, excess.back_fraction)
        return Step(
            state=HallState(above_supply_k=above_k, excess_kwh=excess.end_kwh),
            p_kw=p_kw,
            q_kvar=p_kw * Q_PER_P,
            points={
                "heat_kw": heat_kw,
                "rejected_kw": rejected_kw,
                **self._temperatures(loops[0], duties[0], above_k, excess.end_kwh),
            },
            amounts={
                "water_l": water_l_per_h * hours,
                "unmet_heat_kwh": excess.unmet_kwh,
                "over_limit_h": excess.over_limit_fraction * hours,
                "clamped_h": clamped * hours,
            },
        )

    def _held_inlet_c(self) -> Num:
        return self.technology.chosen.inlet_c if self.inlet_c is None else self.inlet_c

    def _loops(self, heat_kw: Num, dry_bulb_c: Num, wet_bulb_c: Num) -> tuple[Stream, ...]:
        """One loop of facility water for each plant."""
        streams = self.technology.chosen.streams(
            heat_kw,
            rated_heat_kw=self.rated_heat_kw,
            inlet_c=self._held_inlet_c(),
            dry_bulb_c=dry_bulb_c,
            wet_bulb_c=wet_bulb_c,
        )
        return streams if self.air_plant is not None else (joined(streams),)

    def _duties(self, loops: Sequence[Stream], dry_bulb_c: Num, wet_bulb_c: Num) -> list[Duty]:
        """What stayed in the hall is fetched back by the plant of the first loop."""
        extra_kw = self.fetch_fraction * self.rated_heat_kw
        duties = [duty(self.plant.chosen, loops[0], extra_kw, dry_bulb_c, wet_bulb_c)]
        if self.air_plant is not None:
            duties += [duty(self.air_plant.chosen, loop, None, dry_bulb_c, wet_bulb_c) for loop in loops[1:]]
        return duties

    def _kwh_per_k(self) -> Num:
        return sum(self.technology.chosen.thermal.kwh_per_k_per_kw) * self.rated_heat_kw

    def _excess(
        self, start_kwh: Num, loops: Sequence[Stream], duties: Sequence[Duty], arriving: Num, hours: float
    ) -> Excess:
        """Heat left in the hall grows or shrinks, down to none and up to what the hall holds."""
        short_kw: Num = 0.0
        margin_k = loops[0].margin_k - duties[0].warmer_k
        for loop, one in zip(loops, duties, strict=True):
            short_kw = short_kw + one.short_kw
            margin_k = smaller(margin_k, loop.margin_k - one.warmer_k)
        spare_kw = larger(duties[0].more.taken_kw - duties[0].held.taken_kw, 0.0)
        spare_kw = where(short_kw > 0.0, 0.0, spare_kw)
        back_h = smaller(ratio(start_kwh, spare_kw), hours)
        free_kwh = larger(start_kwh + short_kw * arriving * hours - spare_kw * back_h, 0.0)
        limit_kwh = self._kwh_per_k() * margin_k
        end_kwh = smaller(free_kwh, larger(start_kwh, limit_kwh + self._kwh_per_k() * self.shut_off_k))
        above = above_fraction(start_kwh, free_kwh, limit_kwh)
        return Excess(
            end_kwh=end_kwh,
            unmet_kwh=free_kwh - end_kwh,
            back_fraction=back_h / hours,
            over_limit_fraction=above * where(spare_kw > 0.0, back_h / hours, 1.0),
        )

    def _used(
        self, loops: Sequence[Stream], duties: Sequence[Duty], arriving: Num, back: Num
    ) -> tuple[Num, Num, Num, Num]:
        """Mean power, water and heat given away in the step, and whether a model was used beyond its range."""
        p_kw: Num = 0.0
        water_l_per_h: Num = 0.0
        rejected_kw: Num = 0.0
        clamped: Num = 0.0
        for loop, plant, one in zip(loops, (self.plant, self.air_plant), duties, strict=False):
            held, more, late_kw = one.held, one.more, (arriving - 1.0) * loop.heat_kw
            p_kw = p_kw + loop.electric_kw + held.electric_kw + (more.electric_kw - held.electric_kw) * back
            p_kw = p_kw + late_kw * charge(loop, one, cast(HallPlant, plant).rated_kw)
            water_l_per_h = water_l_per_h + larger(more.water_l_per_h - held.water_l_per_h, 0.0) * back
            water_l_per_h = water_l_per_h + held.water_l_per_h
            water_l_per_h = water_l_per_h + late_kw * smaller(ratio(held.water_l_per_h, loop.heat_kw), MOST_L_PER_KWH)
            rejected_kw = rejected_kw + (loop.outdoor_kw + held.taken_kw) * arriving
            rejected_kw = rejected_kw + larger(more.taken_kw - held.taken_kw, 0.0) * back
            clamped = larger(clamped, held.clamped)
        return p_kw, water_l_per_h, rejected_kw, clamped

    def _temperatures(self, loop: Stream, work: Duty, above_k: Nodes, excess_kwh: Num) -> Values:
        warmer_k = work.warmer_k + excess_kwh / self._kwh_per_k()
        supply_c = loop.supply_c + warmer_k
        return {
            "supply_c": supply_c,
            "return_c": supply_c + above_k[2],
            "inlet_c": self._held_inlet_c() + warmer_k,
            "rack_c": supply_c + above_k[0],
        }

    def flexibility(self, values: Values) -> None:
        return None
