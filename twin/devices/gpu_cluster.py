"""A hall of GPUs as a fluid: work of several classes arrives, waits, is done under a power budget, or is missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MinLen

from twin.devices.base import DEVICES, STRICT, Account, Drive, Group, Step, Values
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


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """Work that waits, one number for each class of work, in the order of the site file."""

    backlog_gpu_h: tuple[Num, ...]
    """Arrived, neither done nor missed."""
    not_due_gpu_h: tuple[Num, ...]
    """Arrived within the class's slack, done or not: the backlog may never be more than this."""


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
    Power is linear in busy GPUs, ``idle · count + (active - idle) · busy``. Within a step the work
    rates are constant, so that done work is ``min(backlog + arriving, capacity)`` exactly. Overdue
    work is what exceeds the arrivals of the last `slack_h`, which needs no memory of single arrivals.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    group: ClassVar[Group | None] = Group.COMPUTE
    account: ClassVar[Account] = Account.IT
    setpoint: ClassVar[str | None] = "limit_kw"
    instruments: ClassVar[tuple[str, ...]] = ("demand_kw", "firm_kw", "limit_kw", "backlog_gpu_h")
    example: ClassVar[Mapping[str, Any]] = {
        "type": "gpu_cluster",
        "bus": "hall",
        "gpu_count": 1024,
        "idle_w_per_gpu": 320,
        "active_w_per_gpu": 1150,
        "workloads": [
            {"name": "inference", "mean_utilisation": 0.3, "max_throughput_loss_fraction": 0, "slack_h": 0},
            {"name": "training", "mean_utilisation": 0.4, "max_throughput_loss_fraction": 0.25, "slack_h": 12},
            {"name": "batch", "mean_utilisation": 0.2, "max_throughput_loss_fraction": 1, "slack_h": 24},
        ],
    }

    type: Literal["gpu_cluster"] = "gpu_cluster"
    bus: str
    gpu_count: Annotated[int, Ge(1)]
    idle_w_per_gpu: Annotated[float, Ge(0)]
    """Share of its node's power at rest: GPU, host, fans."""
    active_w_per_gpu: Annotated[float, Gt(0)]
    """Share of its node's power under load."""
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
        if self.active_w_per_gpu <= self.idle_w_per_gpu:
            raise ValueError(f"active_w_per_gpu above idle_w_per_gpu, which is {self.idle_w_per_gpu:g}")

    @property
    def serves(self) -> Sequence[str]:
        return ()

    @property
    def rated_kw(self) -> float:
        """All GPUs busy."""
        return self.gpu_count * self.active_w_per_gpu / W_PER_KW

    @property
    def idle_kw(self) -> float:
        """No GPU busy."""
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
        class after class, in the order of the file, on which `step` relies."""
        series: dict[str, Any] = {}
        for work in self.workloads:
            arriving = wanted_gpus(
                work, weather.index, weather.time_zone, gpu_count=self.gpu_count, seed=seed, place=self.bus
            )
            series[f"{work.name}_gpus"] = arriving
            series[f"{work.name}_due_gpus"] = due_gpus(arriving, work.slack_h, weather.grid.step_s)
        return series

    def step(
        self, state: GpuState, setpoint: Num, drive: Values, served: Sequence[Step[Any]], step_s: float
    ) -> Step[GpuState]:
        hours = step_s / SECONDS_PER_HOUR
        idle_kw, kw_per_gpu = self.idle_kw, (self.active_w_per_gpu - self.idle_w_per_gpu) / W_PER_KW
        series = list(drive.values())
        arriving, due = series[0::2], series[1::2]
        wanted = [gpus + waiting / hours for gpus, waiting in zip(arriving, state.backlog_gpu_h, strict=True)]
        firm = self._firm(arriving)
        firm_gpus = sum(firm, 0.0)
        budget = smaller((setpoint - idle_kw) / kw_per_gpu, float(self.gpu_count))
        undone = undone_gpus(wanted, firm, larger(budget - firm_gpus, 0.0))
        wanted_in_all = sum(wanted, 0.0)
        busy = wanted_in_all - sum(undone, 0.0)
        after, amounts = self._queues(state, undone, arriving, due, hours)
        p_kw = idle_kw + kw_per_gpu * busy
        amounts["delivered_gpu_h"] = busy * hours
        return Step(
            state=after,
            p_kw=p_kw,
            heat_kw=p_kw,
            points={
                "demand_kw": idle_kw + kw_per_gpu * smaller(wanted_in_all, float(self.gpu_count)),
                "firm_kw": idle_kw + kw_per_gpu * firm_gpus,
                "limit_kw": clip(setpoint, 0.0, self.rated_kw),
                "backlog_gpu_h": sum(after.backlog_gpu_h, 0.0),
            },
            amounts=amounts,
        )

    def _firm(self, arriving: Sequence[Num]) -> list[Num]:
        """GPUs of each class that no budget takes away; the first classes get theirs first."""
        firm: list[Num] = []
        free: Num = float(self.gpu_count)
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
