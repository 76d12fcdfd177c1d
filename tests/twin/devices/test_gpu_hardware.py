from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from tests.contracts.device_rig import build, weather
from twin.devices.gpu_cluster import GpuCluster
from twin.devices.gpu_hardware import Hardware, Inlet
from twin.devices.gpu_models import GPU_MODELS
from twin.devices.gpu_power import Phases
from twin.errors import InputError
from twin.perturbation import perturbed
from twin.site import load_site
from twin.workload import Workload

EDGE = Path(__file__).resolve().parents[3] / "site_configs" / "edge.yaml"
TOLD = """    gpu_count: 48
    idle_w_per_gpu: 320           # share of the whole node: GPU, host, fans
    active_w_per_gpu: 1150        # heavy training; a DGX H100 draws at most 10.2 kW / 8
"""
WORK = (Workload(name="training", mean_utilisation=0.6, max_throughput_loss_fraction=0.25, slack_h=6),)
H100, A100 = Hardware(gpu="H100_SXM", count=512), Hardware(gpu="A100_SXM", count=256)


def hall(**keys: Any) -> GpuCluster:
    return GpuCluster(bus="hall", workloads=WORK, **keys)


def test_a_hall_told_by_its_hardware_has_its_count_and_the_mean_of_its_powers() -> None:
    mixed = hall(hardware=(H100, A100))
    assert mixed.gpu_count == 768
    assert mixed.idle_kw == pytest.approx((512 * float(H100.idle_w()) + 256 * float(A100.idle_w())) / 1000)
    assert mixed.rated_kw == pytest.approx((512 * float(H100.active_w()) + 256 * float(A100.active_w())) / 1000)


def test_what_the_file_says_wins_over_the_catalogue() -> None:
    metered = hall(hardware=(H100,), active_w_per_gpu=910)
    assert metered.active_w_per_gpu == 910
    assert metered.idle_w_per_gpu == pytest.approx(float(H100.idle_w()))


def test_a_hall_half_of_which_works_draws_the_mean_of_idle_and_active() -> None:
    mixed = hall(hardware=(H100, A100))
    done = mixed.step(mixed.initial(), mixed.rated_kw, {"a": 384.0, "b": 0.0}, (), 300.0)
    assert done.p_kw == pytest.approx((mixed.idle_kw + mixed.rated_kw) / 2)


def test_a_power_limit_costs_less_work_than_it_saves_power() -> None:
    free = hall(hardware=(H100,))
    limited = hall(hardware=(Hardware(gpu="H100_SXM", count=512, power_limit_w=500),))
    saved = 1 - (limited.rated_kw - limited.idle_kw) / (free.rated_kw - free.idle_kw)
    lost = 1 - limited.capacity_gpus / free.capacity_gpus
    assert 0.05 < lost < 0.7 * saved
    full = limited.step(limited.initial(), limited.rated_kw, {"a": 512.0, "b": 0.0}, (), 3600.0)
    assert full.p_kw == pytest.approx(limited.rated_kw)
    assert full.amounts["delivered_gpu_h"] == pytest.approx(limited.capacity_gpus)
    assert full.points["backlog_gpu_h"] == pytest.approx(512.0 - limited.capacity_gpus)


def test_decode_draws_what_its_batch_does_and_less_than_training() -> None:
    def active_w(batch_count: float) -> float:
        decode = Phases(decode_share=1.0)
        item = Hardware(
            gpu="H100_SXM", count=8, phases=decode, decode_fit="H100_llama_70b_tp4", batch_count=batch_count
        )
        return float(item.active_w())

    small, large, training = active_w(1), active_w(512), float(H100.active_w())
    assert small < large < training
    plain = float(Hardware(gpu="H100_SXM", count=8, phases=Phases(decode_share=1.0)).active_w())
    assert plain < small, "without a batch: as measured for memory-bound decode"


def test_where_nodes_feel_the_weather_power_follows_it_and_stays_under_the_rating() -> None:
    warm = build("gpu_cluster")
    assert isinstance(warm, GpuCluster)
    assert warm.inlet is not None
    series = warm.drive(weather(), 1)
    inlet_c = np.clip(weather().dry_bulb_c + warm.inlet.above_outdoor_k, warm.inlet.min_c, warm.inlet.max_c)
    assert list(series)[-2:] == ["idle_w_per_gpu", "active_w_per_gpu"]
    order = np.argsort(inlet_c)
    for name in ("idle_w_per_gpu", "active_w_per_gpu"):
        assert np.all(np.diff(series[name][order]) >= -1e-9)
    assert series["active_w_per_gpu"].max() * warm.gpu_count / 1000 <= warm.rated_kw * (1 + 1e-12)
    assert np.ptp(series["active_w_per_gpu"]) > 0


def test_every_gpu_idles_below_awake_below_training_and_names_its_source() -> None:
    for name, model in GPU_MODELS.items():
        assert 0 < model.idle_w < model.awake_w < model.training_fraction * model.tdp_w, name
        assert model.curve.static_fraction * model.tdp_w < model.awake_w, name
        assert model.source


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown GPU": ({"gpu": "H100SXM", "count": 8}, r"gpu one of V100_PCIE, .*not 'H100SXM'; did you mean H100_SXM\?"),
    "half a node": ({"gpu": "A40", "count": 9, "nodes_of": 2}, "count a multiple of nodes_of, not 9 and 2"),
    "limit below idle": (
        {"gpu": "A100_SXM", "count": 8, "power_limit_w": 60},
        "power_limit_w above 93 W, which A100_SXM draws awake without work, and at most 400 W, not 60",
    ),
    "limit above rating": ({"gpu": "A100_SXM", "count": 8, "power_limit_w": 500}, "at most 400 W, not 500"),
    "batch without fit": ({"gpu": "H100_SXM", "count": 8, "batch_count": 4}, "decode_fit and batch_count together"),
    "fit of another GPU": (
        {"gpu": "A40", "count": 8, "decode_fit": "H100_llama_8b_tp1", "batch_count": 4},
        r"decode_fit one of those for A40 \(none\), not 'H100_llama_8b_tp1'",
    ),
    "host upside down": (
        {"gpu": "A40", "count": 8, "host_idle_w": 900, "host_active_w": 800},
        "host_active_w of host_idle_w at least, which is 900",
    ),
    "phases that are not whole": (
        {"gpu": "A40", "count": 8, "phases": {"decode_share": 0.5, "prefill_share": 0.2}},
        "shares of the phases that are 1 together, not 0.7",
    ),
    "unknown cooling": ({"gpu": "A40", "count": 8, "cooling": "steam"}, "'air' or 'liquid'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_hardware_that_cannot_be_is_refused_with_what_could(case: str) -> None:
    block, expected = WRONG[case]
    with pytest.raises(ValidationError, match=expected):
        TypeAdapter(Hardware).validate_python(block)


def test_halls_that_contradict_their_hardware_are_refused() -> None:
    with pytest.raises(ValueError, match="gpu_count, active_w_per_gpu, or hardware"):
        hall(idle_w_per_gpu=300)
    with pytest.raises(ValueError, match="gpu_count the sum over hardware, 512, not 500"):
        hall(hardware=(H100,), gpu_count=500)
    with pytest.raises(ValueError, match="active_w_per_gpu above idle_w_per_gpu"):
        hall(hardware=(H100,), active_w_per_gpu=100)
    with pytest.raises(ValueError, match="inlet with hardware"):
        hall(gpu_count=1, idle_w_per_gpu=1, active_w_per_gpu=2, inlet=Inlet())
    with pytest.raises(ValueError, match="at an inlet of 10 °C too"):
        hall(hardware=(H100,), idle_w_per_gpu=900, active_w_per_gpu=905, inlet=Inlet(min_c=10, max_c=20))
    with pytest.raises(ValueError, match="max_c from min_c to 45, not 15 with min_c 18"):
        Inlet(max_c=15)


def test_a_site_file_may_tell_its_hardware_and_a_wrong_name_is_told_with_its_line(tmp_path: Path) -> None:
    text = EDGE.read_text(encoding="utf-8")
    assert TOLD in text
    told = "    hardware:\n      - {gpu: GPU, count: 48, nodes_of: 8}\n    inlet: {min_c: 18, max_c: 27}\n"
    path = tmp_path / "edge.yaml"
    path.write_text(text.replace(TOLD, told.replace("GPU", "H100_SXM")), encoding="utf-8")
    site = load_site(path)
    assert site.devices["hall"].rated_kw == pytest.approx(48 * 0.9, rel=0.05)
    built = perturbed(site, 1).devices["hall"]
    assert built.rated_kw != site.devices["hall"].rated_kw, "a built hall differs from its catalogue, too"
    wrong = text.replace(TOLD, told.replace("GPU", "H100"))
    path.write_text(wrong, encoding="utf-8")
    with pytest.raises(InputError, match="did you mean H100_SXM") as refused:
        load_site(path)
    problem = refused.value.problems[0]
    assert problem.path == "devices.hall.hardware.0"
    assert problem.line == 1 + wrong[: wrong.index("- {gpu: H100,")].count("\n")
