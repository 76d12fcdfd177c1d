from __future__ import annotations

import pytest

from tests.contracts.device_rig import build
from twin.devices.base import Step
from twin.devices.gpu_cluster import GpuCluster, GpuState
from twin.flexibility import Envelope
from twin.workload import Workload

HALL = GpuCluster(
    bus="hall",
    gpu_count=1000,
    idle_w_per_gpu=300,
    active_w_per_gpu=1300,
    workloads=(
        Workload(name="inference", mean_utilisation=0.3, max_throughput_loss_fraction=0.0, slack_h=0),
        Workload(name="training", mean_utilisation=0.3, max_throughput_loss_fraction=0.25, slack_h=6),
        Workload(name="batch", mean_utilisation=0.2, max_throughput_loss_fraction=1.0, slack_h=12),
    ),
)
"""1 kW for each busy GPU on top of 300 kW."""


def stepped(
    state: GpuState, limit_kw: float, arriving: tuple[float, ...] = (300.0, 300.0, 200.0), due: float = 0.0
) -> Step[GpuState]:
    drive: dict[str, float] = {}
    for work, gpus in zip(HALL.workloads, arriving, strict=True):
        drive |= {f"{work.name}_gpus": gpus, f"{work.name}_due_gpus": gpus if work.slack_h == 0 else due}
    return HALL.step(state, limit_kw, drive, (), 3600.0)


def test_without_a_limit_all_work_is_done_at_once() -> None:
    done = stepped(HALL.initial(), HALL.rated_kw)
    assert done.p_kw == pytest.approx(300 + 800)
    assert done.heat_kw == done.p_kw
    assert done.amounts["delivered_gpu_h"] == pytest.approx(800)
    assert (done.amounts["deferred_gpu_h"], done.amounts["missed_gpu_h"]) == (0.0, 0.0)


def test_a_budget_is_met_by_the_last_class_first_and_by_none_below_its_tier() -> None:
    """900 kW leave 600 GPUs: batch gives its 200. 700 kW leave 400, but inference and 3/4 of training are firm."""
    mild, hard = stepped(HALL.initial(), 900.0), stepped(HALL.initial(), 700.0)
    assert mild.p_kw == pytest.approx(900.0)
    assert mild.state.backlog_gpu_h == pytest.approx((0.0, 0.0, 200.0))
    assert hard.p_kw == pytest.approx(300 + 300 + 225)
    assert hard.points["firm_kw"] == pytest.approx(825.0)
    assert hard.state.backlog_gpu_h == pytest.approx((0.0, 75.0, 200.0))


def test_work_put_off_is_made_up_when_there_is_room_and_nothing_is_lost_on_the_way() -> None:
    held = stepped(HALL.initial(), 850.0)
    freed = stepped(held.state, HALL.rated_kw)
    assert freed.amounts["delivered_gpu_h"] == pytest.approx(1000.0), "all GPUs busy"
    total = held.amounts["delivered_gpu_h"] + freed.amounts["delivered_gpu_h"] + freed.points["backlog_gpu_h"]
    assert total == pytest.approx(2 * 800.0)


def test_work_that_waits_longer_than_its_slack_is_missed_once_and_leaves_the_queue() -> None:
    held = stepped(HALL.initial(), 0.0)
    late = stepped(held.state, 0.0, arriving=(300.0, 300.0, 0.0), due=300.0)
    assert late.amounts["missed_gpu_h"] == pytest.approx(200.0), "all of batch; training has hours left"
    assert late.amounts["missed_jobs"] == pytest.approx(late.amounts["missed_gpu_h"] / 8.0)
    assert late.state.backlog_gpu_h == pytest.approx((0.0, 150.0, 0.0), abs=1e-5)


def test_inference_that_does_not_fit_is_lost_not_queued() -> None:
    full = stepped(HALL.initial(), HALL.rated_kw, arriving=(1000.0, 300.0, 200.0))
    assert full.points["backlog_gpu_h"] == pytest.approx(500.0)
    assert full.state.backlog_gpu_h[0] == 0.0


def test_over_a_whole_day_arrivals_are_done_waiting_or_missed() -> None:
    hall, state = build("gpu_cluster"), None
    assert isinstance(hall, GpuCluster)
    arrived = done_gpu_h = 0.0
    state = hall.initial()
    for hour in range(48):
        limit_kw = 0.55 * hall.rated_kw if 8 <= hour % 24 < 20 else hall.rated_kw
        gpus = {work.name: 1024 * work.mean_utilisation for work in hall.workloads}
        drive = {f"{name}_{kind}": value for name, value in gpus.items() for kind in ("gpus", "due_gpus")}
        step = hall.step(state, limit_kw, drive, (), 3600.0)
        state, arrived = step.state, arrived + sum(gpus.values())
        done_gpu_h += float(step.amounts["delivered_gpu_h"] + step.amounts["missed_gpu_h"])
    assert done_gpu_h + sum(map(float, state.backlog_gpu_h)) == pytest.approx(arrived, rel=1e-9)


def test_flexibility_is_what_firm_and_wanted_work_draw() -> None:
    done = stepped(HALL.initial(), HALL.rated_kw)
    flexibility = HALL.flexibility({"p_kw": done.p_kw, **done.points})
    assert flexibility == Envelope(min_p_kw=done.points["firm_kw"], max_p_kw=done.points["demand_kw"])


def test_contradictions_are_refused() -> None:
    with pytest.raises(ValueError, match="active_w_per_gpu above idle_w_per_gpu"):
        GpuCluster(bus="x", gpu_count=1, idle_w_per_gpu=300, active_w_per_gpu=300, workloads=HALL.workloads)
    with pytest.raises(ValueError, match="different names"):
        GpuCluster(bus="x", gpu_count=1, idle_w_per_gpu=1, active_w_per_gpu=300, workloads=(HALL.workloads[0],) * 2)
