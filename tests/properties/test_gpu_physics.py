"""What holds for the power of GPUs and their nodes, whatever the figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.devices.gpu_hardware import Fleet, Hardware
from twin.devices.gpu_models import BATCH_FITS, GPU_MODELS
from twin.devices.gpu_power import LEAKAGE_PER_K, Phases, batch_w, busy_gpu, capped_w, speed_fraction, utilised_w
from twin.devices.server_power import Node, fan_speed_fraction
from twin.numeric import FloatArray

tried = settings(max_examples=60, deadline=None, derandomize=True)
gpus = st.sampled_from(sorted(GPU_MODELS))
fractions = st.floats(0.0, 1.0)
inlets_c = st.floats(-20.0, 60.0)
TINY = 1e-9


def rises(values: FloatArray) -> bool:
    return bool(np.all(np.diff(values) >= -TINY))


@st.composite
def phases(draw: st.DrawFn) -> Phases:
    parts = np.array([draw(st.floats(0.01, 1.0)) for _ in range(4)])
    training, prefill, decode, _ = map(float, parts / parts.sum())
    rest = 1.0 - training - prefill - decode
    return Phases(training_share=training, prefill_share=prefill, decode_share=decode, checkpoint_share=rest)


@tried
@given(gpu=gpus, wanted=fractions)
def test_under_a_higher_limit_a_gpu_draws_no_less_and_is_no_slower_and_never_breaks_it(gpu: str, wanted: float) -> None:
    model = GPU_MODELS[gpu]
    wanted_w = model.awake_w + wanted * (model.tdp_w - model.awake_w)
    limits_w = np.linspace(model.awake_w, 1.1 * model.tdp_w, 200)
    power_w = np.asarray(capped_w(limits_w, wanted_w, model.tdp_w, model.curve))
    speed = np.asarray(speed_fraction(limits_w, wanted_w, model.tdp_w, model.curve))
    assert rises(power_w)
    assert rises(speed)
    assert np.all(power_w <= np.minimum(limits_w, wanted_w) + TINY)
    assert np.all((speed > 0) & (speed <= 1.0))
    assert (power_w[-1], speed[-1]) == (pytest.approx(wanted_w), 1.0)


@tried
@given(gpu=gpus, mix=phases(), limit=st.floats(0.01, 1.0))
def test_a_busy_gpu_stays_under_its_limit_whatever_its_phases(gpu: str, mix: Phases, limit: float) -> None:
    model = GPU_MODELS[gpu]
    limit_w = model.awake_w + limit * (model.tdp_w - model.awake_w)
    busy, free = busy_gpu(mix, model, limit_w), busy_gpu(mix, model, model.tdp_w)
    assert busy.mean_w <= min(limit_w, free.mean_w) + TINY
    assert 0.0 < busy.speed_fraction <= free.speed_fraction == pytest.approx(1.0)


@given(gpu=gpus)
@tried
def test_power_rises_with_utilisation_from_idle_to_busy(gpu: str) -> None:
    model = GPU_MODELS[gpu]
    at = np.linspace(-0.2, 1.2, 300)
    power_w = np.asarray(utilised_w(at, idle_w=model.idle_w, awake_w=model.awake_w, busy_w=model.tdp_w))
    assert rises(power_w)
    assert (power_w[0], power_w[-1]) == (pytest.approx(model.idle_w), pytest.approx(model.tdp_w))


@pytest.mark.parametrize("name", sorted(BATCH_FITS))
def test_power_rises_with_the_batch(name: str) -> None:
    assert rises(np.asarray(batch_w(2.0 ** np.linspace(-3, 16, 300), BATCH_FITS[name])))


@tried
@given(gpu=gpus, nodes_of=st.integers(1, 16), liquid=st.booleans())
def test_power_rises_with_the_inlet_and_no_step_is_large(gpu: str, nodes_of: int, liquid: bool) -> None:
    item = Hardware(gpu=gpu, count=nodes_of, nodes_of=nodes_of, cooling="liquid" if liquid else "air")
    inlet_c = np.linspace(0.0, 55.0, 400)
    for watts in (np.asarray(item.idle_w(inlet_c)), np.asarray(item.active_w(inlet_c))):
        assert rises(watts)
        assert np.all(np.diff(watts) < 0.01 * watts[0])
    assert np.all(np.asarray(item.idle_w(inlet_c)) < np.asarray(item.active_w(inlet_c)))


@tried
@given(gpu=gpus, count=st.integers(1, 16), load=fractions, busy=fractions, inlet_c=inlets_c)
def test_what_a_node_draws_is_what_its_parts_use_and_what_is_lost(
    gpu: str, count: int, load: float, busy: float, inlet_c: float
) -> None:
    node = Node(gpu_count=count, gpu_tdp_w=GPU_MODELS[gpu].tdp_w)
    power = node.power(load * count * node.gpu_tdp_w, busy, inlet_c)
    assert power.useful_w + power.dc_losses_w + power.psu_losses_w == pytest.approx(power.drawn_w, rel=1e-12)
    assert power.drawn_w * node.psu_efficiency * node.dc_efficiency == pytest.approx(power.useful_w, rel=1e-9)
    assert min(map(float, (power.host_w, power.fans_w, power.dc_losses_w, power.psu_losses_w))) >= 0.0
    assert 0.3 <= fan_speed_fraction(load, inlet_c) <= 1.0


@tried
@given(kinds=st.lists(st.tuples(gpus, st.integers(1, 50)), min_size=1, max_size=5), inlet_c=st.floats(10.0, 45.0))
def test_a_mixed_hall_draws_what_its_parts_draw(kinds: list[tuple[str, int]], inlet_c: float) -> None:
    parts = [Hardware(gpu=gpu, count=8 * nodes) for gpu, nodes in kinds]
    fleet = Fleet(hardware=parts)
    for whole, each in (("idle_w", "idle_w"), ("active_w", "active_w")):
        total_w = fleet.gpu_count * float(getattr(fleet, whole)(inlet_c))
        assert total_w == pytest.approx(sum(item.count * float(getattr(item, each)(inlet_c)) for item in parts))
    assert fleet.speed_fraction == pytest.approx(1.0)


def test_a_warmer_chip_leaks_in_proportion_to_its_static_power() -> None:
    cold, warm = (Hardware(gpu="H100_SXM", count=8, cooling="liquid").idle_w(inlet_c) for inlet_c in (22.0, 32.0))
    least_w = 10 * LEAKAGE_PER_K * GPU_MODELS["H100_SXM"].idle_w / (0.96 * 0.98)
    assert warm - cold == pytest.approx(least_w, rel=0.05), "fans at their slowest, or nearly, of 2% alone"
