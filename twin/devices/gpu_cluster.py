"""A hall of GPUs as a fluid: work of several classes arrives, waits, is done under a power budget, or is missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MinLen

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
from twin.devices.gpu_hardware import Fleet, Hardware, Inlet
from twin.flexibility import Envelope
from twin.noise import Seed
from twin.numeric import Num, clip, larger, smaller
from twin.quick import quick
from twin.units import SECONDS_PER_HOUR
from twin.weather import Weather
from twin.workload import Workload, due_gpus, wanted_gpus

W_PER_KW = 1000.0
ROUNDING_GPU_H = 1e-6
"""What sums of a year may be off by; less than this is not late."""


def undone_gpus(wanted: Sequence[Num], firm: Sequence[Num], spare: Num) -> list[Num]:
    """GPUs that each class goes without: it gets what is firm, and what is spare in the order of the classes."""
    undone: list[Num] = []
    for gpus, kept in zip(wanted, firm, strict=True):
        more = gpus - kept
        extra = smaller(spare, more)
        spare = spare - extra
        undone.append(more - extra)
    return undone


@cache
def mean_speed(hardware: tuple[Hardware, ...]) -> float:
    """Work per time of all GPUs, of that without power limits; kept, since every cycle asks for it."""
    return Fleet(hardware=hardware).speed_fraction


@cache
def warm_ratio(hardware: tuple[Hardware, ...], inlet_c: float) -> float:
    """Active power at an inlet temperature, of that at the reference; kept as `mean_speed` is."""
    fleet = Fleet(hardware=hardware)
    return float(fleet.active_w(inlet_c) / fleet.active_w())


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """Work that waits, one number for each class of work, in the order of the site file."""

    backlog_gpu_h: tuple[Num, ...]
    """Arrived, neither done nor missed."""
    not_due_gpu_h: tuple[Num, ...]
    """Arrived within the class's slack, done or not: the backlog may never be more than this."""


REQUIRED = ("gpu_count", "idle_w_per_gpu", "active_w_per_gpu")
"""What the file says, or `hardware`."""


@DEVICES.add("gpu_cluster")
@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCluster:
    """Does as much of the wanted work as its power budget and its GPUs allow.

    Each class waits in a queue of its own, first in first out. The budget is met by slowing the last
    class of the file first, and none below its tier, ``(1 - max_throughput_loss_fraction)`` of what it
    wants at present: a budget below that floor (`firm_kw`) is not met. Spare budget goes to the classes
    in the order of the file, new work and backlog alike. Work that is not done `slack_h` after its
    arrival is missed, and leaves the queue.

    Notes
    -----
    Power is linear in busy GPUs, ``idle · count + (active - idle) · busy``. Idle and active power are written in the
    file or follow from `hardware`; what is written wins, as a meter does over a catalogue. Where the nodes feel the
    weather (`inlet`), both are series that `drive` works out beforehand. A power limit on the GPUs lowers their active
    power and the work they can do, which counts in GPUs of full speed.

    Within a step the work rates are constant, so that done work is ``min(backlog + arriving, capacity)`` exactly.
    Overdue work is what exceeds the arrivals of the last `slack_h`, which needs no memory of single arrivals.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = Group.COMPUTE
    account: ClassVar[Account] = Account.IT
    setpoint: ClassVar[str | None] = "limit_kw"
    instruments: ClassVar[tuple[str, ...]] = ("demand_kw", "firm_kw", "limit_kw", "backlog_gpu_h")
    example: ClassVar[Mapping[str, Any]] = {
        "type": "gpu_cluster",
        "bus": "hall",
        "hardware": [
            {"gpu": "H100_SXM", "count": 768, "nodes_of": 8},
            {"gpu": "A100_SXM", "count": 256, "nodes_of": 8, "power_limit_w": 300},
        ],
        "inlet": {"min_c": 18, "max_c": 27, "above_outdoor_k": 3},
        "workloads": [
            {"name": "inference", "mean_utilisation": 0.3, "max_throughput_loss_fraction": 0, "slack_h": 0},
            {"name": "training", "mean_utilisation": 0.4, "max_throughput_loss_fraction": 0.25, "slack_h": 12},
            {"name": "batch", "mean_utilisation": 0.2, "max_throughput_loss_fraction": 1, "slack_h": 24},
        ],
    }

    type: Literal["gpu_cluster"] = "gpu_cluster"
    bus: str
    gpu_count: Annotated[int, Ge(1)] = field(default=None)  # type: ignore[assignment]
    """Without it, the sum over `hardware`."""
    idle_w_per_gpu: Annotated[float, Ge(0)] = field(default=None)  # type: ignore[assignment]
    """Share of its node's power at rest: GPU, host, fans. Without it, from `hardware`."""
    active_w_per_gpu: Annotated[float, Gt(0)] = field(default=None)  # type: ignore[assignment]
    """Share of its node's power under load. Without it, from `hardware`."""
    hardware: tuple[Hardware, ...] = ()
    """What stands in the hall, kind by kind."""
    inlet: Inlet | None = None
    """Air that the nodes draw in, where it follows the weather; needs `hardware`. Without it 22 °C."""
    compute_fraction: Annotated[float, Gt(0), Le(1)] | None = None
    """Of the hall's power, what reaches processors, memory and network, behind server fans and power supplies: for TUE.
    Without it, from `hardware`; without either, TUE is not told."""
    ramp_s: Annotated[float, Ge(0)] = 20.0
    """Time in which power follows a new budget; the twin's steps are longer, so only the emulator uses it."""
    safe_limit_fraction: Annotated[float, Ge(0), Le(1)] = 1.0
    """Power budget when it hears nothing, of rated power."""
    workloads: Annotated[tuple[Workload, ...], MinLen(1)]
    """Classes of work, the most flexible last."""

    def __post_init__(self) -> None:
        names = [work.name for work in self.workloads]
        if len(set(names)) < len(names):
            raise ValueError("workloads with different names")
        self._complete()
        if self.active_w_per_gpu <= self.idle_w_per_gpu:
            raise ValueError(f"active_w_per_gpu above idle_w_per_gpu, which is {self.idle_w_per_gpu:g}")
        for inlet_c in () if self.inlet is None else (self.inlet.min_c, self.inlet.max_c):
            idle_w, active_w = self._watts(inlet_c)
            if active_w <= idle_w:
                raise ValueError(f"active_w_per_gpu above idle_w_per_gpu at an inlet of {inlet_c:g} °C too")

    def _complete(self) -> None:
        """What the file leaves to `hardware`: from here on every figure is there."""
        derived = self._derived()
        missing = [name for name in REQUIRED if getattr(self, name) is None]
        if missing and not derived:
            raise ValueError(f"{', '.join(missing)}, or hardware")
        if self.inlet is not None and not derived:
            raise ValueError("inlet with hardware: without it power does not follow the temperature")
        for name in missing:
            object.__setattr__(self, name, derived[name])
        if self.compute_fraction is None and derived:
            object.__setattr__(self, "compute_fraction", derived["compute_fraction"])
        if derived and self.gpu_count != derived["gpu_count"]:
            raise ValueError(f"gpu_count the sum over hardware, {derived['gpu_count']}, not {self.gpu_count}")

    def _derived(self) -> Mapping[str, Any]:
        if not self.hardware:
            return {}
        fleet = Fleet(hardware=self.hardware)
        return {
            "gpu_count": fleet.gpu_count,
            "idle_w_per_gpu": float(fleet.idle_w()),
            "active_w_per_gpu": float(fleet.active_w()),
            "compute_fraction": fleet.compute_fraction,
        }

    def _watts(self, inlet_c: Num) -> tuple[Num, Num]:
        """Idle and active power per GPU at an inlet temperature: the parameters, scaled as `hardware` says."""
        fleet = Fleet(hardware=self.hardware)
        idle_ratio, active_ratio = fleet.idle_w(inlet_c) / fleet.idle_w(), fleet.active_w(inlet_c) / fleet.active_w()
        return self.idle_w_per_gpu * idle_ratio, self.active_w_per_gpu * active_ratio

    @property
    def serves(self) -> Sequence[str]:
        return ()

    @property
    def rated_kw(self) -> float:
        """All GPUs busy, at the warmest inlet."""
        warmest_ratio = 1.0 if self.inlet is None else warm_ratio(self.hardware, self.inlet.max_c)
        return self.gpu_count * self.active_w_per_gpu * warmest_ratio / W_PER_KW

    @property
    def capacity_gpus(self) -> float:
        """Work that all GPUs do per time, in GPUs of full speed."""
        return self.gpu_count * (mean_speed(self.hardware) if self.hardware else 1.0)

    @property
    def idle_kw(self) -> float:
        """No GPU busy, at the reference inlet."""
        return self.gpu_count * self.idle_w_per_gpu / W_PER_KW

    @property
    def free_setpoint(self) -> float:
        return self.rated_kw

    @property
    def safe_setpoint(self) -> float:
        return self.safe_limit_fraction * self.rated_kw

    def initial(self) -> GpuState:
        nothing = (0.0,) * len(self.workloads)
        return GpuState(backlog_gpu_h=nothing, not_due_gpu_h=nothing)

    @property
    def looks_back_h(self) -> float:
        """Work that arrived so long ago may fall due now."""
        return max(work.slack_h for work in self.workloads)

    def drive(self, weather: Weather, seed: Seed) -> Drive:
        """`<class>_gpus`: GPUs that new work wants, then `<class>_due_gpus`: rate at which work falls due;
        class after class, in the order of the file, on which `step` relies. With an `inlet`, idle and active power per
        GPU come last."""
        series: dict[str, Any] = {}
        for work in self.workloads:
            arriving = wanted_gpus(
                work, weather.index, weather.time_zone, gpu_count=self.gpu_count, seed=seed, place=self.bus
            )
            series[f"{work.name}_gpus"] = arriving
            series[f"{work.name}_due_gpus"] = due_gpus(arriving, work.slack_h, weather.grid.step_s)
        if self.inlet is not None:
            idle_w, active_w = self._watts(self.inlet.inlet_c(weather.dry_bulb_c))
            series |= {"idle_w_per_gpu": idle_w, "active_w_per_gpu": active_w}
        return series

    def step(
        self, state: GpuState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[GpuState]:
        hours = step_s / SECONDS_PER_HOUR
        series = list(drive.values())
        last, capacity_gpus = 2 * len(self.workloads), self.capacity_gpus
        arriving, due = series[0:last:2], series[1:last:2]
        idle_w, active_w = series[last:] or (self.idle_w_per_gpu, self.active_w_per_gpu)
        idle_kw = self.gpu_count * idle_w / W_PER_KW
        kw_per_gpu = (active_w - idle_w) / W_PER_KW * (self.gpu_count / capacity_gpus)
        wanted = [gpus + waiting / hours for gpus, waiting in zip(arriving, state.backlog_gpu_h, strict=True)]
        firm = self._firm(arriving)
        firm_gpus = sum(firm, 0.0)
        budget = smaller((setpoint - idle_kw) / kw_per_gpu, capacity_gpus)
        undone = undone_gpus(wanted, firm, larger(budget - firm_gpus, 0.0))
        wanted_in_all = sum(wanted, 0.0)
        busy = wanted_in_all - sum(undone, 0.0)
        after, amounts = self._queues(state, undone, arriving, due, hours)
        p_kw = idle_kw + kw_per_gpu * busy
        amounts["delivered_gpu_h"] = busy * hours
        if self.compute_fraction is not None:
            amounts["compute_kwh"] = p_kw * (self.compute_fraction * hours)
        return Step(
            state=after,
            p_kw=p_kw,
            heat_kw=p_kw,
            points={
                "demand_kw": idle_kw + kw_per_gpu * smaller(wanted_in_all, capacity_gpus),
                "firm_kw": idle_kw + kw_per_gpu * firm_gpus,
                "limit_kw": clip(setpoint, 0.0, self.rated_kw),
                "backlog_gpu_h": sum(after.backlog_gpu_h, 0.0),
            },
            amounts=amounts,
        )

    def _firm(self, arriving: Sequence[Num]) -> list[Num]:
        """GPUs of each class that no budget takes away; the first classes get theirs first."""
        firm: list[Num] = []
        free: Num = self.capacity_gpus
        for work, gpus in zip(self.workloads, arriving, strict=True):
            kept = clip((1.0 - work.max_throughput_loss_fraction) * gpus, 0.0, free)
            free = free - kept
            firm.append(kept)
        return firm

    def _queues(
        self,
        state: GpuState,
        undone: Sequence[Num],
        arriving: Sequence[Num],
        due: Sequence[Num],
        hours: float,
    ) -> tuple[GpuState, dict[str, Num]]:
        """Queues at the end of the step, and the work that was put off and missed in it."""
        backlog: list[Num] = []
        not_due: list[Num] = []
        missed: Num = 0.0
        missed_jobs: Num = 0.0
        deferred: Num = 0.0
        queues = zip(self.workloads, state.backlog_gpu_h, state.not_due_gpu_h, undone, arriving, due, strict=True)
        for work, waiting, in_time, gpus, new_gpus, old_gpus in queues:
            left = gpus * hours
            window = larger(in_time + (new_gpus - old_gpus) * hours, 0.0)
            late = larger(left - window - ROUNDING_GPU_H, 0.0)
            left = left - late
            backlog.append(left)
            not_due.append(window)
            missed, missed_jobs = missed + late, missed_jobs + late / work.job_gpu_h
            deferred = deferred + larger(left - waiting, 0.0)
        amounts = {"deferred_gpu_h": deferred, "missed_gpu_h": missed, "missed_jobs": missed_jobs}
        return GpuState(backlog_gpu_h=tuple(backlog), not_due_gpu_h=tuple(not_due)), amounts

    def flexibility(self, values: Values) -> Envelope:
        return Envelope(min_p_kw=values["firm_kw"], max_p_kw=larger(values["firm_kw"], values["demand_kw"]))
